"""Ingestion: a source's rows into its table, its cursor into the same commit.

What a source gives is told from its columns. Typed rows are written here; records become columns
in ``normalising.py``; operations are folded and applied in ``changes.py``.
"""

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from types import MappingProxyType

import pyarrow as pa

from headgate import source_columns
from headgate.contracts import ContractSpec, arrow_schema, cast_plan
from headgate.engines import Rows, Session, Sql
from headgate.errors import Internal, Invalid
from headgate.filesets import NativeFiles
from headgate.lake import Tree, table_key
from headgate.names import quote
from headgate.records import text_rule
from headgate.runs.arrivals import Arrivals, is_reserved
from headgate.runs.changes import write_changes
from headgate.runs.deletions import delete_keys
from headgate.runs.kept_types import kept_types, ways_out
from headgate.runs.lacking import lacking_in_batches, refuse_lacking_columns
from headgate.runs.normalising import write_records
from headgate.runs.outputs import (
    Output,
    Target,
    Unread,
    contract_output,
    mask_of,
    none_unread,
    stage,
)
from headgate.runs.source_states import SourceState
from headgate.runs.spool import Spool
from headgate.runs.typed_rows import ColumnsGrew, TypedRows
from headgate.runs.wiring import Wiring
from headgate.runs.written_formats import with_formats

RAW = "_hg_raw"
"""The name under which a query finds the source's rows."""


def ingest(
    wiring: Wiring,
    session: Session,
    tree: Tree,
    target: Target,
    state: SourceState,
    *,
    progress: Callable[[int], None] = lambda _: None,
    stopped: Callable[[], bool] = lambda: False,
) -> tuple[Output, str | None]:
    """Read what is new of a source into a table; give what was written, and the new cursor.

    An engine that can read the source's files does so by itself; else batches stream through Arrow.
    ``progress`` hears how many records have come; ``stopped`` ends the reading between two batches.
    """
    with closing(state.source) as source:
        native = source.native(state.cursor)
        if native is not None:
            if native.files is None:
                return _nothing(wiring, session, tree, target, state), native.cursor.text()
            output = write_raw(wiring, session, tree, target, native.files)
            native.prove()
            return output, native.cursor.text()
        arrivals = Arrivals(
            source.read(state.cursor),
            state.cursor,
            clock=wiring.clock,
            spool=lambda: Spool(wiring.cache / "spool"),
            progress=progress,
            stopped=stopped,
        )
        with closing(arrivals):
            written = write_arrivals(wiring, session, tree, target, arrivals)
            if written is None:
                written = _nothing(wiring, session, tree, target, state, arrivals.unread)
        written = replace(written, notes=(*written.notes, *arrivals.notes))
        return written, arrivals.cursor.text() if arrivals.cursor else None


def write_arrivals(
    wiring: Wiring, session: Session, tree: Tree, target: Target, arrivals: Arrivals
) -> Output | None:
    """Write a source's batches by what their columns say they are; None where they have none."""
    columns = arrivals.columns()
    if columns is None:
        for _ in arrivals:  # unread records, and a cursor
            pass
        return None
    if source_columns.RECORD in columns:
        return write_records(wiring, session, tree, target, arrivals)
    if source_columns.OPERATION in columns:
        return write_changes(wiring, session, tree, target, arrivals, whole=_write_typed)
    return _write_typed(wiring, session, tree, target, arrivals)


def _write_typed(
    wiring: Wiring, session: Session, tree: Tree, target: Target, arrivals: Arrivals
) -> Output:
    """Write typed rows; where a late batch brings columns, all rows flow once more under all.

    Raises:
        Internal: ``rows-lost``. Whatever the source raised, as it was raised.
    """
    with closing(TypedRows(arrivals)) as typed:
        while True:
            rows = typed.rows()
            try:
                output = write_raw(wiring, session, tree, target, rows, unread=arrivals.unread)
            except Exception as echo:
                if isinstance(typed.raised, ColumnsGrew):
                    continue
                if typed.raised is not None and typed.raised is not echo:
                    raise typed.raised  # noqa: B904 - the engine's error is only its echo
                raise
            break
        if target.spec is not None and target.mode != "delete":
            notes = lacking_in_batches(target.spec, typed.layouts)
            output = replace(output, notes=(*output.notes, *notes))
    if target.mode != "delete" and output.rows_in != arrivals.rows + arrivals.unread_rows:
        raise Internal(
            "rows-lost",
            f"{arrivals.rows + arrivals.unread_rows} records arrived and {output.rows_in} were "
            f"accepted or set aside on their way into {target.table}.",
            hint="Nothing was published. Please report this with the source's kind.",
            table=target.table,
        )
    return output


def write_raw(
    wiring: Wiring,
    session: Session,
    tree: Tree,
    target: Target,
    rows: NativeFiles | pa.Table | pa.RecordBatchReader,
    *,
    unread: Unread = none_unread,
    written: Mapping[str, object] = MappingProxyType({}),
) -> Output:
    """Write raw rows: their types and their fate are the contract's to say; without one, they stay.

    ``unread`` gives the records that were no rows, once the rows have flowed. ``written`` are the
    options of the files that the rows came from once, where they come from elsewhere now.

    Raises:
        Invalid: ``contract-raw-columns``: the columns are not those the contract speaks of.
            ``malformed-record``: a key to delete by cannot be read. ``rules-need-records``.
    """
    if target.mode == "delete":
        output = delete_keys(wiring, session, tree, target, rows)
        _refuse_unread_keys(target, unread())
        return output
    _refuse_rules_of_records(target)
    try:
        if target.spec is None:
            return _write_untold(wiring, session, tree, target, rows, unread)
        return _write_told(wiring, session, tree, target, target.spec, rows, unread, written)
    except Invalid as error:
        if error.code == "schema-type-conflict":
            error.hint = ways_out(target.table, has_contract=target.spec is not None)
        raise


def _write_told(
    wiring: Wiring,
    session: Session,
    tree: Tree,
    target: Target,
    spec: ContractSpec,
    rows: NativeFiles | pa.Table | pa.RecordBatchReader,
    unread: Unread,
    written: Mapping[str, object],
) -> Output:
    """Write raw rows as their contract says."""
    schema = session.schema(rows)
    options = rows.options if isinstance(rows, NativeFiles) else written
    texts = with_formats(options, text_rule(target.rules))
    plan = cast_plan(spec, schema, texts=texts)
    plan.refuse()
    notes = refuse_lacking_columns(spec, rows) if isinstance(rows, NativeFiles) else ()
    session.bind({RAW: rows})
    typed: Rows = Sql(text=plan.select(quote(RAW)), verbatim=plan.verbatim)
    mask = mask_of(wiring, session, tree, target, spec, plan.columns, plan)
    output = stage(
        wiring, session, tree, target, typed, schema=plan.schema, mask=mask, unread=unread
    )
    return replace(output, notes=(*output.notes, *notes))


def _write_untold(
    wiring: Wiring,
    session: Session,
    tree: Tree,
    target: Target,
    rows: NativeFiles | pa.Table | pa.RecordBatchReader,
    unread: Unread,
) -> Output:
    """Write raw rows that no contract speaks of: a table that grows keeps its columns' types.

    Raises:
        Invalid: ``schema-type-conflict``.
    """
    schema = session.schema(rows)
    before = tree.get(table_key(target.table))
    if target.mode == "replace" or before is None:
        own = _own_columns(schema)
        return stage(wiring, session, tree, target, rows, schema=own, unread=unread)
    present = wiring.lake.tables.scan_files(before, ()).schema
    kept = kept_types(target.table, rows, schema, present)
    schema = session.schema(kept.rows)
    spec = kept.spec()
    if spec is None:
        own = _own_columns(schema)
        return stage(wiring, session, tree, target, kept.rows, schema=own, unread=unread)
    plan = cast_plan(spec, schema)
    plan.refuse()
    session.bind({RAW: kept.rows})
    own = pa.schema([plan.schema.field(field.name) for field in _own_columns(schema)])
    mask = mask_of(wiring, session, tree, replace(target, key=()), spec, plan.columns, plan)
    return stage(
        wiring,
        session,
        tree,
        target,
        Sql(text=plan.select(quote(RAW))),
        schema=own,
        mask=mask,
        unread=unread,
        settled=lambda written, _: kept.refuse(written, mask.query.names),
    )


def _refuse_rules_of_records(target: Target) -> None:
    """Refuse what is declared of records, or of texts without a type, where there are columns.

    Raises:
        Invalid: ``rules-need-records``.
    """
    rules = target.rules
    given = {
        "nested=": bool(rules.nested),
        "on_conflict=": rules.on_conflict != "evolve",
        "null_tokens=, time_zone=, decimal_mark= or unicode= without a contract": (
            rules.changes_texts and target.spec is None
        ),
    }
    for name, is_given in given.items():
        if is_given:
            raise Invalid(
                "rules-need-records",
                f"{target.table} is declared with {name}, and its source gives columns that have "
                "their types already, no records.",
                hint="Leave it away, or give the step a contract where it is about texts.",
                table=target.table,
            )


def _own_columns(schema: pa.Schema) -> pa.Schema:
    """Give the table's columns among a source's: one that holds only NULL has no type yet.

    It comes to the table with its first value.
    """
    own = [field for field in schema if not is_reserved(field.name)]
    typed = [field for field in own if not pa.types.is_null(field.type)]
    return pa.schema(typed or own)


def _refuse_unread_keys(target: Target, unread: pa.Table | None) -> None:
    if unread is None:
        return
    first = unread.slice(0, 1).to_pylist()[0]
    raise Invalid(
        "malformed-record",
        f"{first['_position'] or 'A record'} cannot be read, so that nobody knows which rows of "
        f"{target.table} to delete: {first['_reason']}",
        hint="Mend the record.",
        table=target.table,
        position=first["_position"],
    )


def _nothing(
    wiring: Wiring,
    session: Session,
    tree: Tree,
    target: Target,
    state: SourceState,
    unread: Unread = none_unread,
) -> Output:
    """Give the output of a source without rows and without columns.

    A table that grows stays as it is, or begins empty under its contract. What would be replaced is
    not emptied for a file that lost even its header.

    Raises:
        Invalid: ``source-empty``, ``malformed-record``.
    """
    aside = unread()
    if target.mode != "replace":
        before = tree.get(table_key(target.table))
        schema = None
        if before is not None:
            if aside is None:
                return contract_output(tree, target)
            schema = wiring.lake.tables.scan_files(before, ()).schema
        elif target.spec is not None:
            schema = arrow_schema(target.spec)
        if schema is not None and target.mode != "delete":
            nothing = schema.empty_table()
            return stage(wiring, session, tree, target, nothing, schema=schema, unread=unread)
    title = state.source.describe().title
    if aside is not None:
        first = aside.slice(0, 1).to_pylist()[0]
        raise Invalid(
            "malformed-record",
            f"None of the {aside.num_rows:,} records of {title} is a row. The first, "
            f"{first['_position'] or 'somewhere'}: {first['_reason']}",
            hint="Say how the source is written, or mend it.",
            table=target.table,
            source=title,
        )
    raise Invalid(
        "source-empty",
        f"{title} holds nothing, not even the names of columns.",
        hint="No rows are a header without rows; look at what wrote it.",
        table=target.table,
        source=title,
    )
