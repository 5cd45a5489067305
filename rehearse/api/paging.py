"""Pages and windows of time (sections 1.6 and 1.7 of the API reference)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import Depends, Query, Request

from rehearse.api.errors import invalid
from rehearse.api.responses import Json
from rehearse.store.records import timestamp

LONGEST = timedelta(days=7)


@dataclass(frozen=True)
class Page:
    """`number` counts from 1."""

    number: int
    size: int

    @property
    def offset(self) -> int:
        return (self.number - 1) * self.size

    def envelope(self, results: list[Any], total: int) -> Json:
        """The answer. It is not held against its model again, which takes longer than to make it; a test does that."""
        return Json({"page": self.number, "pageSize": self.size, "total": total, "results": results})


_Number = Annotated[int, Query(ge=1, le=1_000_000_000)]


async def page(
    page: _Number = 1,
    page_size: Annotated[int | None, Query(ge=1, le=100)] = None,
    per_page: Annotated[int | None, Query(ge=1, le=100, include_in_schema=False)] = None,
) -> Page:
    """`per_page` is what old documents call the size."""
    return Page(page, page_size or per_page or 50)


async def short_page(page: _Number = 1, page_size: Annotated[int, Query(ge=1, le=50)] = 10) -> Page:
    return Page(page, page_size)


PageHere = Annotated[Page, Depends(page)]
ShortPageHere = Annotated[Page, Depends(short_page)]


@dataclass(frozen=True)
class Window:
    """Times as the store has them. Only what was asked for is in `given`: ids lift the window that nobody asked for."""

    start: str | None
    end: str | None
    given: bool

    def unless(self, has_ids: bool) -> tuple[str | None, str | None]:
        return (self.start, self.end) if self.given or not has_ids else (None, None)


async def window(
    request: Request,
    time_from: Annotated[datetime | None, Query(description="With a zone; at most 7 days before time_to.")] = None,
    time_to: Annotated[datetime | None, Query(description="With a zone.")] = None,
) -> Window:
    if time_from is None and time_to is None:
        since = datetime.now(UTC) - timedelta(hours=request.app.state.service.switches.window_hours)
        # Of whole minutes: who asks again asks for the same, and what was counted for it is known.
        return Window(timestamp(since.replace(second=0, microsecond=0)), None, False)
    for name, moment in (("time_from", time_from), ("time_to", time_to)):
        if moment is None:
            raise invalid(["query", name], "Give both time_from and time_to, or none of them", "missing")
        if moment.tzinfo is None:
            raise invalid(["query", name], "Give the time with Z or an offset", "timezone_aware")
    assert time_from is not None and time_to is not None
    try:
        start, end = time_from.astimezone(UTC), time_to.astimezone(UTC)
    except OverflowError:
        raise invalid(["query", "time_from"], "This time is out of range") from None
    if end < start:
        raise invalid(["query", "time_to"], "time_to must not be before time_from")
    if end - start > LONGEST:
        raise invalid(["query", "time_to"], "The window may span 7 days at most")
    return Window(timestamp(start), timestamp(end), True)


WindowHere = Annotated[Window, Depends(window)]


def comma_list(text: str | None) -> list[str]:
    """`a,b`; empty parts do not count."""
    return [part.strip() for part in (text or "").split(",") if part.strip()]
