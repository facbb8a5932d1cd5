"""The data folder: locked by one process at a time. It keeps the secrets that an embedded clinic generates."""

import json
import os
import secrets
from pathlib import Path
from typing import Final

import filelock

from mediq.config import ConfigError

_SECRETS: Final = ("jwt_secret", "jwt_refresh_secret")


def hold_folder(folder: Path) -> filelock.BaseFileLock:
    """Lock the data folder for this process, and create it if it is missing. Release the lock to free the folder.

    Raises:
        ConfigError: the folder cannot be written, or another MediQ process uses it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = filelock.FileLock(folder / "mediq.lock")
        lock.acquire(blocking=False)
    except filelock.Timeout:
        raise ConfigError(
            f"Another MediQ uses the data folder {folder}; stop it, or choose another folder with MEDIQ_DATA."
        ) from None
    except OSError as error:
        raise ConfigError(f"The data folder {folder} cannot be used: {error.strerror}.") from error
    return lock


def kept_secrets(folder: Path) -> dict[str, str]:
    """The `jwt_secret` and `jwt_refresh_secret` of this folder, generated at the first call.

    `secrets.json` is written atomically, and only its owner can read it.

    Raises:
        ConfigError: `secrets.json` cannot be read or written.
    """
    file = folder / "secrets.json"
    try:
        if not file.exists():
            made = {name: secrets.token_urlsafe(48) for name in _SECRETS}
            part = file.with_suffix(".part")
            part.unlink(missing_ok=True)
            with os.fdopen(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as stream:
                json.dump(made, stream)
                stream.flush()
                os.fsync(stream.fileno())
            part.replace(file)
        found = json.loads(file.read_text("utf-8"))
        return {name: str(found[name]) for name in _SECRETS}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{file} cannot be used: {error}. Delete it to sign everybody out and start anew.") from error
