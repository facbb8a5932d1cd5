"""Who is asking."""

import msgspec
import pytest

from mediq.domain.roles import Role
from mediq.messages.principal import Principal


@pytest.mark.parametrize(("role", "staff"), [(Role.PASIEN, False), (Role.OPERATOR, True), (Role.ADMIN_FASKES, True)])
def test_operators_and_administrators_are_staff(role: Role, staff: bool) -> None:
    assert Principal("u", role).staff is staff


@pytest.mark.parametrize("role", Role)
def test_a_principal_survives_the_wire(role: Role) -> None:
    sent = Principal("user-1", role, "session-1")
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(sent), type=Principal) == sent


def test_a_role_that_does_not_exist_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(msgspec.msgpack.encode(["u", "ROOT", ""]), type=Principal)
