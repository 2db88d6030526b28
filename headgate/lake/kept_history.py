"""A branch's graph history, kept between tests: each publication is condensed once in a process."""

from collections.abc import Callable, Sequence
from threading import Lock
from typing import TypeAlias

from headgate.lake.records import Commit
from headgate.lake.serialization import GraphConflict, History, Transaction, may_overtake

MOST_COMMITS = 5_000
"""How long a stretch is kept; a longer one is given up for the window that is asked for."""

Window: TypeAlias = Callable[[Commit, int], Sequence[Commit]]
"""Gives the first-parent commits of a head with numbers above one, oldest first."""


class KeptHistory:
    """Answers the graph test for one branch. May be dropped at any time; safe between threads.

    Grows by what was published since it was asked last. Where it is asked about another past (the
    branch was made anew) or about an older head, it begins again.
    """

    def __init__(self, window: Window) -> None:
        self._window = window
        self._history = History()
        self._head: str | None = None
        self._lock = Lock()

    def conflict(self, run: Transaction, head: Commit) -> GraphConflict | None:
        """Say why the run cannot be published on a head, or None where it can."""
        with self._lock:
            history = self._upto(head, run)
            return (
                history.conflict(run, extend=lambda number: self._window(head, number - 1))
                if history is not None
                else None
            )

    def low(self, run: Transaction, head: Commit) -> int | None:
        """Give the least publication after the run's base that wrote what the run had read."""
        with self._lock:
            history = self._upto(head, run)
            return history.low(run) if history is not None else None

    def _upto(self, head: Commit, run: Transaction) -> History | None:
        """Give the history from the run's base to a head; None where nothing can be in the way."""
        history = self._history
        if self._head == head.id and _covers(history, run.base_number):
            return history
        newer: Sequence[Commit] = ()
        if self._head is not None and history.last is not None and history.last < head.number:
            newer = self._window(head, history.last)
        follows = bool(newer) and newer[0].parent == self._head
        if not follows or not _covers(history, run.base_number) or len(history) > MOST_COMMITS:
            whole = self._window(head, run.base_number)
            if not may_overtake(run, whole):
                return None  # mostly so, and then nothing need be condensed
            history, newer = History(), whole
        for commit in newer:
            history.add(commit)
        self._history, self._head = history, head.id
        return history


def _covers(history: History, base: int) -> bool:
    return history.first is not None and history.first <= base + 1
