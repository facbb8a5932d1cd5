"""MediQ is under the MIT licence, so every library that it needs must have a permissive licence."""

import re
from importlib import metadata

from packaging.requirements import Requirement

FREE = re.compile(r"MIT|BSD|Apache|PSF|Python Software Foundation|Zlib|CC0|MPL|Mozilla|ISC|Unlicense", re.IGNORECASE)
BINDING = re.compile(r"(?<!L)GPL|(?<!Lesser )General Public|Affero|SSPL|Commons Clause|Proprietary", re.IGNORECASE)


def licences() -> dict[str, str]:
    """The licence of every distribution that MediQ needs to run, as its metadata give it."""
    found: dict[str, str] = {}
    wanted = ["mediq"]
    while wanted:
        about = metadata.distribution(wanted.pop()).metadata
        if about["Name"] in found:
            continue
        classified = [line for line in about.get_all("Classifier", []) if line.startswith("License ::")]
        found[about["Name"]] = about["License-Expression"] or " ".join(classified) or (about["License"] or "")[:200]
        for line in metadata.distribution(about["Name"]).requires or ():
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                wanted.append(requirement.name)
    return found


def test_every_dependency_has_a_permissive_licence() -> None:
    found = licences()
    assert len(found) > 30
    assert {name: licence for name, licence in found.items() if BINDING.search(licence)} == {}
    assert {name: licence for name, licence in found.items() if not FREE.search(licence)} == {}
