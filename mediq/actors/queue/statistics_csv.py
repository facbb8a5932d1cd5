"""The clinic's figures as a table for a spreadsheet, part by part."""

from datetime import date, datetime
from typing import Final

from mediq.actors.queue.rules.queue import Queue
from mediq.actors.queue.rules.statistics import CSV_HEADER, Mark, csv_rows
from mediq.domain import csv_table as sheet
from mediq.domain.clinic import Clinic
from mediq.messages.document import Document
from mediq.messages.errors import Invalid

_ROWS: Final = 2000
"""After so many rows a part ends with the visit that it is at."""


def table(
    state: Queue, clinic: Clinic, first: date, last: date, *, service: str | None, before: str | None
) -> Document:
    """The steps of all visits from `first` to `last`; from the place that a part has named, the next part.

    Raises:
        Invalid: on field `to`, `service` or `before`.
    """
    rows: list[tuple[str, ...]] = [] if before else [CSV_HEADER]
    at: Mark | None = None
    following = None
    for mark, row in csv_rows(state, clinic, first, last, service, after=_mark(before) if before else None):
        if len(rows) >= _ROWS and mark != at:
            following = at
            break
        at = mark
        rows.append(row)
    of_service = f"{service}-" if service else ""
    return Document(
        media_type="text/csv; charset=utf-8",
        content=sheet.rows(rows),
        name=f"statistik-{of_service}{first}-{last}.csv",
        next=_text(following) if following else None,
    )


def _text(mark: Mark) -> str:
    day, at, number = mark
    return f"{day}/{at.isoformat()}/{number}"


def _mark(text: str) -> Mark:
    try:
        day, at, number = text.split("/")
        mark = (date.fromisoformat(day), datetime.fromisoformat(at), number)
        if mark[1].tzinfo is None:
            raise ValueError(text)
    except ValueError:
        raise Invalid.field("before", "Bagian tabel ini tidak dikenal.") from None
    return mark
