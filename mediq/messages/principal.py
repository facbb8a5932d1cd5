"""The caller of a request."""

import msgspec

from mediq.domain.roles import Role


class Principal(msgspec.Struct, frozen=True, array_like=True):
    """An authenticated caller; the other services trust the gateway's check."""

    user_id: str
    role: Role
    session_id: str = ""

    @property
    def staff(self) -> bool:
        """Whether the caller works at the clinic."""
        return self.role in (Role.OPERATOR, Role.ADMIN_FASKES)
