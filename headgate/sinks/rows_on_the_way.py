"""Rows on their way to a destination: which of them it was that could not be taken."""

from collections.abc import Iterator, Sequence
from typing import Final

import pyarrow as pa

from headgate.errors import Invalid

POSITION: Final = "row"
"""The fact of an error that says where in its batch a row is."""

_LONGEST: Final = 60


class RowsOnTheWay:
    """Rows that are being sent; take them one batch after the other from ``reader``."""

    def __init__(self, rows: pa.RecordBatchReader) -> None:
        self._rows = rows
        self._batch: pa.RecordBatch | None = None
        self._before = 0
        self.reader = pa.RecordBatchReader.from_batches(rows.schema, self._noted())

    def named(self, error: Invalid, table: str, key: Sequence[str]) -> Invalid:
        """Give an error about the batch at hand with its table, and its row's key in the hint."""
        facts = dict(error.facts)
        row = facts.pop(POSITION, None)
        column = str(facts.get("column"))
        which = None
        if isinstance(row, int) and self._batch is not None and row < self._batch.num_rows:
            held = [name for name in key if name in self._batch.schema.names]
            values = [self._batch.column(name)[row] for name in held]
            which = which_row(held, values, self._before + row + 1)
        error.message = error.message.replace(f"Column {column}", f"Column {column} of {table}", 1)
        error.hint = error.hint if which is None else f"It is {which}. {error.hint}"
        error.facts = {**facts, "table": table}
        return error

    def _noted(self) -> Iterator[pa.RecordBatch]:
        for batch in self._rows:
            self._before += 0 if self._batch is None else self._batch.num_rows
            self._batch = batch
            yield batch


def which_row(key: Sequence[str], values: Sequence[object], number: int) -> str:
    """Say which row it is: by its key, or where it has none, as which it was sent."""
    if not key:
        return f"row {number:,} of those that were sent"
    parts = [f"{name} is {_short(value)}" for name, value in zip(key, values, strict=True)]
    return f"the row whose {' and '.join(parts)}"


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
