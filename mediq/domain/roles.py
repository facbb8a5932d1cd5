"""Who may sign in to the clinic."""

from enum import StrEnum


class Role(StrEnum):
    """A patient, someone at a counter, or whoever runs the clinic's system."""

    PASIEN = "PASIEN"
    OPERATOR = "OPERATOR"
    ADMIN_FASKES = "ADMIN_FASKES"
