"""A source's batches as they arrive: each taken once, counted, and watched over in between.

Whatever becomes of the rows, three things are asked of every source alike: how far it has been read
(the cursor of the last batch taken), which of its records were no rows at all, and whether to go
on.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Final

import pyarrow as pa

from headgate import source_columns
from headgate.clock import Clock
from headgate.errors import Interrupted, Invalid
from headgate.runs.spool import Spool
from headgate.sources import Batch, Cursor

UNREAD: Final = pa.schema([(n, pa.string()) for n in ("_position", "_raw", "_column", "_reason")])
"""Records that are no rows: where they stand, their text, where and why it went wrong."""

RECORDS: Final = "records"
OPERATIONS: Final = "operations"
COLUMNS: Final = "columns"
"""What batches give: rows as JSON, what was done to rows, or rows."""

_EVERY: Final = timedelta(milliseconds=500)
_KEPT_BYTES: Final = 32 * 1024 * 1024


class Arrivals:
    """The batches of one reading. Take them once, in one thread.

    Args:
        batches: what the source reads; ``cursor`` is where that began.
        clock: for how often progress is told.
        spool: makes a place for what is too much for memory.
        progress: hears how many records have arrived.
        stopped: whether the run is over; asked between batches.

    ``cursor`` is that of the last batch taken that has one. ``notes`` are what the source had to
    say to people. ``rows`` counts those taken, without
    what was unread.
    """

    def __init__(
        self,
        batches: Iterator[Batch],
        cursor: Cursor | None,
        *,
        clock: Clock,
        spool: Callable[[], Spool],
        progress: Callable[[int], None] = lambda _: None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._batches = batches
        self._clock = clock
        self._spool = spool
        self._progress = progress
        self._stopped = stopped
        self._told_s = clock.monotonic_s()
        self._unread: list[pa.Table] = []
        self._spooled: Spool | None = None
        self._ahead: list[Batch] = []
        self._kind = ""
        self.cursor = cursor
        self.notes: list[str] = []
        self.rows = 0
        self.unread_rows = 0
        self.batches = 0

    def __iter__(self) -> Iterator[Batch]:
        """Give the batches that were not taken yet.

        Raises:
            Invalid: ``columns-differ``: one is of another kind; ``unread-columns``.
        """
        while (batch := self._next()) is not None:
            self.cursor = batch.cursor or self.cursor
            self.rows += batch.rows.num_rows
            self.batches += 1
            self._refuse_mixed(batch.rows)
            if batch.unread is not None and batch.unread.num_rows:
                self._put_aside(batch.unread)
            if batch.note is not None:
                self.notes.append(batch.note)
            self._tell()
            yield batch

    def begin_at(self, batch: Batch) -> None:
        """Give the batch taken last back; what came before it is void, and counts no more."""
        self._ahead.insert(0, replace(batch, note=None))
        self.rows = self.unread_rows = 0
        self._unread.clear()
        if self._spooled is not None:
            self._spooled.close()
            self._spooled = None

    def columns(self) -> tuple[str, ...] | None:
        """Give the columns of the first batch that has any, without taking it; None: none has."""
        while True:
            for batch in self._ahead:
                if batch.rows.column_names:
                    return tuple(batch.rows.column_names)
            following = self._asked()
            if following is None:
                return None
            self._ahead.append(following)

    def spool(self) -> Spool:
        """Give a place on disk for rows that are too many for memory; close it."""
        return self._spool()

    def unread(self) -> pa.Table | None:
        """Give the records that were no rows, of the batches taken; None where there are none."""
        kept = [*(self._spooled.batches() if self._spooled is not None else ()), *self._unread]
        return pa.concat_tables(kept) if kept else None

    def close(self) -> None:
        """Free what is on disk."""
        if self._spooled is not None:
            self._spooled.close()

    def _next(self) -> Batch | None:
        return self._ahead.pop(0) if self._ahead else self._asked()

    def _asked(self) -> Batch | None:
        """Ask the source for a batch.

        Raises:
            Interrupted: ``interrupted``: the run is over.
        """
        if self._stopped():
            raise Interrupted(
                "interrupted", "Reading stopped between two batches: the run is over."
            )
        return next(self._batches, None)

    def _refuse_mixed(self, rows: pa.Table) -> None:
        """Refuse rows of another kind than those before: what they say would not be looked at.

        Operations may be followed by all rows of the table.
        """
        if not rows.num_columns:
            return
        kind = _kind_of(rows.column_names)
        if not self._kind or (self._kind, kind) == (OPERATIONS, COLUMNS):
            self._kind = kind
        elif kind != self._kind and rows.num_rows:
            raise Invalid(
                "columns-differ",
                f"The source gives {self._kind}, and then {kind} (batch {self.batches}).",
                hint="Give one of them.",
                before=self._kind,
                now=kind,
            )

    def _put_aside(self, unread: pa.Table) -> None:
        missing = [name for name in UNREAD.names if name not in unread.column_names]
        if missing:
            raise Invalid(
                "unread-columns",
                f"A source gave unread records without {', '.join(missing)}.",
                hint=f"Give {', '.join(UNREAD.names)}, all text.",
                missing=missing,
            )
        self._unread.append(unread.select(UNREAD.names).cast(UNREAD))
        self.unread_rows += unread.num_rows
        if sum(table.nbytes for table in self._unread) > _KEPT_BYTES:
            self._spooled = self._spooled or self._spool()
            for table in self._unread:
                self._spooled.add(table)
            self._unread.clear()

    def _tell(self) -> None:
        now = self._clock.monotonic_s()
        if now - self._told_s >= _EVERY.total_seconds():
            self._told_s = now
            self._progress(self.rows + self.unread_rows)


def _kind_of(columns: Collection[str]) -> str:
    if source_columns.RECORD in columns:
        return RECORDS
    return OPERATIONS if source_columns.OPERATION in columns else COLUMNS


def is_reserved(name: str) -> bool:
    """Whether a column is the source's word to ingestion, and no column of the table."""
    return name in source_columns.ALL
