"""Types of the fields that commands and views share, with examples for the description of the API.

Only the types of commands have limits. Views have none: the reply of another version must stay readable.
"""

from typing import Annotated

import msgspec

ShownUserId = Annotated[str, msgspec.Meta(examples=["0d8e6a5c4b3f4a2e9c1d7f6e5b4a3c2d"])]
ShownTicketId = Annotated[str, msgspec.Meta(examples=["5b0f2f6c9d1e4f0e8a7c3b2d1f0e9a8b"])]
ShownCounterId = Annotated[str, msgspec.Meta(examples=["1"])]
ShownServiceId = Annotated[str, msgspec.Meta(examples=["umum"])]
TicketNumber = Annotated[str, msgspec.Meta(examples=["A-012"])]
Token = Annotated[str, msgspec.Meta(examples=["q3VbX0n9T1yKc7dLw2ZfRg"])]
"""The unguessable part of a patient's link."""

UserId = Annotated[ShownUserId, msgspec.Meta(min_length=1, max_length=64)]
TicketId = Annotated[ShownTicketId, msgspec.Meta(min_length=1, max_length=64)]
CounterId = Annotated[ShownCounterId, msgspec.Meta(min_length=1, max_length=40)]
ServiceId = Annotated[ShownServiceId, msgspec.Meta(min_length=1, max_length=40)]
PriorityReason = Annotated[str, msgspec.Meta(max_length=200, examples=["hamil"])]
Why = Annotated[
    str, msgspec.Meta(max_length=200, pattern=r"^(?![\s\S]*([0-9][ .-]?){16})", examples=["diminta pasien"])
]
"""A reason for the audit trail, which keeps the text as written. Sixteen digits are refused: they may be a NIK."""
