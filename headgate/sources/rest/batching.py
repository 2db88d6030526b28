"""Records gathered into batches, each with the cursor that is true once it is stored."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import pyarrow as pa

from headgate.source_columns import POSITION, RECORD
from headgate.sources.cursors import Cursor
from headgate.sources.rest.answers import Page
from headgate.sources.source import Batch

_BATCH_BYTES: Final = 32 << 20
_NOT_AN_OBJECT: Final = "It is no JSON object."
_RECORDS: Final = pa.schema([(RECORD, pa.string()), (POSITION, pa.string())])
_PAGES: Final = pa.schema(
    [
        ("position", pa.string()),
        ("url", pa.string()),
        ("status", pa.int32()),
        ("fetched_at", pa.timestamp("us", "UTC")),
        ("body", pa.string()),
    ]
)
_UNREAD: Final = pa.schema(
    [(name, pa.string()) for name in ("_position", "_raw", "_column", "_reason")]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Some of what was read: a page's new records, or a page as it is, or neither.

    ``cursor`` is set where reading can be taken up after it.
    """

    records: Sequence[msgspec.Raw | bytes] = ()
    positions: Sequence[str] = ()
    page: Page | None = None
    position: str = ""
    cursor: Cursor | None = None


class _Rows:
    """Rows that are not a batch yet."""

    def __init__(self) -> None:
        self.texts: list[bytes] = []
        self.positions: list[str] = []
        self.pages: list[Page] = []
        self.unread: list[tuple[str, str]] = []
        self.bytes = 0

    def __len__(self) -> int:
        return len(self.texts) + len(self.unread)

    def add(self, piece: Piece, *, keep_pages: bool) -> None:
        if keep_pages:
            if piece.page is not None:
                self.texts.append(piece.page.body)
                self.pages.append(piece.page)
                self.positions.append(piece.position)
                self.bytes += len(piece.page.body)
            return
        for record, position in zip(piece.records, piece.positions, strict=True):
            text = bytes(record)
            self.bytes += len(text)
            if text[:1] == b"{":
                self.texts.append(text)
                self.positions.append(position)
            else:
                self.unread.append((position, text.decode()))

    def join(self, other: "_Rows") -> None:
        self.texts += other.texts
        self.positions += other.positions
        self.pages += other.pages
        self.unread += other.unread
        self.bytes += other.bytes

    def batch(self, cursor: Cursor | None, *, keep_pages: bool) -> Batch:
        if keep_pages:
            columns = {
                "position": self.positions,
                "url": [page.url for page in self.pages],
                "status": [page.status for page in self.pages],
                "fetched_at": [page.fetched_at for page in self.pages],
                "body": self.texts,
            }
            return Batch(rows=pa.table(columns, schema=_PAGES), cursor=cursor)
        columns = {RECORD: self.texts, POSITION: self.positions}
        return Batch(rows=pa.table(columns, schema=_RECORDS), cursor=cursor, unread=self._unread())

    def _unread(self) -> pa.Table | None:
        if not self.unread:
            return None
        rows = [
            {"_position": at, "_raw": raw, "_column": None, "_reason": _NOT_AN_OBJECT}
            for at, raw in self.unread
        ]
        return pa.Table.from_pylist(rows, schema=_UNREAD)


def batches(
    pieces: Iterator[Piece], begun: Cursor | None, *, rows: int, keep_pages: bool
) -> Iterator[Batch]:
    """Gather pieces into batches of ``rows`` at least, or 32 MB.

    A batch ends where reading can be taken up, if there is such a place; rows after it wait for the
    next one. Where there is none for long, a batch has the cursor of the one before it.
    """
    cursor = begun
    sure, more = _Rows(), _Rows()
    for piece in pieces:
        if piece.page is not None or piece.records:
            if len(sure) >= rows or sure.bytes >= _BATCH_BYTES:
                yield sure.batch(cursor, keep_pages=keep_pages)
                sure = _Rows()
            if len(more) >= rows or more.bytes >= _BATCH_BYTES:
                if sure:
                    yield sure.batch(cursor, keep_pages=keep_pages)
                    sure = _Rows()
                yield more.batch(cursor, keep_pages=keep_pages)
                more = _Rows()
            more.add(piece, keep_pages=keep_pages)
        if piece.cursor is not None:
            sure.join(more)
            more, cursor = _Rows(), piece.cursor
    sure.join(more)
    if sure:
        yield sure.batch(cursor, keep_pages=keep_pages)
