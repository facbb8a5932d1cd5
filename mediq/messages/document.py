"""Answers that are files rather than JSON: a picture, a table for a spreadsheet."""

import msgspec


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A file. With a `name` a browser offers to save it; without one it shows it."""

    media_type: str
    content: bytes
    name: str | None = None
