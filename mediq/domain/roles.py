"""The roles of users."""

from enum import StrEnum


class Role(StrEnum):
    """A patient, an operator at a counter, the clinic's administrator, or a device that patients use alone."""

    PASIEN = "PASIEN"
    OPERATOR = "OPERATOR"
    ADMIN_FASKES = "ADMIN_FASKES"
    KIOSK = "KIOSK"
