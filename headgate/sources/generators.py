"""A user's function as a source: what it yields becomes batches, its cursors are kept for it.

It yields rows, or a pair (a tuple) of rows and the cursor that is true once they are stored. Rows
are one dict, a list of dicts, or a table: Arrow, pandas, Polars, anything that speaks Arrow's
stream interface.
"""

import math
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import date, time
from typing import Any, Final, cast

import msgspec
import pyarrow as pa

from headgate.errors import Invalid
from headgate.source_columns import RECORD
from headgate.sources.cursor_values import cursor_of, is_behind, value_of
from headgate.sources.cursors import Cursor
from headgate.sources.source import Batch, Description, NativeRead, Setting

BATCH_ROWS: Final = 10_000
"""So many rows that come one by one are a batch."""

_ALLOWED = "a dict, a list of dicts, or an Arrow, pandas or Polars table"


class GeneratorSource:
    """Rows that a function gives.

    Options: ``read`` (takes the last cursor's value), ``title``, ``takes_cursor``.

    Raises:
        Invalid: ``generator-without-function``.
    """

    kind = "generator"

    def __init__(self, options: Mapping[str, object], setting: Setting) -> None:
        read = options.get("read")
        self._title = str(options.get("title", "a function"))
        if not callable(read):
            raise Invalid(
                "generator-without-function",
                "A source of the kind 'generator' is a function, and none was given.",
                hint="Put @hg.source on the function.",
            )
        self._read = cast("Callable[[object], object]", read)
        self._takes_cursor = bool(options.get("takes_cursor"))
        self._appends = setting.appends

    def describe(self) -> Description:
        """Name the function."""
        return Description(kind=self.kind, title=self._title)

    def cursor(self, text: str) -> Cursor:
        """Read a stored cursor."""
        found = Cursor.parse(text, kind=self.kind)
        value_of(found)
        return found

    def fingerprint(self) -> str | None:
        """Know nothing without calling the function."""
        return None

    def native(self, cursor: Cursor | None) -> NativeRead | None:
        """Give no files."""
        del cursor
        return None

    def acknowledge(self, cursor: Cursor) -> None:
        """Do nothing: a function hears its cursor when it is called again."""

    def close(self) -> None:
        """Do nothing: what the function holds is freed when its reading ends."""

    def read(self, cursor: Cursor | None) -> Iterator[Batch]:
        """Call the function, and give what it yields; rows one by one are gathered.

        Raises:
            Invalid: ``bad-cursor``, ``cursor-descends``, ``cursor-missing``,
                ``source-gave-no-rows``, ``source-value-unknown``. Whatever the function raises.
        """
        last, covered = cursor, True
        gathered: list[Mapping[str, object]] = []
        with closing(_items(self._read(None if cursor is None else value_of(cursor)))) as items:
            for item in items:
                rows, mark = self._pair(item)
                if not isinstance(rows, Mapping) and gathered:
                    yield Batch(rows=_of_dicts(gathered, self._title), cursor=last)
                    gathered.clear()
                ascended = self._ascended(mark, last)
                if isinstance(rows, Mapping):
                    gathered.append(rows)
                    last, covered = ascended, mark is not None
                else:
                    before, came = last, 0
                    for table, more in _followed(self._tables(rows)):
                        came += table.num_rows
                        yield Batch(rows=table, cursor=before if more else ascended)
                    if not came and mark is not None:
                        yield Batch(rows=pa.table({}), cursor=ascended)
                    last, covered = ascended, mark is not None or (covered and not came)
                if len(gathered) >= BATCH_ROWS:
                    yield Batch(rows=_of_dicts(gathered, self._title), cursor=last)
                    gathered.clear()
        if gathered:
            yield Batch(rows=_of_dicts(gathered, self._title), cursor=last)
        if not covered:
            self._refuse_uncovered(last)

    def _pair(self, item: object) -> tuple[object, object]:
        """Give rows and their cursor, None where there is none.

        Raises:
            Invalid: ``source-gave-no-rows``.
        """
        if not isinstance(item, tuple):
            return item, None
        if len(item) != 2:  # noqa: PLR2004 - a pair
            raise _no_rows(item, self._title, f"a tuple of {len(item)}")
        return item

    def _ascended(self, mark: object, last: Cursor | None) -> Cursor | None:
        """Give the cursor after rows with this mark.

        Raises:
            Invalid: ``bad-cursor``, ``cursor-descends``, ``cursor-argument-missing``.
        """
        if mark is None:
            return last
        if self._appends and not self._takes_cursor:
            raise Invalid(
                "cursor-argument-missing",
                f"{self._title} gives a cursor and takes none: its next call would begin anew, and "
                "its rows would be added once more.",
                hint="Give it an argument of that name:  def rows(cursor=None): ...",
                source=self._title,
            )
        found = cursor_of(mark, kind=self.kind)
        if last is not None and is_behind(found, last):
            raise Invalid(
                "cursor-descends",
                f"{self._title} gave the cursor {mark!r} after {value_of(last)!r}.",
                hint="Give rows in the cursor's order; a cursor says that all before it was given.",
                source=self._title,
            )
        return found

    def _tables(self, rows: object) -> Iterator[pa.Table]:
        if isinstance(rows, Sequence) and not isinstance(rows, (str, bytes)):
            chunk = list(rows)
            if all(isinstance(row, Mapping) for row in chunk):
                for at in range(0, len(chunk), BATCH_ROWS):
                    yield _of_dicts(chunk[at : at + BATCH_ROWS], self._title)
                return
            for each in chunk:
                yield from self._tables(each)
            return
        found = tables_of(rows)
        if found is None:
            raise _no_rows(rows, self._title, type(rows).__qualname__)
        yield from found

    def _refuse_uncovered(self, last: Cursor | None) -> None:
        """Refuse rows that the next run would append again."""
        if not (self._appends and self._takes_cursor):
            return
        after = f"after the cursor {value_of(last)!r}" if last is not None else "without a cursor"
        raise Invalid(
            "cursor-missing",
            f"{self._title} gave rows {after}: the next run would append them again.",
            hint="Yield (rows, cursor) with the last rows.",
            source=self._title,
        )


def tables_of(rows: object) -> Iterator[pa.Table] | None:
    """Give a table of any library as Arrow tables; None where it is none.

    No library is imported for it: a value of one that is not loaded cannot exist.
    """
    if isinstance(rows, pa.RecordBatch):
        return iter((pa.Table.from_batches([rows]),))
    if isinstance(rows, pa.Table):
        return iter((rows.replace_schema_metadata(None),))
    library = type(rows).__module__.partition(".")[0]
    value: Any = rows
    if library == "pandas" and type(rows).__name__ == "DataFrame":
        if any(name is not None for name in value.index.names):
            value = value.reset_index()
        return iter((_plain(pa.Table.from_pandas(value, preserve_index=False)),))
    if library in {"dask", "dask_expr"} and hasattr(rows, "get_partition"):
        parts = (value.get_partition(number).compute() for number in range(value.npartitions))
        return (table for part in parts for table in tables_of(part) or ())
    if library == "polars" and type(rows).__name__ == "LazyFrame":
        value = value.collect(engine="streaming")
    if hasattr(value, "__arrow_c_stream__") and type(value).__name__ != "Series":
        reader = pa.RecordBatchReader.from_stream(value)
        return (_plain(pa.Table.from_batches([batch])) for batch in reader)
    return None


def _plain(table: pa.Table) -> pa.Table:
    """Give texts and bytes as they lie in all other tables, not as views or with wide offsets."""
    kinds = {
        pa.string_view(): pa.string(),
        pa.large_string(): pa.string(),
        pa.binary_view(): pa.binary(),
        pa.large_binary(): pa.binary(),
    }
    fields = [pa.field(f.name, kinds.get(f.type, f.type)) for f in table.schema]
    return table.cast(pa.schema(fields))


def _items(given: object) -> Generator[object]:
    """Give what a function yields one by one; what it returns is one item."""
    if isinstance(given, Iterator) and not hasattr(given, "__arrow_c_stream__"):
        try:
            yield from given
        finally:
            if hasattr(given, "close"):
                given.close()
    else:
        yield given


def _followed(tables: Iterator[pa.Table]) -> Iterator[tuple[pa.Table, bool]]:
    """Give each table, and whether another follows."""
    table = next(tables, None)
    while table is not None:
        following = next(tables, None)
        yield table, following is not None
        table = following


def _of_dicts(rows: Sequence[Mapping[str, object]], title: str) -> pa.Table:
    """Give dicts as records: what becomes of them is decided over all.

    By rule: days, times and instants are ISO 8601, decimals numbers with all of their digits, UUIDs
    and members of enumerations texts, bytes base64, and a number that is none the text ``NaN``,
    ``Infinity`` or ``-Infinity``. No rows have no columns.
    """
    if not rows:
        return pa.table({})
    texts = [_record(row, title) for row in rows]
    return pa.table({RECORD: pa.array(texts, pa.string())})


def _record(row: Mapping[str, object], title: str) -> str:
    try:
        return _ENCODER.encode(_finite(row)).decode()
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise Invalid(
            "source-value-unknown",
            f"{title} gave a row with a value that cannot be kept: {error}",
            hint="Give numbers, texts, days, instants, decimals, bytes, lists and dicts.",
            source=title,
        ) from error


def _finite(value: object) -> object:
    """Give a value without floats that JSON does not know."""
    if isinstance(value, float):
        return value if math.isfinite(value) else _INFINITE.get(value, "NaN")
    if isinstance(value, Mapping):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    return value


def _plainer(value: object) -> object:
    """Give a library's scalar (NumPy's, pandas') as Python's."""
    if type(value).__name__ in {"NAType", "NaTType"}:
        return None
    if isinstance(value, (date, time)):
        return value.isoformat()
    if hasattr(value, "tolist"):
        return _finite(value.tolist())
    raise TypeError(f"{type(value).__qualname__} is none that is known here")


_INFINITE: Final = {math.inf: "Infinity", -math.inf: "-Infinity"}
_ENCODER: Final = msgspec.json.Encoder(enc_hook=_plainer, decimal_format="number")


def _no_rows(value: object, title: str, what: str) -> Invalid:
    return Invalid(
        "source-gave-no-rows",
        f"{title} gave {'None' if value is None else what}; rows are {_ALLOWED}.",
        hint="Did it forget to return?" if value is None else "A pair is rows and their cursor.",
        source=title,
    )
