"""Replies that are files instead of JSON: a picture, a table for a spreadsheet."""

from typing import Annotated

import msgspec


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A file. A browser offers to save a file with a `name`, and shows one without.

    A long file comes in parts: the same message with `next` as its `before` gives the next part; the last has none.
    """

    media_type: str
    content: bytes
    name: str | None = None
    next: str | None = None


Jpeg = Annotated[Document, msgspec.Meta(extra_json_schema={"contentMediaType": "image/jpeg"})]
Csv = Annotated[Document, msgspec.Meta(extra_json_schema={"contentMediaType": "text/csv"})]
