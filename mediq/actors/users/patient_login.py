"""Recognises a patient by name and date of birth, in the same time whether the clinic knows the patient or not."""

import secrets
from datetime import UTC, datetime
from typing import Final

from mediq.actors.users.auth_messages import LoginUser
from mediq.actors.users.user import User, normalise
from mediq.domain.card import parse_date
from mediq.domain.roles import Role

_NO_PATIENT: Final = User(
    id="",
    nama=secrets.token_hex(12),
    tgl_lahir="01-01-1900",
    role=Role.PASIEN,
    created_at=datetime.fromtimestamp(0, UTC),
    updated_at=datetime.fromtimestamp(0, UTC),
)
"""The record that a login is compared with when no patient has the NIK."""


def is_patient(found: User | None, login: LoginUser) -> bool:
    """Whether `found`, the user with the login's NIK, is a patient with the login's name and date of birth."""
    patient = found if found is not None and found.role == Role.PASIEN else _NO_PATIENT
    same_name = secrets.compare_digest(_comparable(patient.nama), _comparable(login.nama))
    same_birth_date = login.tgl_lahir is None or patient.born == parse_date(login.tgl_lahir)
    return same_name and same_birth_date and patient is not _NO_PATIENT


def _comparable(name: str) -> bytes:
    """The letters and digits of a name: cards and people differ in dots and spaces."""
    return "".join(c for c in normalise(name) if c.isalnum()).encode()
