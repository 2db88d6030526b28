"""Forms of a table: what a step's function may ask for and what it may return.

Forms, by their names: ``polars-lazy``, ``polars``, ``arrow``, ``arrow-reader``, ``pandas``,
``duckdb`` (a relation), ``dicts`` (an iterator of rows) and ``batches`` (an iterator of record
batches). A library is imported only when one of its forms is asked for, and a returned value is
recognised without importing the library it may come from.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import pyarrow as pa

from headgate.engines.engine import NativeFiles, Rows, Session, Sql
from headgate.errors import Internal, Invalid, StepFailed, Unavailable
from headgate.filesets import Scan
from headgate.type_words import type_words

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

FORMS = (
    "polars-lazy",
    "polars",
    "arrow",
    "arrow-reader",
    "pandas",
    "duckdb",
    "dicts",
    "batches",
)

ALLOWED = (
    "a polars LazyFrame or DataFrame, an Arrow Table, RecordBatch or RecordBatchReader, a pandas "
    "DataFrame, a DuckDB relation, or an iterable of dicts, record batches or frames"
)
_LIBRARIES = frozenset({"numpy", "pandas", "polars"})
BATCH_ROWS = 65_536
INFERENCE_ROWS = 100_000
"""From so many rows the types of dicts are inferred."""
_UNFIT = (pa.ArrowException, OverflowError, UnicodeError)


@runtime_checkable
class _Relations(Protocol):
    """A session that can give relations (DuckDB's)."""

    def relation(self, rows: Rows) -> "duckdb.DuckDBPyRelation": ...


def supply(form: str, table: Scan | pa.Table, session: Session) -> object:  # noqa: PLR0911 - a table
    """Give a table in the form a function asks for. Lazy forms read nothing yet.

    Iterators and readers can be walked once; relations live as long as the session.

    Raises:
        Unavailable: ``library-missing``, the form's library is not installed.
    """
    match form:
        case "polars-lazy" | "polars":
            from headgate.engines.polars import lazy_frame  # noqa: PLC0415 - only when asked for

            frame = lazy_frame(table)
            return frame if form == "polars-lazy" else frame.collect(engine="streaming")
        case "arrow":
            return table if isinstance(table, pa.Table) else _reader(table, session).read_all()
        case "arrow-reader":
            return _reader(table, session)
        case "batches":
            return iter(_reader(table, session))
        case "dicts":
            return (row for batch in _reader(table, session) for row in batch.to_pylist())
        case "pandas":
            return _pandas_frame(_reader(table, session).read_all())
        case "duckdb":
            if not isinstance(session, _Relations):
                raise Invalid(
                    "form-not-supported",
                    "The step asks for a DuckDB relation, and its engine gives none.",
                    hint="Ask for another form, or run the step on DuckDB.",
                )
            return session.relation(table)
    raise Internal("unknown-form", f"There is no form {form!r}.", form=form)


def _reader(table: Scan | pa.Table, session: Session) -> pa.RecordBatchReader:
    """Give the stream under exactly the table's schema, metadata aside."""
    reader = session.reader(table)
    wanted = pa.schema([field.remove_metadata() for field in table.schema])
    if reader.schema.equals(wanted):
        return reader
    batches = (batch.cast(wanted) for batch in reader)
    return pa.RecordBatchReader.from_batches(wanted, batches)


def _pandas_frame(table: pa.Table) -> "pd.DataFrame":
    """Give a pandas frame whose dtypes follow from the schema alone, not from the values.

    Integers and booleans are pandas' nullable ones (a NULL would make them floats and objects),
    decimals Arrow's; the rest is pandas' default.
    """
    try:
        import pandas as pd  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise Unavailable(
            "library-missing",
            "The step asks for a pandas DataFrame, and pandas is not installed.",
            hint="pip install headgate[pandas]",
            library="pandas",
        ) from error

    nullable: dict[pa.DataType, object] = {
        pa.int8(): pd.Int8Dtype(),
        pa.int16(): pd.Int16Dtype(),
        pa.int32(): pd.Int32Dtype(),
        pa.int64(): pd.Int64Dtype(),
        pa.uint8(): pd.UInt8Dtype(),
        pa.uint16(): pd.UInt16Dtype(),
        pa.uint32(): pd.UInt32Dtype(),
        pa.uint64(): pd.UInt64Dtype(),
        pa.bool_(): pd.BooleanDtype(),
    }

    def dtype(kind: pa.DataType) -> object:
        exact = pa.types.is_decimal(kind) or pa.types.is_time(kind) or pa.types.is_nested(kind)
        return pd.ArrowDtype(kind) if exact else nullable.get(kind)

    frame: pd.DataFrame = table.to_pandas(types_mapper=dtype)
    return frame


def accept(
    value: object,
    session: Session,  # noqa: ARG001 - engines of other kinds take values of their own
    *,
    step: str = "step",
    schema: pa.Schema | None = None,
) -> Rows:
    """Turn what a function returned or yields into rows an engine can write.

    Reads as little as it can. The types of dicts are inferred from the first 100,000 rows;
    ``schema`` are the declared columns, where there is a contract: an iterable without rows has
    these. Whatever the user's generator raises comes out of the engine as it was raised.

    Raises:
        StepFailed: ``step-returned-wrong-type``, ``step-yielded-nothing``, ``step-rows-differ``.
    """
    if isinstance(value, (Sql, NativeFiles, Scan, pa.Table, pa.RecordBatchReader)):
        return value
    if isinstance(value, pa.RecordBatch):
        return pa.Table.from_batches([value])
    framed = _from_frame(value, step)
    if framed is not None:
        return framed
    library = type(value).__module__.partition(".")[0]  # a series or an array is no table
    if library in _LIBRARIES or isinstance(value, (str, bytes, Mapping)):
        raise _wrong_type(value, step)
    if not isinstance(value, Iterable):
        raise _wrong_type(value, step)
    return _from_iterable(value, step, schema)


def _from_frame(value: object, step: str) -> "pa.Table | pa.RecordBatchReader | None":
    """Recognise frames of libraries that are imported: no value of another can exist."""
    polars = _loaded("polars", "LazyFrame", "DataFrame")
    if polars is not None and isinstance(value, (polars.LazyFrame, polars.DataFrame)):
        from headgate.engines.polars import frame_batches, frame_table  # noqa: PLC0415 - as above

        if isinstance(value, polars.LazyFrame):
            return frame_batches(value)
        return frame_table(value)
    pandas = _loaded("pandas", "DataFrame")
    if pandas is not None and isinstance(value, pandas.DataFrame):
        return _from_pandas(value, step)
    duckdb = _loaded("duckdb", "DuckDBPyRelation")
    if duckdb is not None and isinstance(value, duckdb.DuckDBPyRelation):
        return value.to_arrow_reader(BATCH_ROWS)
    return None


def _loaded(name: str, *classes: str) -> Any:  # noqa: ANN401 - a module
    """Give a library that is imported, with these classes: another thread may be importing it."""
    module = sys.modules.get(name)
    return module if all(hasattr(module, each) for each in classes) else None


def _from_pandas(frame: "pd.DataFrame", step: str) -> pa.Table:
    """Keep named index levels as columns (a group-by's keys); a nameless one is a numbering."""
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    try:
        table = pa.Table.from_pandas(frame, preserve_index=False)
    except _UNFIT as error:
        said = "; ".join(str(part) for part in error.args)
        raise StepFailed(
            "step-rows-differ",
            f"{step} returned a pandas DataFrame with a column that has no one type: {said}",
            hint="Give every column one type: frame.astype(...).",
            step=step,
        ) from error
    return table.replace_schema_metadata(None)


def _from_iterable(
    value: Iterable[object], step: str, schema: pa.Schema | None
) -> "pa.Table | pa.RecordBatchReader":
    rest = iter(value)
    first = next(rest, None)
    if first is None:
        if schema is not None:
            return schema.empty_table()
        raise StepFailed(
            "step-yielded-nothing",
            f"{step} yielded no rows, and nothing says which columns they would have.",
            hint="Give the step a contract: then no rows are an empty table.",
            step=step,
        )
    everything = chain([first], rest)
    if isinstance(first, Mapping):
        return _from_dicts(everything, step, schema)
    return _from_chunks(everything, step)


def _from_chunks(chunks: Iterable[object], step: str) -> pa.RecordBatchReader:
    """Give the stream of yielded batches, tables or frames; all have the columns of the first."""
    tables = (_as_table(chunk, step) for chunk in chunks)
    first = next(tables)

    def batches() -> Iterator[pa.RecordBatch]:
        for table in chain([first], tables):
            if set(table.column_names) != set(first.column_names):
                raise StepFailed(
                    "step-rows-differ",
                    f"{step} yielded the columns {', '.join(table.column_names)} after "
                    f"{', '.join(first.column_names)}.",
                    hint="Yield the same columns every time.",
                    step=step,
                )
            try:
                yield from table.select(first.column_names).cast(first.schema).to_batches()
            except pa.ArrowInvalid as error:
                raise StepFailed(
                    "step-rows-differ",
                    f"{step} yielded a batch whose types differ from the first one's: {error}",
                    hint="Cast the columns to the same types every time.",
                    step=step,
                ) from error

    return pa.RecordBatchReader.from_batches(first.schema, batches())


def _as_table(chunk: object, step: str) -> pa.Table:
    if isinstance(chunk, pa.RecordBatch):
        return pa.Table.from_batches([chunk])
    if isinstance(chunk, pa.Table):
        return chunk
    framed = _from_frame(chunk, step)
    if framed is None:
        raise _wrong_type(chunk, step, "yielded")
    return framed if isinstance(framed, pa.Table) else framed.read_all()


def _from_dicts(
    rows: Iterable[object], step: str, declared: pa.Schema | None
) -> pa.RecordBatchReader:
    """Give the rows under a schema inferred from the first of them.

    What is declared helps where Python's values do not tell: a map is a list of pairs, too.
    """
    checked = (_checked_row(row, step) for row in rows)
    head = list(islice(checked, INFERENCE_ROWS))
    names = list(dict.fromkeys(name for row in head for name in row))
    known = {field.name: field.type for field in declared or ()}
    schema = pa.schema([(name, _inferred(name, head, step, known.get(name))) for name in names])

    def batches() -> Iterator[pa.RecordBatch]:
        everything = chain(head, checked)
        done = 0
        while chunk := list(islice(everything, BATCH_ROWS)):
            yield _batch(chunk, schema, step, done)
            done += len(chunk)

    return pa.RecordBatchReader.from_batches(schema, batches())


def _inferred(
    name: str, rows: list[Mapping[str, object]], step: str, declared: pa.DataType | None
) -> pa.DataType:
    values = [row.get(name) for row in rows]
    if declared is not None and pa.types.is_nested(declared):
        with suppress(*_UNFIT):
            return pa.array(values, declared).type
    try:
        return pa.array(values).type
    except _UNFIT as error:
        raise StepFailed(
            "step-rows-differ",
            f"{step} yielded values of no one type in the column {name!r}: {error}",
            hint="Yield one type a column, or give the step a contract.",
            step=step,
            column=name,
        ) from error


def _batch(
    rows: list[Mapping[str, object]], schema: pa.Schema, step: str, done: int
) -> pa.RecordBatch:
    known = set(schema.names)
    unknown = next((name for row in rows for name in row if name not in known), None)
    if unknown is not None:
        raise StepFailed(
            "step-rows-differ",
            f"{step} yielded a column {unknown!r} after row {done:,} that no row before it had.",
            hint="Yield every column from the first row on (None where there is no value).",
            step=step,
            column=unknown,
        )
    columns = []
    for field in schema:
        try:
            columns.append(pa.array([row.get(field.name) for row in rows], field.type))
        except _UNFIT as error:
            raise StepFailed(
                "step-rows-differ",
                f"{step} yielded a value that is no {type_words(field.type)} in the column "
                f"{field.name!r}, after row {done:,}.",
                hint="Yield one type a column, or give the step a contract that says which.",
                step=step,
                column=field.name,
            ) from error
    return pa.record_batch(columns, schema=schema)


def _checked_row(row: object, step: str) -> Mapping[str, object]:
    if not isinstance(row, Mapping):
        raise _wrong_type(row, step, "yielded")
    return row


def _wrong_type(value: object, step: str, did: str = "returned") -> StepFailed:
    kind = type(value)
    name = f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
    got = "None" if value is None else name
    hint = "Did it forget to return?" if value is None else None
    return StepFailed(
        "step-returned-wrong-type",
        f"{step} {did} {got}; allowed are {ALLOWED}.",
        hint=hint,
        step=step,
        got=got,
    )
