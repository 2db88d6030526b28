"""Which request comes next: small machines from a state to a request, from a page to a state.

Pure. A state is JSON, so that it can stand in a cursor.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Protocol, TypeAlias

from headgate.errors import Invalid, Unavailable
from headgate.http import followed, without_query
from headgate.sources.rest.answers import Page, is_missing
from headgate.sources.rest.declaration import Chained, Counted
from headgate.sources.rest.links import link_to
from headgate.sources.rest.paths import Path, picker, written

State: TypeAlias = str | int | float | None
"""Where a page is: its number, offset, cursor, address, or the key before it; None is the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What of a request is the page's own: values by name, or a whole address."""

    values: Mapping[str, object]
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Next:
    """There is a page at that state."""

    state: State


@dataclass(frozen=True, slots=True)
class End:
    """The list has ended."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The page leads to where it is itself: asked again, and then given up with that error."""

    error: Unavailable | Invalid


Outcome: TypeAlias = Next | End | Standing


class Pager(Protocol):
    """One way to divide a list."""

    def first(self) -> State:
        """Give the first page's state."""
        ...

    def ask(self, state: State) -> Ask:
        """Give what asks for a page."""
        ...

    def after(self, state: State, page: Page) -> Outcome:
        """Say what comes after a page."""
        ...

    def resumed(self, state: State, page: Page, records: int) -> tuple[State, int]:
        """Give where to go on when ``records`` of that page are done, and how many to pass over."""
        ...


class OnePage:
    """A list that is one answer."""

    def first(self) -> State:
        """Give None."""
        return None

    def ask(self, state: State) -> Ask:  # noqa: ARG002 - there is one
        """Ask for it."""
        return Ask(values={})

    def after(self, state: State, page: Page) -> Outcome:  # noqa: ARG002
        """Say that it was all."""
        return End()

    def resumed(self, state: State, page: Page, records: int) -> tuple[State, int]:  # noqa: ARG002
        """Pass over what was read."""
        return state, records


class CountedPager:
    """Pages by number or offset."""

    def __init__(self, paging: Counted) -> None:
        self._paging = paging
        self._step = (paging.size or 1) if paging.by == "offset" else 1

    def first(self) -> State:
        """Give the first number."""
        return self._paging.first

    def ask(self, state: State) -> Ask:
        """Ask for a page by number."""
        sized = self._paging.size_parameter
        size = {sized: self._paging.size} if sized and self._paging.size is not None else {}
        return Ask(values={self._paging.parameter: state, **size})

    def at(self, ordinal: int) -> int:
        """Give the state of the n-th page, from 0."""
        return self._paging.first + ordinal * self._step

    def ordinal(self, state: State) -> int:
        """Give which page a state is, from 0."""
        return (int(state or 0) - self._paging.first) // self._step

    def after(self, state: State, page: Page) -> Outcome:
        """Go on, unless the page is empty, or short where that counts."""
        size = self._paging.size
        if not page.records:
            return End()
        if "short" in self._paging.stop and size is not None and len(page.records) < size:
            return End()
        count = self.count(page)
        ordinal = self.ordinal(state)
        if count is not None and ordinal + 1 >= count:
            return End()
        return Next(self.at(ordinal + 1))

    def total(self, page: Page) -> int | None:
        """Give how many records the page says there are, or how many pages; None without."""
        path = self._paging.total or self._paging.total_pages
        return None if path is None else _count(page, path)

    def count(self, page: Page) -> int | None:
        """Give how many pages there are, as far as the page says."""
        if self._paging.total_pages is not None:
            return _count(page, self._paging.total_pages)
        if self._paging.total is None:
            return None
        return ceil(_count(page, self._paging.total) / (self._paging.size or 1))

    def is_short(self, page: Page) -> bool:
        """Say whether no page can follow one that short: the next would begin elsewhere."""
        size = self._paging.size
        if size is None or self._paging.gaps or self._paging.total_pages is not None:
            return False
        counts = self._paging.by == "offset" or self._paging.total is not None
        return counts and len(page.records) < size

    @property
    def counts_records(self) -> bool:
        """Whether the total is that of the records in its pages."""
        return self._paging.total is not None and not self._paging.gaps

    def resumed(self, state: State, page: Page, records: int) -> tuple[State, int]:  # noqa: ARG002
        """Begin with that page again: it may have grown."""
        return state, records


class ChainedPager:
    """Pages that each tell the next."""

    def __init__(self, paging: Chained, hidden: Collection[str] = ()) -> None:
        self._paging = paging
        self._hidden = hidden
        self._key = picker(paging.field) if paging.field is not None else None

    def first(self) -> State:
        """Give None: the first page is asked for without a cursor."""
        return None

    def ask(self, state: State) -> Ask:
        """Ask from a cursor on, or at an address."""
        sized = self._paging.size_parameter
        size = {sized: self._paging.size} if sized and self._paging.size is not None else {}
        if state is None:
            return Ask(values=size)
        if self._paging.by in {"url", "link"}:
            return Ask(values={}, url=str(state))
        return Ask(values={**size, self._paging.parameter: state})

    def after(self, state: State, page: Page) -> Outcome:
        """Follow what the page says comes next."""
        size = self._paging.size
        if "short" in self._paging.stop and size is not None and len(page.records) < size:
            return End()
        if self._paging.more is not None and not _says_more(page, self._paging.more):
            return End()
        following = self._following(page)
        if following is None or following == "":
            return End()
        if following == state:
            return Standing(standing(page, following))
        return Next(following)

    def _following(self, page: Page) -> State:
        paging = self._paging
        if paging.by == "link":
            return self._address(page, link_to(page.headers.get("link", ""), "next"))
        if paging.by == "key":
            return self._last_key(page)
        if paging.header is not None:
            return page.headers.get(paging.header.lower())
        value = page.value(paging.next or ())
        if is_missing(value) or value is False:
            return None
        if paging.by == "url":
            return self._address(page, str(value))
        return value if isinstance(value, (str, int, float)) else json.dumps(value)

    def _address(self, page: Page, target: str | None) -> str | None:
        """Give the address that a page means, without credentials that the API has put into it."""
        return without_query(followed(page.url, target), self._hidden) if target else None

    def _last_key(self, page: Page) -> State:
        if not page.records or self._key is None:
            return None
        value = self._key(page.records[-1])
        if isinstance(value, (str, int, float)) and not isinstance(value, bool):
            return value
        raise Invalid(
            "key-missing",
            f"The last record of {page.url} has no {written(self._paging.field or ())!r} to go on"
            " from.",
            hint='Name the field the list is ordered by: pages={"by": "key", "field": ...}.',
            url=page.url,
        )

    def refuse_tie(self, before: Page, page: Page) -> None:
        """Refuse a page that goes on behind a key which several records had: others may have it.

        Raises:
            Invalid: ``key-not-unique``.
        """
        if self._key is None or len(before.records) < 2:  # noqa: PLR2004 - two have one key
            return
        key = self._key(before.records[-1])
        goes_on_at = bool(page.records) and self._key(page.records[0]) == key
        if self._key(before.records[-2]) == key and not goes_on_at:
            raise Invalid(
                "key-not-unique",
                f"The last records of {before.url} have one {written(self._paging.field or ())!r}, "
                "and the next page goes on behind it: more that have it would be passed over.",
                hint="Name a field that tells every record apart, such as its id, and let the API "
                "order by it; or page by cursor.",
                url=before.url,
            )

    def resumed(self, state: State, page: Page, records: int) -> tuple[State, int]:
        """Go on from the last key; else begin with that page again."""
        if self._paging.by == "key" and records == len(page.records) and records:
            return self._last_key(page), 0
        return state, records


def pager(paging: Counted | Chained | None, hidden: Collection[str] = ()) -> Pager:
    """Give the machine of a way to divide a list.

    ``hidden`` query values are credentials: an address that an API gives back with them is kept
    without them.
    """
    if paging is None:
        return OnePage()
    return CountedPager(paging) if isinstance(paging, Counted) else ChainedPager(paging, hidden)


def standing(page: Page, following: State) -> Unavailable:
    """Give the error for a cursor that does not advance."""
    return Unavailable(
        "cursor-standing",
        f"{page.url} leads to a page that was read before: its cursor does not advance.",
        hint="Is the parameter of pages= the one the API knows? One that it does not know is"
        " ignored, and every page is the first.",
        url=page.url,
        cursor=str(following)[:200],
    )


def short(page: Page) -> Invalid:
    """Give the error for a page that is too short to be followed by others."""
    return Invalid(
        "page-short",
        f"{page.url} has {len(page.records)} records, fewer than a page's size, and is not the last"
        " page: counted on, records would be passed over.",
        hint='Say the size the API really gives: pages={..., "size": ...}; or, where it leaves'
        ' records out of its pages, "gaps": True.',
        url=page.url,
        records=len(page.records),
    )


def repeated(page: Page) -> Unavailable:
    """Give the error for a page that is the same as the one before it."""
    return Unavailable(
        "page-repeated",
        f"{page.url} is the same as a page before it.",
        hint="Is the parameter of pages= the one the API knows? Where the API gives its last page"
        ' again and again, say stop="repeated".',
        url=page.url,
    )


def _says_more(page: Page, path: Path) -> bool:
    value = page.value(path)
    return value not in (None, False, 0, "", "false") and not is_missing(value)


def _count(page: Page, path: Path) -> int:
    value = page.value(path)
    if isinstance(value, str) and value.isdigit():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Invalid(
            "total-missing",
            f"{page.url} says no number at {written(path)!r}.",
            hint="Check total= or total_pages= of pages=.",
            url=page.url,
        )
    return value
