"""A full disk: the caller gets an error, nothing is half written, and the same process goes on once there is room."""

import asyncio
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fixtures.application import HANG, Application, made_with_admin, running
from tests.fixtures.client import Client, client_at
from tests.fixtures.specimens.cards import person
from tests.fixtures.visitors import CLEAN, card, new_nik

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits of a running process are set by prlimit")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 3 MB of its own, where this machine lets us mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this machine does not let us mount a small disk")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


class Patients:
    """Registers patients until the application says that it cannot, and remembers whom it has registered."""

    def __init__(self) -> None:
        self.registered: dict[str, str] = {}
        self.refused: list[str] = []

    async def fill(self, admin: Client, most: int = 20_000) -> None:
        """Until a registration is refused with 503."""
        for _ in range(most):
            nik = new_nik()
            answered = await admin.post("/users", {"nik": nik, "nama": "N" * 200, "alamat": "J" * 255})
            if answered.status != 201:
                assert answered.status == 503, answered
                assert answered.problem in ("storage-full", "unavailable", "breaker-open")
                assert int(answered.headers["Retry-After"]) >= 1
                self.refused.append(nik)
                return
            self.registered[nik] = answered.body["id"]
        raise AssertionError("the disk never filled")

    async def register_the_refused(self, admin: Client) -> None:
        """Whoever was refused comes again; the application may need a moment to trust its disk again."""
        async with asyncio.timeout(HANG):
            while self.refused:
                answered = await admin.post("/users", {"nik": self.refused[-1], "nama": "SITI"})
                if answered.status == 201:
                    self.registered[self.refused.pop()] = answered.body["id"]
                else:
                    assert answered.status == 503, answered

    async def all_there_and_nobody_else(self, admin: Client) -> None:
        for nik, user_id in list(self.registered.items())[-20:]:
            assert (await admin.get(f"/users/check-nik/{nik}")).body == {"exists": True, "user_id": user_id}
        for nik in self.refused:
            assert (await admin.get(f"/users/check-nik/{nik}")).body["exists"] is False
        total = (await admin.get("/users?limit=1&role=PASIEN")).body["pagination"]["total"]
        assert total == len(self.registered)


async def _fill_and_recover(
    application: Application, fill_up: Callable[[], None], make_room: Callable[[], None]
) -> None:
    async with client_at(application) as client:
        await client.ready()
        admin = await client.sign_in()
        patients = Patients()
        first = new_nik()
        patients.registered[first] = await admin.register(first)
        before = await admin.queue(patients.registered[first])

        fill_up()
        await patients.fill(admin)
        refused = await admin.upload(card(CLEAN[0]) + bytes(400_000))
        assert refused.status == 503, refused
        # What is known can still be read, unless the audit trail has no room to keep who did.
        assert (await admin.get("/users/profile")).body["id"] == admin.id
        read = await admin.get(f"/users/{patients.registered[first]}")
        assert read.body["nik"] == first if read.status == 200 else read.problem == "storage-full"
        assert (await admin.get("/queue")).body["data"][0]["id"] == before["id"]

        make_room()
        await patients.register_the_refused(admin)
        await patients.all_there_and_nobody_else(admin)
        after = await admin.queue(list(patients.registered.values())[-1])
        assert (before["number"], after["number"]) == ("A-001", "A-002")
        read = await admin.upload(card(CLEAN[0]), wait=30)
        assert (read.status, read.body["status"]) == (200, "REGISTERED"), read
        patients.registered[person(CLEAN[0])["nik"]] = read.body["user_id"]
    assert application.stop() == 0, application.log
    assert "Traceback" not in application.log

    application.start()
    async with client_at(application) as client:
        await client.ready()
        admin = await client.sign_in()
        await patients.all_there_and_nobody_else(admin)
        assert (await admin.get("/queue/statistics")).body["tickets"] == 3


async def test_a_disk_without_room(small_disk: Path) -> None:
    made_with_admin(small_disk)
    ballast = small_disk / "ballast"

    def fill_up() -> None:
        ballast.write_bytes(bytes(shutil.disk_usage(small_disk).free - 150_000))

    with running(small_disk) as application:
        await _fill_and_recover(application, fill_up, ballast.unlink)


async def test_files_that_may_not_grow(tmp_path: Path) -> None:
    """The same from another side: the system refuses to let any file grow, as a quota would, and then allows it."""
    made_with_admin(tmp_path)
    with running(tmp_path) as application:
        _, hard = resource.prlimit(application.pid, resource.RLIMIT_FSIZE)

        def fill_up() -> None:
            largest = max(file.stat().st_size for file in application.folder.iterdir())
            resource.prlimit(application.pid, resource.RLIMIT_FSIZE, (largest + 100_000, hard))

        def make_room() -> None:
            resource.prlimit(application.pid, resource.RLIMIT_FSIZE, (hard, hard))

        await _fill_and_recover(application, fill_up, make_room)
