"""Pieces: what a streamed format gives of a file, some ten thousand records at a time."""

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
import pyarrow as pa

from headgate.source_columns import POSITION, RECORD

PIECE_ROWS = 10_000
_PIECE_BYTES = 16 * 1024 * 1024
_RECORDS = pa.schema([(RECORD, pa.string()), (POSITION, pa.string())])
_UNREAD = pa.schema([(name, pa.string()) for name in ("_position", "_raw", "_column", "_reason")])


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Rows of a file in its order, and how many of its records are done after them.

    ``records`` counts from the file's beginning, with those that went to ``unread``.
    """

    rows: pa.Table
    records: int
    unread: pa.Table | None = None


class Gathering:
    """Records as they come, made into pieces; the first ``after`` of them are passed over."""

    def __init__(self, shown: str, after: int) -> None:
        self._shown = shown
        self._after = after
        self._records = 0
        self._parts: list[pa.Table] = []
        self._part_rows = 0
        self._texts: list[str] = []
        self._places: list[str] = []
        self._unread: list[tuple[str, str, str | None, str]] = []
        self._bytes = 0

    def skips(self) -> bool:
        """Say whether the next record is one of those passed over, and count it if it is."""
        if self._records < self._after:
            self._records += 1
            return True
        return False

    @property
    def is_skipping(self) -> bool:
        """Whether the next record is one of those passed over."""
        return self._records < self._after

    def add_all(self, texts: pa.Array, first: int) -> None:
        """Take records as JSON, one on each line from the first on."""
        self._close_part()
        places = [f"{self._shown}:{place}" for place in range(first, first + len(texts))]
        self._parts.append(pa.table([texts, places], schema=_RECORDS))
        self._part_rows += len(texts)
        self._records += len(texts)
        self._bytes += texts.nbytes

    def add(self, text: str, place: int) -> None:
        """Take a record as JSON, found on a line."""
        self._records += 1
        self._bytes += len(text)
        self._texts.append(text)
        self._places.append(f"{self._shown}:{place}")

    def reject(self, raw: bytes | str, place: int, reason: str) -> None:
        """Take what cannot be read as a record."""
        text = raw if isinstance(raw, str) else raw.decode("utf-8", "backslashreplace")
        self._records += 1
        self._bytes += len(text)
        self._unread.append((f"{self._shown}:{place}", text, None, reason))

    def full(self) -> Iterator[Piece]:
        """Give a piece if there is enough for one."""
        rows = self._part_rows + len(self._texts) + len(self._unread)
        if rows >= PIECE_ROWS or self._bytes >= _PIECE_BYTES:
            yield self.rest()

    def rest(self) -> Piece:
        """Give what there is."""
        self._close_part()
        piece = Piece(
            rows=pa.concat_tables(self._parts) if self._parts else _RECORDS.empty_table(),
            records=self._records,
            unread=unread_table(self._unread) if self._unread else None,
        )
        self._parts, self._part_rows, self._unread, self._bytes = [], 0, [], 0
        return piece

    def _close_part(self) -> None:
        if self._texts:
            self._parts.append(pa.table([self._texts, self._places], schema=_RECORDS))
            self._part_rows += len(self._texts)
            self._texts, self._places = [], []


def record_text(record: object) -> str:
    """Give a record as JSON."""
    return msgspec.json.encode(record).decode()


def unread_table(rows: list[tuple[str, str, str | None, str]]) -> pa.Table:
    """Give records that are no rows: position, text, column, reason."""
    return pa.table([list(column) for column in zip(*rows, strict=True)], schema=_UNREAD)
