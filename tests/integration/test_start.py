"""Settings that MediQ cannot start with: one sentence on the terminal, exit status 2, no traceback, no data folder."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.application import CLINIC, Application, environment, mediq, running
from tests.fixtures.ports import free_port


def one_sentence(text: str) -> str:
    """The single line that a refused start wrote to standard error."""
    lines = text.splitlines()
    assert len(lines) == 1, text
    assert lines[0].startswith("mediq: "), text
    assert "Traceback" not in text
    return lines[0]


def test_an_unknown_key_in_the_config_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[http]\nprot = 3001\n")
    refused = mediq("--role", "all", folder=tmp_path / "data")
    assert (refused.returncode, refused.stdout) == (2, "")
    sentence = one_sentence(refused.stderr)
    assert "prot" in sentence
    assert "config.toml" in sentence
    assert not (tmp_path / "data").exists()


def test_a_bad_value_in_the_config_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[http]\nport = "3001"\n')
    refused = mediq("--role", "all", folder=tmp_path / "data")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "http.port" in one_sentence(refused.stderr)


def test_a_bad_value_in_the_environment_is_refused(tmp_path: Path) -> None:
    refused = mediq("--role", "all", folder=tmp_path / "data", environ={"PORT": "eighty"})
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "PORT" in one_sentence(refused.stderr)


@pytest.mark.parametrize(
    ("arguments", "environ", "named"),
    [
        (("--role", "doctor"), {}, "doctor"),
        (("--role", "queue"), {}, "RABBITMQ_URL"),
        (("--config", "missing.toml"), {}, "missing.toml"),
        (("--port", "70000"), {}, "70000"),
        ((), {"JWT_SECRET": "short"}, "JWT_SECRET"),
        ((), {"RABBITMQ_URL": "amqp://localhost"}, "JWT_SECRET"),
    ],
    ids=["role", "split-role", "no-such-file", "port", "secret", "server"],
)
def test_an_impossible_setting_or_argument_is_refused_by_name(
    tmp_path: Path, arguments: tuple[str, ...], environ: dict[str, str], named: str
) -> None:
    refused = mediq(*arguments, folder=tmp_path / "data", environ=environ)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert named in one_sentence(refused.stderr)


def test_a_data_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    refused = mediq("--port", str(free_port()), folder=tmp_path / "data")
    assert refused.returncode == 2
    assert str(tmp_path / "data") in one_sentence(refused.stderr)


@pytest.mark.parametrize("name", ["users.db", "cards.db", "secrets.json"])
def test_a_data_folder_with_foreign_files_is_refused_and_left_as_it_is(tmp_path: Path, name: str) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / name).write_text("this is a diary, and no database" * 100)
    refused = mediq("--port", str(free_port()), folder=tmp_path / "data")
    assert refused.returncode in (1, 2)
    assert name in one_sentence(refused.stderr)
    assert (tmp_path / "data" / name).read_text().startswith("this is a diary"), "left as it is"


def test_an_embedded_application_imports_no_client_of_a_server(tmp_path: Path) -> None:
    with running(tmp_path, environ={"PYTHONPROFILEIMPORTTIME": "1"}) as application:
        imported = set(re.findall(r"^import time: .*\| +(\w+)", application.log, re.MULTILINE))
    assert "sqlalchemy" in imported, "the database is in use"
    assert not imported & {"redis", "aio_pika", "aiomysql"}


def test_the_composition_root_imports_no_library_of_a_single_role() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, mediq.app; print(*sys.modules)"],
        env=environment(Path("nowhere")),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "mediq.runtime.bus" in loaded.stdout.split()
    assert not {"sqlalchemy", "redis", "aio_pika", "jinja2", "limits", "cv2"}.intersection(loaded.stdout.split())


class TestBesideARunningApplication:
    @pytest.fixture(scope="class")
    @classmethod
    def application(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
        with running(tmp_path_factory.mktemp("first")) as application:
            yield application

    def test_a_second_process_on_the_same_data_folder_is_refused(self, application: Application) -> None:
        for arguments in (("--port", str(free_port())), ("restore", "x.tar.gz")):
            refused = mediq(*arguments, folder=application.folder)
            assert (refused.returncode, refused.stdout) == (2, ""), arguments
            assert str(application.folder) in one_sentence(refused.stderr)

    def test_a_port_in_use_ends_the_start_with_a_sentence(self, application: Application, tmp_path: Path) -> None:
        (tmp_path / "config.toml").write_text(f'{CLINIC}\n[http]\nhost = "127.0.0.1"\n')
        refused = mediq("--port", str(application.port), folder=tmp_path / "data")
        assert refused.returncode not in (0, None)
        sentences = [line for line in refused.stderr.splitlines() if line.startswith("mediq: ")]
        assert len(sentences) == 1, refused.stderr
        assert str(application.port) in sentences[0]
        assert "Traceback" not in refused.stderr
