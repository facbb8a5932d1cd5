"""Answers that are files rather than JSON: a picture, a table for a spreadsheet."""

from typing import Annotated

import msgspec


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A file. With a `name` a browser offers to save it; without one it shows it.

    Of a long file it is one part: the same message with `next` as its `before` gives the next part, until that is None.
    """

    media_type: str
    content: bytes
    name: str | None = None
    next: str | None = None


Jpeg = Annotated[Document, msgspec.Meta(extra_json_schema={"contentMediaType": "image/jpeg"})]
Csv = Annotated[Document, msgspec.Meta(extra_json_schema={"contentMediaType": "text/csv"})]
