"""Who may sign in to the clinic."""

from enum import StrEnum


class Role(StrEnum):
    """A patient, someone at a counter, whoever runs the clinic's system, or a device that patients use alone."""

    PASIEN = "PASIEN"
    OPERATOR = "OPERATOR"
    ADMIN_FASKES = "ADMIN_FASKES"
    KIOSK = "KIOSK"
