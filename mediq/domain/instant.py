"""The type of times in messages."""

from datetime import datetime
from typing import Annotated

import msgspec

Instant = Annotated[datetime, msgspec.Meta(tz=True)]
"""A point in time, always with its offset from UTC (RFC 3339)."""
