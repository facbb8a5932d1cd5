"""The messages of the user service about users."""

from datetime import date
from typing import Annotated

import msgspec

from mediq.actors.users.auth_messages import Email, NewPassword, Tokens
from mediq.actors.users.user import User, UserId
from mediq.domain.roles import Role
from mediq.messages.pagination import Page, PageLimit, PageNumber
from mediq.messages.registry import Done, Request, request

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200, examples=["SITI CONTOH"])]
Text = Annotated[str, msgspec.Meta(max_length=300)]
NikText = Annotated[str, msgspec.Meta(max_length=32, examples=["3201155503900001"])]


class Ktp(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a card beside NIK and name, as printed."""

    provinsi: Text | None = None
    kabupaten_kota: Text | None = None
    tempat_lahir: Text | None = None
    tgl_lahir: Annotated[Text | None, msgspec.Meta(examples=["15-03-1990"])] = None
    jenis_kelamin: Text | None = None
    gol_darah: Text | None = None
    alamat: Text | None = None
    rt_rw: Text | None = None
    kel_desa: Text | None = None
    kecamatan: Text | None = None
    agama: Text | None = None
    status_perkawinan: Text | None = None
    pekerjaan: Text | None = None
    kewarganegaraan: Text | None = None
    berlaku_hingga: Text | None = None


@request("user.create")
class CreateUser(Request[User], Ktp, frozen=True, kw_only=True):
    """Create a user by hand: a patient needs NIK and name, staff need e-mail and password."""

    nama: Name
    nik: Annotated[NikText | None, msgspec.Meta(examples=["3201155503900001"])] = None
    email: Email | None = None
    password: NewPassword | None = None
    role: Role = Role.PASIEN


@request("user.create-from-ocr")
class CreateFromOcr(Request[User], Ktp, frozen=True, kw_only=True):
    """Register the holder of a card. A user who already has this NIK is returned unchanged."""

    nik: NikText
    nama: Name


@request("user.create-device")
class CreateDevice(Request[Tokens], frozen=True, kw_only=True):
    """Sign in a device that patients use alone. The session of the administrator who does it at the device ends."""

    nama: Annotated[Name, msgspec.Meta(examples=["Kios pintu masuk"])]


class NikKnown(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a user has a NIK, and which one."""

    exists: bool
    user_id: UserId | None = None


@request("user.check-nik", idempotent=True)
class CheckNik(Request[NikKnown], frozen=True, kw_only=True):
    """Whether a patient with this NIK is registered."""

    nik: NikText


@request("user.profile", idempotent=True)
class GetProfile(Request[User], frozen=True, kw_only=True):
    """The caller's own record."""


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """A user as the queue needs it: `patient` is whether the user has a NIK, `born` the date of birth if known."""

    id: str
    patient: bool
    born: date | None


@request("user.find-people", idempotent=True)
class FindPeople(Request[tuple[Person, ...]], frozen=True, kw_only=True):
    """Internal: the users with these ids, in no order; an id that no user has is left out."""

    ids: tuple[str, ...]


@request("user.read", idempotent=True)
class ReadUser(Request[User], frozen=True, kw_only=True):
    """One user's record, for staff; the audit trail records who read it."""

    id: UserId


@request("user.findAll", idempotent=True)
class FindUsers(Request[Page[User]], frozen=True, kw_only=True):
    """Users by name, NIK or e-mail, a page at a time."""

    page: PageNumber = 1
    limit: PageLimit = 20
    search: Annotated[str, msgspec.Meta(max_length=100)] | None = None
    role: Role | None = None


@request("user.updateRole", idempotent=True)
class UpdateRole(Request[User], frozen=True, kw_only=True):
    """Change a user's role; the user's sessions end."""

    id: UserId
    role: Annotated[Role, msgspec.Meta(examples=["OPERATOR"])]


@request("user.delete", idempotent=True)
class DeleteUser(Request[Done], frozen=True, kw_only=True):
    """Delete a user; the user's sessions end."""

    id: UserId
