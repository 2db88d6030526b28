"""Where reading was left: the cursor column's highest value, and which rows of it are known.

The next read begins *at* that value, since more rows may have it by then; those that are known by
their digest are left out. So it does not matter where a batch ends among equal values, nor in which
order the database gives them.
"""

import base64
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from hashlib import blake2b
from typing import Final, TypeAlias

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headgate.errors import Internal, Invalid, Refused
from headgate.sources.cursors import Cursor
from headgate.sources.databases.decimals import digits_of

Value: TypeAlias = int | str
Identity: TypeAlias = tuple[tuple[str, str], ...]
"""Columns that rows are told by, each with the kind of its type."""

KIND: Final = "database"
MOST_KNOWN: Final = 50_000
"""Of one value; the digests of more would outgrow what a commit should carry."""

_DIGEST_BYTES: Final = 12
_ALL: Final = "*"
_NANOSECONDS: Final = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Boundary:
    """The rows read so far end here.

    ``rows`` counts those that were given with this ``value``, ``known`` are the digests of those
    that are there, over the columns ``of``; None where they are too many, and will be read again.
    ``settled`` where digests of rows that are not there any more were taken out. ``kind`` says how
    values are ordered, ``relation`` which table they are of; empty where that is not known.
    """

    column: str
    value: Value
    rows: int
    known: tuple[bytes, ...] | None
    of: Identity
    settled: bool = False
    kind: str = ""
    relation: str = ""

    def cursor(self) -> Cursor:
        """Give it as a cursor. Those of one column ascend with what has been read."""
        known = _ALL if self.known is None else base64.b64encode(b"".join(self.known)).decode()
        of = msgspec.json.encode(self.of).decode()
        rows = (self.rows, int(self.settled), known, of)
        return Cursor(
            kind=KIND, sequence=(self.column, self.value, *rows, self.kind, self.relation)
        )

    @classmethod
    def of_cursor(
        cls, cursor: Cursor, column: str, *, kind: pa.DataType | None = None, relation: str = ""
    ) -> "Boundary":
        """Read a cursor back, by the column that is followed now: its type, and whose it is.

        Raises:
            Refused: ``cursor-of-another-column``, ``cursor-of-another-relation``.
        """
        match cursor.sequence:
            case (
                str(name),
                (int() | str()) as value,
                int(rows),
                int(settled),
                str(known),
                str(of),
                *more,
            ):
                was, whose = map(str, more or ("", ""))
            case _:
                raise Internal("bad-database-cursor", f"A cursor of {column} has another shape.")
        if name != column:
            raise Refused(
                "cursor-of-another-column",
                f"The rows so far were read by the column {name}, not by {column}.",
                hint="Give the step another name, or drop its table: it is read from the beginning "
                "then.",
                stored=name,
                column=column,
            )
        is_now = _ordered_as(kind) if kind is not None else was
        if was and was != is_now:
            raise Refused(
                "cursor-of-another-column",
                f"The rows so far were read by {column} when it was of the type {was}; it is "
                f"{is_now} now, and values of the one cannot be found among those of the other.",
                hint="Give the step another name, or drop its table: it is read from the beginning "
                "then.",
                stored=was,
                column=column,
            )
        if not _same_relation(whose, relation):
            raise Refused(
                "cursor-of-another-relation",
                f"The rows so far were read from {whose}, not from {relation}: of this one, what "
                f"is up to the highest {column} of that one would never be read.",
                hint="Give the step another name, or drop its table: it is read from the beginning "
                f"then. If {whose} only has another name now, read it by a view, or a query:  "
                f'query="select * from {relation}"',
                stored=whose,
                relation=relation,
            )
        return cls(
            column=column,
            value=value,
            rows=rows,
            known=None if known == _ALL else tuple(_split(base64.b64decode(known))),
            of=msgspec.json.decode(of, type=Identity),
            settled=bool(settled),
            kind=is_now,
            relation=relation or whose,
        )

    def fits(self, schema: pa.Schema) -> bool:
        """Say whether rows under a schema can still be told by the digests."""
        return {*self.of} <= {*identity(schema, schema.names)}


class Frontier:
    """Follows one read: leaves out what is known, and knows where the boundary is now.

    Rows must come in the order of their cursor values, beginning with those of the boundary.
    """

    def __init__(
        self,
        column: str,
        boundary: Boundary | None,
        of: Identity,
        *,
        kind: pa.DataType,
        lag: timedelta | int | None = None,
        relation: str = "",
    ) -> None:
        self._relation = relation
        self.boundary = boundary
        self._column = column
        self._of = of
        self._lag = lag
        self._kind = kind
        self._begun_at = boundary
        # Known rows that did not come yet, and those of the boundary's value that did.
        self._left = Counter(boundary.known or ()) if boundary and lag is None else Counter()
        self._there: list[bytes] = []
        if lag is not None:
            earlier("" if boundary is None else boundary.value, kind, lag)

    @property
    def since(self) -> Value | None:
        """The value from which on rows must come; None: from the beginning."""
        if self._begun_at is None:
            return None
        value = self._begun_at.value
        return value if self._lag is None else earlier(value, self._kind, self._lag)

    def sift(self, rows: pa.Table, values: pa.ChunkedArray) -> pa.Table:
        """Give the rows that are new; the boundary moves behind them.

        A row that is known twice is left out twice. ``values`` are those of the cursor column.
        """
        mask = self._unknown(rows, values)
        if mask is not None:
            rows, values = rows.filter(mask), values.filter(mask)
        if rows.num_rows:
            self.boundary = self._after(rows, values)
        return rows

    def settle(self) -> Boundary | None:
        """Give the boundary at the end of the rows: what did not come is not there any more.

        Otherwise a row that changes, and changes back, would be taken for one that is known.
        """
        boundary, begun = self.boundary, self._begun_at
        if boundary is None or begun is None or boundary is begun or boundary.value != begun.value:
            return boundary
        if boundary.known is None or not self._left.total():
            return boundary
        return replace(boundary, known=tuple(sorted(self._there)), settled=True)

    def _unknown(self, rows: pa.Table, values: pa.ChunkedArray) -> pa.Array | None:
        """Give a mask of new rows; None where all of them are."""
        begun = self._begun_at
        if begun is None or not self._left or not rows.num_rows or stored(values[0]) != begun.value:
            return None
        differ = _different(values, values[0])
        at = int(differ[0].as_py()) if len(differ) else rows.num_rows
        mask = np.ones(rows.num_rows, dtype=bool)
        for place, digest in enumerate(digests(rows.slice(0, at), begun.of)):
            if self._left[digest] > 0:
                self._left[digest] -= 1
                self._there.append(digest)
                mask[place] = False
        return pa.array(mask)

    def _after(self, rows: pa.Table, values: pa.ChunkedArray) -> Boundary:
        last = values[len(values) - 1]
        if not last.is_valid:
            raise Internal("empty-cursor-value", "A row without a cursor value came among others.")
        differ = _different(values, last)
        tail = rows.slice(int(differ[-1].as_py()) + 1) if len(differ) else rows
        before, value = self.boundary, stored(last)
        if self._lag is not None:  # whatever is near the boundary will be read again
            return self._lagging(before, value, tail.num_rows)
        count, of = tail.num_rows, self._of
        if before is not None and before.value == value:
            count, of = before.rows + count, before.of
        else:
            self._there, self._left = [], Counter()
        fits = len(self._there) + self._left.total() + tail.num_rows <= MOST_KNOWN
        if fits and (before is None or before.value != value or before.known is not None):
            self._there += digests(tail, of)
            known = tuple(sorted([*self._there, *self._left.elements()]))
            return self._at(value, count, known, of)
        return self._at(value, count, None, of)

    def _lagging(self, before: Boundary | None, value: Value, rows: int) -> Boundary:
        if before is not None and before.value >= value:  # type: ignore[operator]
            return before
        return self._at(value, rows, None, self._of)

    def _at(
        self, value: Value, rows: int, known: tuple[bytes, ...] | None, of: Identity
    ) -> Boundary:
        return Boundary(
            column=self._column,
            value=value,
            rows=rows,
            known=known,
            of=of,
            kind=_ordered_as(self._kind),
            relation=self._relation,
        )


def earlier(value: Value, kind: pa.DataType, lag: timedelta | int) -> Value:
    """Give the value that is ``lag`` before another.

    Raises:
        Invalid: ``bad-option``: such values are not counted in that.
    """
    instants = pa.types.is_timestamp(kind) or pa.types.is_date(kind)
    if isinstance(lag, timedelta) != instants or not (instants or pa.types.is_integer(kind)):
        raise Invalid(
            "bad-option",
            f"lag={lag!r} cannot be taken from a cursor of the type {kind}.",
            hint="Write a timedelta for instants and dates, a number for whole numbers; other "
            "columns have no lag.",
            option="lag",
        )
    if isinstance(lag, timedelta):
        if not value:
            return value
        unit = "D" if pa.types.is_date(kind) else "us"
        days = np.timedelta64(-(-lag // timedelta(days=1)), "D")
        step = days if unit == "D" else np.timedelta64(lag // timedelta(microseconds=1), "us")
        text = str(value)
        begins = np.datetime64(text, "D") if unit == "D" else np.datetime64(text, "us")
        return _written_as(text, str(begins - step))
    return value - lag if isinstance(value, int) else value


def _written_as(like: str, text: str) -> str:
    """Give an instant as another is written: texts are compared (SQLite), and blank < T."""
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return text.replace("T", " ") if " " in like else text


def identity(schema: pa.Schema, names: Sequence[str]) -> Identity:
    """Give columns as a boundary tells rows by them: names, each with the kind of its type."""
    return tuple((name, _kind(schema.field(name).type)) for name in names)


def stored(value: pa.Scalar) -> Value:
    """Give a cursor column's value as a cursor stores it: ascending as the database's do."""
    kind = value.type
    if pa.types.is_integer(kind):
        return int(value.as_py())
    if pa.types.is_decimal(kind):
        return digits_of(value.as_py())
    if pa.types.is_timestamp(kind):
        return str(np.datetime64(value.value * _NANOSECONDS[kind.unit] // 1_000, "us"))
    if pa.types.is_date(kind):
        return str(np.datetime64(value.value, "D"))
    return str(value.as_py())


def digests(rows: pa.Table, of: Identity) -> Iterator[bytes]:
    """Give a digest for each row over some columns: equal digests, equal values."""
    columns = [_plain(rows.column(name)) for name, _ in of]
    for row in zip(*columns, strict=True):
        yield blake2b(repr(row).encode(), digest_size=_DIGEST_BYTES).digest()


def _different(values: pa.ChunkedArray, one: pa.Scalar) -> pa.Array:
    return pc.indices_nonzero(pc.not_equal(values, one))


def _ordered_as(kind: pa.DataType) -> str:
    """Say as what a cursor's values are stored: those of one word are in one order."""
    if pa.types.is_decimal(kind):
        return f"decimal with {kind.scale} digits" if kind.scale else "int"
    return _kind(kind)


def _kind(kind: pa.DataType) -> str:
    return "int" if pa.types.is_integer(kind) else str(kind)


def _same_relation(one: str, other: str) -> bool:
    """Whether two names may be of one table; where one of them has no schema, that does not count.

    Queries have none.
    """
    if not one or not other:
        return True
    parts = [name.replace('"', "").replace("`", "").casefold().split(".") for name in (one, other)]
    shared = min(map(len, parts))
    return parts[0][-shared:] == parts[1][-shared:]


def _plain(column: pa.ChunkedArray) -> list[object]:
    """Give values that print alike exactly where they are alike; Python's dates end at 9999."""
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_time64(kind):
        column = column.cast(pa.int64())
    elif pa.types.is_date32(kind):
        column = column.cast(pa.int32())
    elif pa.types.is_decimal(kind):
        column = column.cast(pa.string())
    found: list[object] = column.to_pylist()
    return found


def _split(joined: bytes) -> Iterator[bytes]:
    for start in range(0, len(joined), _DIGEST_BYTES):
        yield joined[start : start + _DIGEST_BYTES]
