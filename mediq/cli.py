"""The commands of `python -m mediq` besides running: `scan`, `admin create`, `check`, `backup`, `restore`."""

import asyncio
import getpass
import json
import shutil
import sqlite3
import sys
import tarfile
import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from mediq.actors.users.auth_messages import Email, NewPassword
from mediq.actors.users.passwords import hash_password
from mediq.actors.users.user import User
from mediq.actors.users.users import UserStore
from mediq.app import now
from mediq.card_reading import load_reader
from mediq.config import ConfigError, Settings
from mediq.data_dir import hold_folder
from mediq.domain.card import REFUSALS, Reading
from mediq.domain.roles import Role
from mediq.messages.audit_entry import AuditEntry
from mediq.messages.errors import DomainError
from mediq.store_factory import database_url
from mediq.stores.database import migrate, open_database

_FILES: Final = ("users.db", "queue.db", "cards.db", "secrets.json")


def scan(settings: Settings, images: Sequence[Path], *, as_json: bool) -> int:
    """Read cards from image files and print their fields, in the order given.

    Returns 0, also if a card is refused, and 1 if a file could not be opened.
    """
    read = load_reader(settings.ocr.threads)
    status = 0
    for path in images:
        try:
            reading = read(path.read_bytes())
        except OSError as error:
            print(f"{path}: {error.strerror}", file=sys.stderr)  # noqa: T201
            status = 1
            reading = read(b"")
        print(_as_json(path, reading) if as_json else _as_text(path, reading), flush=True)  # noqa: T201
    return status


def _as_json(path: Path, reading: Reading) -> str:
    """One line in the shape of `GET /ocr/result`. Nothing is registered, so the status describes the reading alone."""
    fields = {
        name: {"value": field.value, "confidence": field.confidence, "certain": field.certain}
        for name, field in reading.fields.items()
    }
    return json.dumps(
        {
            "id": str(path),
            "status": ("PROCESSING" if reading.certain else "NEEDS_REVIEW") if reading.is_ktp else "REJECTED",
            "is_ktp": reading.is_ktp,
            "reason": reading.reason,
            "fields": fields,
            "warnings": reading.warnings,
            "user_id": None,
            "ticket": None,
            "elapsed_ms": reading.elapsed_ms,
        },
        ensure_ascii=False,
    )


def _as_text(path: Path, reading: Reading) -> str:
    if not reading.is_ktp:
        return f"{path}: {REFUSALS[reading.reason] if reading.reason else 'ditolak'}"
    lines = [f"{path}  ({reading.elapsed_ms} ms)"]
    lines += [f"  {'' if field.certain else '?':1} {name:18} {field.value}" for name, field in reading.fields.items()]
    return "\n".join([*lines, *(f"  ! {warning}" for warning in reading.warnings)])


def create_admin(settings: Settings, email: str, *, password_stdin: bool) -> int:
    """Make an administrator (role ADMIN_FASKES), before the first start or at any later time."""
    _expect(email, Email, "The e-mail address is not valid.")
    password = sys.stdin.readline().rstrip("\r\n") if password_stdin else _ask_password()
    _expect(password, NewPassword, "The password must have 10 to 256 characters.")

    async def create() -> None:
        settings.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        engine = open_database(database_url(settings))
        try:
            await migrate(engine)
            created = now()
            admin = User(
                id=uuid.uuid4().hex,
                nama=email.partition("@")[0],
                email=email,
                role=Role.ADMIN_FASKES,
                created_at=created,
                updated_at=created,
            )
            act = AuditEntry(at=created, action="user.create", subject=admin.id, why="admin create")
            await UserStore(engine).create(admin, password_hash=hash_password(password), act=act)
        finally:
            await engine.dispose()

    try:
        asyncio.run(create())
    except DomainError as error:
        raise ConfigError(error.detail) from None
    print(f"{email} is an ADMIN_FASKES now.")  # noqa: T201
    return 0


def _ask_password() -> str:
    password = getpass.getpass("Password: ")
    if getpass.getpass("Once more: ") != password:
        raise ConfigError("The two passwords differ.")
    return password


def _expect(value: str, kind: object, sentence: str) -> None:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        raise ConfigError(sentence) from None


def check(settings: Settings) -> int:
    """Check that MediQ could start with these settings: data folder, database and card reader."""
    hold_folder(settings.folder).release()
    print(f"data folder  {settings.folder}: ok")  # noqa: T201

    async def database() -> None:
        engine = open_database(database_url(settings))
        try:
            await migrate(engine)
        finally:
            await engine.dispose()

    asyncio.run(database())
    print("database     ok")  # noqa: T201
    load_reader(settings.ocr.threads)
    print("card reader  ok")  # noqa: T201
    print(  # noqa: T201
        f"clinic       {settings.clinic.name}: {len(settings.clinic.services)} services, "
        f"{len(settings.clinic.counters)} counters, {settings.clinic.timezone}"
    )
    return 0


def backup(settings: Settings, file: Path) -> int:
    """Copy the whole data folder into one archive, also while MediQ runs.

    Like the folder, the archive holds the pictures of cards that are being read or wait for review.
    """
    if not settings.folder.is_dir():
        raise ConfigError(f"There is no data folder {settings.folder} to back up.")
    part = file.with_name(file.name + ".part")
    part.touch(0o600)
    with tempfile.TemporaryDirectory() as folder:
        # Cards refer to tickets, and tickets to users. Copied in this order, every reference finds its target.
        for name in ("cards.db", "queue.db", "users.db"):
            if (source := settings.folder / name).exists():
                _copy_database(source, Path(folder) / name)
        with tarfile.open(part, "w:gz") as archive:
            part.chmod(0o600)
            for name in _FILES:
                base = settings.folder if name.endswith(".json") else Path(folder)
                if (base / name).exists():
                    archive.add(base / name, name)
    part.replace(file)
    print(f"{file}: {file.stat().st_size:,} bytes")  # noqa: T201
    return 0


def _copy_database(source: Path, target: Path) -> None:
    origin, copy = sqlite3.connect(source), sqlite3.connect(target)
    try:
        origin.backup(copy)
    finally:
        origin.close()
        copy.close()


def restore(settings: Settings, file: Path) -> int:
    """Unpack a backup into an empty data folder."""
    lock = hold_folder(settings.folder)
    try:
        # No file may be left over: SQLite would apply an old write-ahead log to the restored database.
        if leftovers := sorted(file.name for file in settings.folder.iterdir() if file.name != "mediq.lock"):
            raise ConfigError(
                f"{settings.folder} already holds {', '.join(leftovers)}; restore into an empty folder (MEDIQ_DATA)."
            )
        try:
            with tarfile.open(file) as archive, tempfile.TemporaryDirectory(dir=settings.folder) as folder:
                members = [member for member in archive.getmembers() if member.name in _FILES and member.isfile()]
                if not members:
                    raise ConfigError(f"{file} is no backup of MediQ.")
                for member in members:  # by hand: Debian 12's Python has no safe extractall
                    content = archive.extractfile(member)
                    if content is None:
                        raise ConfigError(f"{file} is no backup of MediQ.")
                    with content, (Path(folder) / member.name).open("xb") as copy:
                        shutil.copyfileobj(content, copy)
                for member in members:
                    (Path(folder) / member.name).chmod(0o600)
                    (Path(folder) / member.name).replace(settings.folder / member.name)
        except (OSError, tarfile.TarError) as error:
            first, *_ = str(error).splitlines() or [type(error).__name__]
            raise ConfigError(f"{file} cannot be read: {first.rstrip(':.')}.") from error
    finally:
        lock.release()
    print(f"{settings.folder}: {len(members)} files restored")  # noqa: T201
    return 0
