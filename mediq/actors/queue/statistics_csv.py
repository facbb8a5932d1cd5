"""The statistics' visits as a table for a spreadsheet, part by part."""

from datetime import date, datetime
from typing import Final

from mediq.actors.queue.rules.queue import Queue
from mediq.actors.queue.rules.statistics import CSV_HEADER, VisitKey, csv_rows
from mediq.domain import csv_table
from mediq.domain.clinic import Clinic
from mediq.messages.document import Document
from mediq.messages.errors import Invalid

_ROWS: Final = 2000
"""The number of rows after which a part ends, once the visit of its last row is whole."""


def table(
    state: Queue, clinic: Clinic, first: date, last: date, *, service: str | None, before: str | None
) -> Document:
    """The steps of all visits from `first` to `last`; with a part's `next` as `before`, the part that follows.

    Raises:
        Invalid: on field `to`, `service` or `before`.
    """
    rows: list[tuple[str, ...]] = [] if before else [CSV_HEADER]
    at: VisitKey | None = None
    following = None
    for key, row in csv_rows(state, clinic, first, last, service, after=_parse(before) if before else None):
        if len(rows) >= _ROWS and key != at:
            following = at
            break
        at = key
        rows.append(row)
    of_service = f"{service}-" if service else ""
    return Document(
        media_type="text/csv; charset=utf-8",
        content=csv_table.rows(rows),
        name=f"statistik-{of_service}{first}-{last}.csv",
        next=_text(following) if following else None,
    )


def _text(key: VisitKey) -> str:
    day, at, number = key
    return f"{day}/{at.isoformat()}/{number}"


def _parse(text: str) -> VisitKey:
    try:
        day, at, number = text.split("/")
        key = (date.fromisoformat(day), datetime.fromisoformat(at), number)
        if key[1].tzinfo is None:
            raise ValueError(text)
    except ValueError:
        raise Invalid.field("before", "Bagian tabel ini tidak dikenal.") from None
    return key
