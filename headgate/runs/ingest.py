"""Ingestion: a source's rows into its table, its cursor into the same commit."""

from collections.abc import Iterator
from contextlib import closing

import pyarrow as pa

from headgate.contracts import arrow_schema, cast_plan
from headgate.engines import Rows, Session, Sql
from headgate.errors import Invalid
from headgate.filesets import NativeFiles
from headgate.lake import Tree, table_key
from headgate.names import quote
from headgate.runs.deletions import delete_keys
from headgate.runs.outputs import Output, Target, mask_of, stage
from headgate.runs.source_states import SourceState
from headgate.runs.wiring import Wiring
from headgate.sources import Batch, Cursor

RAW = "_hg_raw"
"""The name under which a query finds the source's rows."""


def ingest(
    wiring: Wiring, session: Session, tree: Tree, target: Target, state: SourceState
) -> tuple[Output, str | None]:
    """Read what is new of a source into a table; give what was written, and the new cursor.

    An engine that can read the source's files does so by itself; else batches stream through Arrow.
    """
    with closing(state.source) as source:
        native = source.native(state.cursor)
        if native is not None:
            if native.files is None:
                return _nothing(wiring, session, tree, target, state), native.cursor.text()
            output = write_raw(wiring, session, tree, target, native.files)
            return output, native.cursor.text()
        stream = _Stream(source.read(state.cursor))
        reader = stream.reader()
        if reader is None:
            output = _nothing(wiring, session, tree, target, state)
            return output, state.cursor.text() if state.cursor else None
        output = write_raw(wiring, session, tree, target, reader)
        return output, stream.cursor.text() if stream.cursor else None


def write_raw(
    wiring: Wiring,
    session: Session,
    tree: Tree,
    target: Target,
    rows: NativeFiles | pa.RecordBatchReader,
) -> Output:
    """Write raw rows: their types and their fate are the contract's to say; without one, they stay.

    Raises:
        Invalid: ``contract-raw-columns``: the columns are not those the contract speaks of.
    """
    if target.mode == "delete":
        return delete_keys(wiring, session, tree, target, rows)
    schema = session.schema(rows)
    if target.spec is None:
        return stage(wiring, session, tree, target, rows, schema=schema)
    plan = cast_plan(target.spec, schema)
    plan.refuse()
    session.bind({RAW: rows})
    typed: Rows = Sql(text=plan.select(quote(RAW)))
    mask = mask_of(wiring, session, tree, target, target.spec, plan.columns, plan)
    return stage(wiring, session, tree, target, typed, schema=plan.schema, mask=mask)


def _nothing(
    wiring: Wiring, session: Session, tree: Tree, target: Target, state: SourceState
) -> Output:
    """Give the output of a source without rows and without columns.

    A table that grows stays as it is, or begins empty under its contract. What would be replaced is
    not emptied for a file that lost even its header.

    Raises:
        Invalid: ``source-empty``.
    """
    if target.mode != "replace":
        if tree.get(table_key(target.table)) is not None:
            return Output(changes={}, writes=(), rows_in=0, rows=0)
        if target.spec is not None:
            schema = arrow_schema(target.spec)
            return stage(wiring, session, tree, target, schema.empty_table(), schema=schema)
    title = state.source.describe().title
    raise Invalid(
        "source-empty",
        f"{title} holds nothing, not even the names of columns.",
        hint="No rows are a header without rows; look at what wrote it.",
        table=target.table,
        source=title,
    )


class _Stream:
    """A source's batches as one Arrow stream; remembers the cursor of the last batch taken."""

    def __init__(self, batches: Iterator[Batch]) -> None:
        self._batches = batches
        self.cursor: Cursor | None = None

    def reader(self) -> pa.RecordBatchReader | None:
        """Give the stream, None where there is no batch."""
        first = next(self._batches, None)
        if first is None:
            return None
        return pa.RecordBatchReader.from_batches(
            first.rows.schema, self._rows(first, first.rows.schema)
        )

    def _rows(self, first: Batch, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        batch: Batch | None = first
        while batch is not None:
            yield from batch.rows.cast(schema).to_batches()
            self.cursor = batch.cursor or self.cursor
            batch = next(self._batches, None)
