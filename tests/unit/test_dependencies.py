"""Every imported package is declared in pyproject.toml, and the lock files hold what is declared."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
RUN = [Requirement(text) for text in PROJECT["dependencies"]]
DEVELOPMENT = [Requirement(text) for extra in ("dev", "bench") for text in PROJECT["optional-dependencies"][extra]]
OWN = {"mediq", "tests", "bench", "scripts"}


def imported(*folders: str) -> dict[str, str]:
    """The foreign top-level packages that the folders' modules import, each with a module that does."""
    found: dict[str, str] = {}
    for file in (file for folder in folders for file in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names.append(node.module)
            found |= {name.partition(".")[0]: str(file.relative_to(ROOT)) for name in names}
    return {name: file for name, file in found.items() if name not in OWN | sys.stdlib_module_names}


@pytest.mark.parametrize(
    ("folders", "declared"),
    [(["mediq"], RUN), (["tests", "bench", "scripts"], [*RUN, *DEVELOPMENT])],
    ids=["the program", "tests and benches"],
)
def test_every_imported_package_is_declared(folders: list[str], declared: list[Requirement]) -> None:
    distributions = packages_distributions()
    names = {canonicalize_name(requirement.name) for requirement in declared}
    undeclared = {
        package: file
        for package, file in imported(*folders).items()
        if not names & {canonicalize_name(name) for name in distributions.get(package, [package])}
    }
    assert undeclared == {}


@pytest.mark.parametrize(
    ("file", "declared"),
    [("requirements.lock", RUN), ("requirements-dev.lock", [*RUN, *DEVELOPMENT])],
)
def test_the_lock_file_holds_a_release_of_every_declared_package(file: str, declared: list[Requirement]) -> None:
    """`make lock` writes the lock files anew."""
    pinned = dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / file).read_text("utf-8"), re.MULTILINE))
    stale = [
        str(requirement)
        for requirement in declared
        if not requirement.specifier.contains(pinned.get(canonicalize_name(requirement.name), "0"))
    ]
    assert stale == []


def test_the_lock_files_name_no_index_and_hash_every_release() -> None:
    for file in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / file).read_text("utf-8")
        assert "--index-url" not in text
        assert "://" not in text
        releases = re.findall(r"^[^\s#].*(?:\n    .*)*", text, re.MULTILINE)
        assert len(releases) > 50
        assert [release for release in releases if "--hash=sha256:" not in release] == []
