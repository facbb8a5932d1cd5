"""Who is asking."""

import msgspec

from mediq.domain.roles import Role


class Principal(msgspec.Struct, frozen=True, array_like=True):
    """An authenticated caller, as the gateway vouches for them inside the house."""

    user_id: str
    role: Role
    session_id: str = ""

    @property
    def staff(self) -> bool:
        return self.role in (Role.OPERATOR, Role.ADMIN_FASKES)
