"""The commands of `python -m mediq` besides running: scan, admin create, check, backup, restore."""

import json
import os
import tarfile
from pathlib import Path

import pytest
from PIL import Image

from tests.fixtures.application import ADMIN, Application, mediq, running
from tests.fixtures.client import client_at
from tests.fixtures.specimens.cards import person
from tests.fixtures.visitors import CLEAN, card, new_nik


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


def test_help_names_every_option_and_command(folder: Path) -> None:
    shown = mediq("--help", folder=folder)
    assert shown.returncode == 0
    for word in ("--role", "--config", "--port", "scan", "admin", "check", "backup", "restore"):
        assert word in shown.stdout
    assert mediq("admin", "create", "--help", folder=folder).returncode == 0
    unknown = mediq("polish", folder=folder)
    assert unknown.returncode == 2
    assert "Traceback" not in unknown.stderr
    assert not folder.exists()


class TestScan:
    def test_json_is_one_object_a_line_in_the_order_given(self, tmp_path: Path, folder: Path) -> None:
        names = ["pemandangan.png", "kartu.jpg", "tulisan.jpg", "kartu lain.jpg"]
        Image.new("RGB", (800, 600), (90, 150, 90)).save(tmp_path / names[0])
        (tmp_path / names[1]).write_bytes(card(CLEAN[0]))
        (tmp_path / names[2]).write_text("<?php ?>")
        (tmp_path / names[3]).write_bytes(card(CLEAN[1]))
        scanned = mediq("scan", *names, "--json", folder=folder)
        assert scanned.returncode == 0, scanned.stderr
        found = [json.loads(line) for line in scanned.stdout.splitlines()]
        assert [each["is_ktp"] for each in found] == [False, True, False, True]
        for each in found:
            assert set(each) == {
                "id", "status", "is_ktp", "reason", "fields", "warnings", "user_id", "ticket", "elapsed_ms",
            }  # fmt: skip
            assert (each["user_id"], each["ticket"]) == (None, None)
        for each, seed in ((found[1], CLEAN[0]), (found[3], CLEAN[1])):
            assert {name: field["value"] for name, field in each["fields"].items()} == person(seed)
            assert all(0 <= field["confidence"] <= 1 for field in each["fields"].values())
            assert each["reason"] is None
        for each in (found[0], found[2]):
            assert (each["status"], each["fields"]) == ("REJECTED", {})
            assert each["reason"]
        assert not folder.exists(), "scanning keeps nothing"

    def test_text_output_and_a_missing_file(self, tmp_path: Path, folder: Path) -> None:
        (tmp_path / "kartu.jpg").write_bytes(card(CLEAN[0]))
        scanned = mediq("scan", "tidak-ada.jpg", "kartu.jpg", folder=folder)
        assert scanned.returncode == 1
        assert "tidak-ada.jpg" in scanned.stderr
        assert "Traceback" not in scanned.stderr
        for value in (person(CLEAN[0])["nik"], person(CLEAN[0])["nama"]):
            assert value in scanned.stdout


class TestAdmin:
    def test_an_administrator_is_made_once(self, folder: Path) -> None:
        made = mediq("admin", "create", "a@klinik.example", "--password-stdin", folder=folder, stdin=f"{ADMIN[1]}\n")
        assert made.returncode == 0, made.stderr
        assert ADMIN[1] not in made.stdout + made.stderr
        assert folder.stat().st_mode & 0o777 == 0o700
        assert (folder / "users.db").stat().st_mode & 0o077 == 0

        again = mediq("admin", "create", "A@klinik.example", "--password-stdin", folder=folder, stdin=ADMIN[1])
        assert again.returncode == 2
        assert "terdaftar" in again.stderr
        assert len(again.stderr.splitlines()) == 1

    @pytest.mark.parametrize(("email", "password"), [("no-address", ADMIN[1]), ("a@klinik.example", "pendek")])
    def test_a_bad_address_or_password_is_refused(self, folder: Path, email: str, password: str) -> None:
        refused = mediq("admin", "create", email, "--password-stdin", folder=folder, stdin=password)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert len(refused.stderr.splitlines()) == 1
        assert not password or password not in refused.stderr
        assert not (folder / "users.db").exists()


def test_check_reports_folder_database_and_card_reader(folder: Path) -> None:
    checked = mediq("check", folder=folder)
    assert checked.returncode == 0, checked.stderr
    for word in ("data folder", "database", "card reader", "1 services, 2 counters"):
        assert word in checked.stdout
    assert "setup#" not in checked.stdout


async def test_backup_while_running_and_restore_elsewhere(tmp_path: Path) -> None:
    file = tmp_path / "cadangan.tar.gz"
    with running(tmp_path / "old") as old:
        async with client_at(old) as client:
            await client.ready()
            admin = await client.set_up(old)
            nik = new_nik()
            user_id = await admin.register(nik, "SITI")
            ticket = await admin.queue(user_id)
            called = await admin.patch("/queue/call-next", {"counter": "1"})
            assert called.status == 200
            saved = mediq("backup", file, folder=old.folder)
            assert saved.returncode == 0, saved.stderr
            assert file.stat().st_mode & 0o777 == 0o600
            assert "cadangan.tar.gz.part" not in os.listdir(tmp_path)
            # What comes after the backup is not in it.
            assert (await admin.patch(f"/queue/{ticket['id']}/complete")).status == 200

        refused = mediq("restore", file, folder=old.folder)
        assert refused.returncode == 2, "a running application holds its folder"
        old.stop()
        refused = mediq("restore", file, folder=old.folder)
        assert refused.returncode == 2
        assert "already holds" in refused.stderr
        assert len(refused.stderr.splitlines()) == 1

    new = Application(tmp_path / "new")
    restored = mediq("restore", file, folder=new.folder)
    assert restored.returncode == 0, restored.stderr
    for part in ("users.db", "queue.db", "secrets.json"):
        assert (new.folder / part).stat().st_mode & 0o077 == 0, part
    new.start()
    try:
        assert new.stdout == [], "it has its administrator"
        async with client_at(new) as client:
            await client.ready()
            moved = type(client)(client.http, admin.tokens)
            assert (await moved.get("/users/profile")).status == 200, "sessions go on"
            assert (await moved.get(f"/users/check-nik/{nik}")).body == {"exists": True, "user_id": user_id}
            kept = await moved.get(f"/queue/status/{user_id}")
            assert (kept.body["id"], kept.body["status"], kept.body["counter"]) == (ticket["id"], "CALLED", "1")
    finally:
        assert new.stop() == 0


def test_a_file_that_is_no_backup_is_refused(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "text.tar.gz").write_text("not an archive")
    with tarfile.open(tmp_path / "other.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "text.tar.gz", "../../etc/passwd")
    for file in ("text.tar.gz", "other.tar.gz"):
        refused = mediq("restore", file, folder=folder)
        assert (refused.returncode, refused.stdout) == (2, ""), file
        assert len(refused.stderr.splitlines()) == 1, refused.stderr
        assert not (folder / "users.db").exists()
    refused = mediq("backup", "x.tar.gz", folder=tmp_path / "nothing" / "data")
    assert (refused.returncode, refused.stdout) == (2, "")
