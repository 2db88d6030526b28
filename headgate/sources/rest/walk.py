"""A walk through one list: which pages are asked for, and the pages in order, however they came."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from headgate.errors import HeadgateError
from headgate.http import Failed
from headgate.sources.rest.answers import Page
from headgate.sources.rest.paging import (
    Ask,
    ChainedPager,
    CountedPager,
    End,
    Next,
    Pager,
    Standing,
    State,
    repeated,
    short,
    standing,
)

_MISSING = frozenset({404, 410})
_FETCHED_AHEAD = 16
_MOST_AHEAD = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A page to be asked for: the n-th of its walk, from 0.

    ``floor`` is the largest total that had been told when it was planned: an answer made after that
    which tells less shows that the list has shrunk.
    """

    ordinal: int
    state: State
    ask: Ask
    attempt: int = 1
    floor: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A page in its place."""

    ordinal: int
    state: State
    page: Page


@dataclass(slots=True, kw_only=True)
class Walk:
    """One list.

    ``params`` are its own values in every request, ``label`` is how positions name it, ``passed``
    how many pages were read before, where the pager does not know. ``out`` is how many pages are
    being asked for, ``held_bytes`` how much is held of pages that nobody has taken. ``held_back``
    says that a record was passed over, which the next reading must meet again.
    ``attempts`` is how often a page that leads nowhere is asked for before it is an error;
    ``speculate`` how many pages are asked for beyond the last that is known.
    """

    pager: Pager
    stop: frozenset[str]
    attempts: int
    speculate: int
    start: State = None
    address: str = ""
    params: Mapping[str, object] = field(default_factory=dict)
    label: str = ""
    passed: int = 0
    ready: deque[Given] = field(default_factory=deque)
    failure: HeadgateError | None = None
    ended: bool = False
    shrank: bool = False
    held_back: bool = False
    out: int = 0
    held_bytes: int = 0
    total: int | None = None
    _todo: deque[Visit] = field(default_factory=deque)
    _early: dict[int, Page | HeadgateError | None] = field(default_factory=dict)
    _attempts: dict[int, int] = field(default_factory=dict)
    _asked: int = 0
    _placed: int = 0
    _known: int | None = None
    _highest: int = 0
    _seen: set[State] = field(default_factory=set)
    _digests: set[str] = field(default_factory=set)
    _state: State = None
    _last: Page | None = None

    def __post_init__(self) -> None:
        """Begin with the first page alone: it says how many there are."""
        state = self.pager.first() if self.start is None else self.start
        self._plan(0, state)
        self._asked = 1

    def wanted(self) -> Visit | None:
        """Give the next page to ask for; None where nothing can be asked for now."""
        visit = self._next_visit()
        self.out += visit is not None
        return visit

    def _next_visit(self) -> Visit | None:
        if self.ended or self.failure is not None:
            return None
        if self._todo:
            visit = self._todo[0]
            if visit.ordinal > 0 and len(self.ready) >= _FETCHED_AHEAD and not self._counted():
                return None
            return self._todo.popleft()
        counted = self._counted()
        if counted is None or self._placed == 0 or self._asked - self._placed >= self._ahead():
            return None
        if self._known is not None and self._begin() + self._asked >= self._known:
            return None
        self._plan(self._asked, counted.at(self._begin() + self._asked))
        self._asked += 1
        return self._todo.popleft()

    def arrived(self, visit: Visit, result: Page | BaseException) -> None:
        """Take what a visit gave; pages are placed in order as far as they are there."""
        self.out -= 1
        if isinstance(result, Page):
            self._early[visit.ordinal] = self._counted_in(visit, result)
            self.held_bytes += len(result.body)
        elif isinstance(result, Failed):
            missing = result.status in _MISSING and "missing" in self.stop and visit.ordinal > 0
            self._early[visit.ordinal] = None if missing else result.error
        elif isinstance(result, HeadgateError):
            self._early[visit.ordinal] = result
        else:
            raise result
        while not self.ended and self.failure is None and self._placed in self._early:
            self._place(self._early.pop(self._placed))
        if self.ended:
            self._drop_early()

    def take(self) -> Given | None:
        """Give the next page in order; None where it is not there yet."""
        if not self.ready:
            return None
        given = self.ready.popleft()
        self.held_bytes -= len(given.page.body)
        return given

    def stop_here(self) -> None:
        """Ask for no more pages, and drop those that are there."""
        self.ended = True
        self.ready.clear()
        self._todo.clear()
        self._drop_early()

    def _drop_early(self) -> None:
        """Drop pages beyond the end."""
        self._early.clear()
        self.held_bytes = sum(len(given.page.body) for given in self.ready)

    # -- placing

    def _counted_in(self, visit: Visit, page: Page) -> Page | HeadgateError:
        """Hear a page's total when it comes: in the order of pages, totals may go up and down."""
        counted = self._counted()
        try:
            total = None if counted is None else counted.total(page)
        except HeadgateError as error:
            return error
        if total is not None:
            self.shrank = self.shrank or total < visit.floor
            self._highest = max(self._highest, total)
        return page

    def _place(self, page: Page | HeadgateError | None) -> None:
        if page is None:
            self.ended = True
            return
        if isinstance(page, HeadgateError):
            self.failure = self._located(page)
            return
        ordinal = self._placed
        state = self._state_of(ordinal)
        try:
            self._judge(ordinal, state, page)
        except HeadgateError as error:
            self.failure = self._located(error)

    def _judge(self, ordinal: int, state: State, page: Page) -> None:
        if self._counted() and self._is_repeated(page):
            if "repeated" in self.stop:
                self.ended = True
            else:
                self._again(ordinal, state, page, repeated(page))
            return
        if self._last is not None and isinstance(self.pager, ChainedPager):
            self.pager.refuse_tie(self._last, page)
        outcome = self.pager.after(state, page)
        if isinstance(outcome, Next) and not self._counted() and outcome.state in self._seen:
            outcome = Standing(standing(page, outcome.state))
        if isinstance(outcome, Standing):
            self._again(ordinal, state, page, outcome.error)
            return
        self._count(page)
        self._refuse_short(page, outcome)
        self._placed += 1
        self._last = page
        if self._counted() and page.records:
            self._digests.add(page.digest)
        self.ready.append(Given(ordinal=ordinal, state=state, page=page))
        if isinstance(outcome, End):
            self.ended = True
        elif not self._counted():
            self._seen.add(state)
            self._seen.add(outcome.state)
            self._plan(ordinal + 1, outcome.state)

    def _refuse_short(self, page: Page, outcome: End | Next) -> None:
        counted, last = self._counted(), self._last
        if counted is None:
            return
        if last is not None and page.records and counted.is_short(last):
            raise short(last)
        if self._known is not None and isinstance(outcome, Next) and counted.is_short(page):
            raise short(page)

    def _is_repeated(self, page: Page) -> bool:
        """Say whether it is a page that was given before; a single record may well be the same."""
        if not page.records or self._last is None:
            return False
        alone = len(page.records) == 1
        return page.digest == self._last.digest if alone else page.digest in self._digests

    def _again(self, ordinal: int, state: State, page: Page, error: HeadgateError) -> None:
        """Ask for a page once more: it may have been a slip of the server's."""
        self.held_bytes -= len(page.body)
        attempt = self._attempts.get(ordinal, 1)
        if attempt >= self.attempts:
            self.failure = self._located(error)
            return
        self._attempts[ordinal] = attempt + 1
        self._todo.appendleft(
            Visit(
                ordinal=ordinal,
                state=state,
                ask=self.pager.ask(state),
                attempt=attempt + 1,
                floor=self._highest,
            )
        )

    def _count(self, page: Page) -> None:
        counted = self._counted()
        if counted is None:
            return
        self.total = counted.total(page)
        count = counted.count(page)
        if count is not None:
            self._known = max(count, self._known or 0)

    def _located(self, error: HeadgateError) -> HeadgateError:
        """Say which page it is about, if it is about one: a secret is asked for before any."""
        if "secret" in error.facts:
            return error
        page = self.position(self._placed)
        said = type(error)(
            error.code,
            f"{page[0].upper()}{page[1:]}: {error.message}",
            readers=error.readers,
            hint=error.hint,
        )
        said.facts = {**error.facts, "page": page}
        said.__cause__ = error.__cause__
        return said

    # -- states

    def position(self, ordinal: int) -> str:
        """Name a page: ``page 3``, or ``orders/17, page 3``; pages are counted from 1."""
        number = f"page {self._begin() + self.passed + ordinal + 1}"
        return f"{self.label}, {number}" if self.label else number

    def _plan(self, ordinal: int, state: State) -> None:
        self._state = state
        ask = self.pager.ask(state)
        self._todo.append(Visit(ordinal=ordinal, state=state, ask=ask, floor=self._highest))

    def _state_of(self, ordinal: int) -> State:
        counted = self._counted()
        return self._state if counted is None else counted.at(self._begin() + ordinal)

    def _counted(self) -> CountedPager | None:
        return self.pager if isinstance(self.pager, CountedPager) else None

    def _begin(self) -> int:
        counted = self._counted()
        return 0 if counted is None or self.start is None else counted.ordinal(self.start)

    def _ahead(self) -> int:
        return _MOST_AHEAD if self._known is not None else self.speculate
