"""The compactor: hears publications, and has tables with many small files compacted behind them."""

from collections.abc import Callable
from threading import Lock, Thread

from headgate.errors import HeadgateError
from headgate.events import Event, RunPublished
from headgate.lake import Lake, table_key
from headgate.runs import Hall

AT_ONCE_BYTES = 1024**3
"""What is rewritten of a table behind one publication; the rest comes behind the next."""


class Compactor:
    """A listener. What it starts is one thread at most, and ends by itself.

    A publication costs a look at the changed tables' entries. A compaction that fails is in the
    history of runs, and fails nobody else.

    Args:
        after: how many small files of about one size a partition may have; 0 compacts nothing.
        lake: gives the lake that is published to.
        hall: gives a hall on it.
    """

    def __init__(self, after: int, *, lake: Callable[[], Lake], hall: Callable[[], Hall]) -> None:
        self._after = after
        self._lake = lake
        self._hall = hall
        self._lock = Lock()
        self._due_at: dict[tuple[str, str], int] = {}
        self._waiting: dict[tuple[str, str], None] = {}
        self._thread: Thread | None = None
        self._at: str | None = None

    def __call__(self, event: Event) -> None:
        """Hear of a publication; start where a table may be due."""
        if not isinstance(event, RunPublished) or not self._after:
            return
        due = [(event.target, table) for table in self._grown(event)]
        if not due:
            return
        with self._lock:
            self._waiting |= dict.fromkeys(due)
            if self._thread is None:
                self._thread = Thread(target=self._work, name="headgate-compactor")
                self._thread.start()

    @property
    def at(self) -> str | None:
        """The table that is compacted now, if one is."""
        return self._at

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for the end of what was started; False where it goes on still."""
        thread = self._thread
        if thread is None:
            return True
        thread.join(timeout_s)
        return not thread.is_alive()

    def _grown(self, event: RunPublished) -> list[str]:
        """Give the tables that have enough files to be looked at."""
        lake = self._lake()
        keys = {table_key(table): table for table in event.tables}
        entries = lake.tree(lake.commit(event.commit)).get_many(list(keys))
        return [
            keys[key]
            for key, entry in entries.items()
            if entry.table is not None
            and entry.table.files >= self._due_at.get((event.target, keys[key]), self._after)
        ]

    def _work(self) -> None:
        while True:
            with self._lock:
                self._at = None
                one = next(iter(self._waiting), None)
                if one is None:
                    self._thread = None
                    return
                del self._waiting[one]
            target, table = one
            self._at = table
            try:
                self._compact(target, table)
            except (HeadgateError, OSError):
                with self._lock:  # not again before as many files have come
                    self._due_at[one] = self._due_at.get(one, self._after) + self._after

    def _compact(self, target: str, table: str) -> None:
        hall = self._hall()
        hall.compact(target, (table,), after=self._after, limit_bytes=AT_ONCE_BYTES)
        due_at = hall.due_at(target, table, self._after)
        with self._lock:
            self._due_at[target, table] = due_at
