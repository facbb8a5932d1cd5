"""Pages of lists."""

from typing import Annotated, Generic, TypeVar

import msgspec

Item = TypeVar("Item")

PageNumber = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
PageLimit = Annotated[int, msgspec.Meta(ge=1, le=100)]


class Pagination(msgspec.Struct, frozen=True, kw_only=True):
    """The number of a page, from 1, its size, and the number of items and pages in all."""

    page: int
    limit: Annotated[int, msgspec.Meta(examples=[20])]
    total: int
    pages: int


class Page(msgspec.Struct, Generic[Item], frozen=True, kw_only=True):
    """One page of a list: `data` are its items."""

    data: list[Item]
    pagination: Pagination

    @classmethod
    def of(cls, data: list[Item], *, page: int, limit: int, total: int) -> "Page[Item]":
        """The page with number `page` of a list of `total` items, `limit` to a page."""
        return cls(
            data=data,
            pagination=Pagination(page=page, limit=limit, total=total, pages=-(-total // limit)),
        )
