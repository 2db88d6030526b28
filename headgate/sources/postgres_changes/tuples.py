"""Rows of many messages at once: where each value lies in the buffer, then one column cut out.

A row's values stand one behind the other, each with its length. One column after the other, the
place of the next value is computed for all rows together; no value becomes a Python object.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headgate.sources.postgres_changes.relations import bad_message

Places: TypeAlias = NDArray[np.int64]
Marks: TypeAlias = NDArray[np.bool_]

PADDING: Final = 16
"""Zeros behind the last message, so that a length may be looked for where a message ends."""

_NULL, _TEXT, _UNCHANGED = ord("n"), ord("t"), ord("u")


class Bytes:
    """Messages in one buffer, readable at many places at once, in network order."""

    def __init__(self, messages: bytes) -> None:
        self.data = messages + bytes(PADDING)
        self.bytes: NDArray[np.uint8] = np.frombuffer(self.data, np.uint8)
        self._twos = self._view(">i2", 2)
        self._fours = self._view(">i4", 4)
        self._eights = self._view(">i8", 8)

    def two(self, at: Places) -> Places:
        """Give the 16-bit whole numbers at places."""
        return self._twos[at].astype(np.int64)

    def four(self, at: Places) -> Places:
        """Give the 32-bit whole numbers at places."""
        return self._fours[at].astype(np.int64)

    def eight(self, at: Places) -> Places:
        """Give the 64-bit whole numbers at places."""
        return self._eights[at].astype(np.int64)

    def _view(self, kind: str, size: int) -> NDArray[np.signedinteger]:
        return np.ndarray((len(self.data) - size + 1,), kind, self.data, strides=(1,))


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """One column of some rows: where its texts lie, which are NULL, which were not told."""

    buffer: Bytes
    starts: Places
    lengths: Places
    null: Marks
    unchanged: Marks

    def text(self) -> pa.Array:
        """Give the column's bytes, null where there is none or it was not told."""
        count = len(self.starts)
        if not count:
            return pa.array([], pa.binary())
        offsets = np.empty(2 * count, np.int32)
        offsets[0::2] = self.starts
        offsets[1::2] = self.starts + self.lengths
        # Each value, and what lies between it and the next: one array over the buffer as it is.
        parts = [None, pa.py_buffer(offsets), pa.py_buffer(self.buffer.data)]
        both = pa.BinaryArray.from_buffers(pa.binary(), 2 * count - 1, parts)
        none = self.null | self.unchanged
        chosen = pa.array(np.arange(0, 2 * count, 2), mask=none if none.any() else None)
        return both.take(chosen)

    def taken(self, rows: Places) -> "Values":
        """Give the column of some of the rows, in their order."""
        return Values(
            buffer=self.buffer,
            starts=self.starts[rows],
            lengths=self.lengths[rows],
            null=self.null[rows],
            unchanged=self.unchanged[rows],
        )

    def filled(self, rows: Places, older: "Values") -> "Values":
        """Give the column with what was not told taken from ``older``, whose rows are ``rows``."""
        wanting = self.unchanged[rows] & ~older.unchanged
        if not wanting.any():
            return self
        at = rows[wanting]
        starts, lengths = self.starts.copy(), self.lengths.copy()
        null, unchanged = self.null.copy(), self.unchanged.copy()
        starts[at], lengths[at] = older.starts[wanting], older.lengths[wanting]
        null[at], unchanged[at] = older.null[wanting], False
        return Values(
            buffer=self.buffer, starts=starts, lengths=lengths, null=null, unchanged=unchanged
        )


def read_tuples(
    buffer: Bytes, at: Places, ends: Places, columns: int
) -> tuple[tuple[Values, ...], Places]:
    """Read a row of so many columns at each place; give the columns, and where each row ends.

    Raises:
        Corrupt: ``bad-replication-message``.
    """
    if (at + 2 > ends).any() or (buffer.two(at) != columns).any():
        raise bad_message("a row has another number of columns than its table")
    at = at + 2
    found = []
    for _ in range(columns):
        kinds = buffer.bytes[at]
        told, unchanged, null = kinds == _TEXT, kinds == _UNCHANGED, kinds == _NULL
        if not (told | unchanged | null).all():
            raise bad_message("a value is neither text, NULL nor unchanged")
        if (at + np.where(told, 5, 1) > ends).any():
            raise bad_message("a row ends within a value")
        lengths = np.where(told, buffer.four(at + 1), 0)
        starts = at + np.where(told, 5, 1)
        at = starts + lengths
        if (lengths < 0).any() or (at > ends).any():
            raise bad_message("a value is longer than its message")
        found.append(
            Values(buffer=buffer, starts=starts, lengths=lengths, null=null, unchanged=unchanged)
        )
    return tuple(found), at
