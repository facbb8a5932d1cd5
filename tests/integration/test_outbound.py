"""Nothing leaves the clinic: reading a card leaves no record that a library could send to its maker."""

import os
import subprocess
import sys
from pathlib import Path

from tests.fixtures.specimens import cards as specimens

ROOT = Path(__file__).parents[2]


def test_reading_a_card_leaves_nothing_behind_for_anyone(tmp_path: Path) -> None:
    """Libraries that report their use collect the reports in the home folder first."""
    home = tmp_path / "home"
    home.mkdir()
    card = tmp_path / "card.jpg"
    card.write_bytes(specimens.render(specimens.person(7), seed=7))
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("ORT_", "XDG_"))}
    scan = [sys.executable, "-m", "mediq", "scan", "--json", str(card)]
    done = subprocess.run(
        scan, cwd=ROOT, env={**environ, "HOME": str(home)}, capture_output=True, text=True, check=True
    )
    assert '"is_ktp": true' in done.stdout
    assert [str(path) for path in home.rglob("*")] == []
