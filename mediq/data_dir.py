"""The data folder: held by one process at a time, with the secrets that an embedded clinic makes for itself."""

import json
import os
import secrets
from pathlib import Path
from typing import Final

import filelock

from mediq.config import ConfigError

_SECRETS: Final = ("jwt_secret", "jwt_refresh_secret")


def hold_folder(folder: Path) -> filelock.BaseFileLock:
    """Take the data folder for this process alone, creating it when absent; release the lock to give it back.

    Raises:
        ConfigError: it cannot be written, or another MediQ has it.
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
    """The folder's own `jwt_secret` and `jwt_refresh_secret`, made at the first call.

    The file is written whole or not at all, and readable by its owner alone.

    Raises:
        ConfigError: the file cannot be used.
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
