"""Walks side by side: their pages in order, fetched ahead as far as memory and manners allow."""

from collections import deque
from collections.abc import Callable, Iterator
from typing import TypeAlias

from headgate.http import Crew
from headgate.sources.cursors import Cursor
from headgate.sources.rest.answers import Page
from headgate.sources.rest.walk import Given, Visit, Walk

HELD_BYTES = 64 << 20
Fetch: TypeAlias = Callable[[Walk, Visit], Page]
Stage: TypeAlias = Walk | Cursor
"""A walk, or the cursor that is true when all walks before it are done."""


class Party:
    """Leads walks through their lists with one crew."""

    def __init__(self, crew: Crew[Page], fetch: Fetch, host: str, *, width: int) -> None:
        self._crew = crew
        self._fetch = fetch
        self._host = host
        self._width = width
        self._walks: deque[Stage] = deque()
        self._handed_in = 0
        self._broken: BaseException | None = None

    def pages(self, stages: Iterator[Stage]) -> Iterator[tuple[Walk, Given] | Cursor]:
        """Give the pages of all walks in their order, and each cursor in its place.

        Raises:
            HeadgateError: a page could not be had; all before it have been given.
        """
        exhausted = False
        while True:
            while not exhausted and len(self._walks) <= 2 * self._width:
                stage = next(stages, None)
                exhausted = stage is None
                if stage is not None:
                    with self._crew.lock:
                        self._walks.append(stage)
                        self._fill()
            if not self._walks:
                return
            first = self._walks[0]
            if isinstance(first, Cursor):
                self._walks.popleft()
                yield first
                continue
            given = self._next(first)
            if given is None:
                with self._crew.lock:
                    self._walks.popleft()
                    self._fill()
                continue
            yield first, given

    def _next(self, walk: Walk) -> Given | None:
        """Wait for a walk's next page; None where it is done."""
        crew = self._crew
        with crew.lock:
            while True:
                if self._broken is not None:
                    raise self._broken
                self._fill()
                given = walk.take()
                if given is not None:
                    self._fill()
                    return given
                if walk.failure is not None:
                    raise walk.failure
                if walk.ended:
                    return None
                crew.changed.wait()

    def _fill(self) -> None:
        """Hand in what may be asked for now; the first walk is never kept waiting for memory."""
        for walk in self._walks:
            if isinstance(walk, Cursor):
                continue
            while self._may_ask(walk):
                visit = walk.wanted()
                if visit is None:
                    break
                self._hand_in(walk, visit)

    def _may_ask(self, walk: Walk) -> bool:
        if walk is self._walks[0] and not walk.ready and not walk.out:
            return True
        busy = self._handed_in - self._crew.waiting
        if busy >= 2 * self._width:
            return False
        return sum(w.held_bytes for w in self._walks if isinstance(w, Walk)) < HELD_BYTES

    def _hand_in(self, walk: Walk, visit: Visit) -> None:
        def do() -> Page:
            return self._fetch(walk, visit)

        def finished(result: Page | BaseException) -> None:
            self._handed_in -= 1
            try:
                walk.arrived(visit, result)
            except BaseException as error:  # noqa: BLE001 - raised to who waits for pages
                self._broken = error
                return
            self._fill()

        self._handed_in += 1
        self._crew.hand_in(self._host, do, finished, attempt=visit.attempt)
