"""Deleting by key: what a step or a transaction gives are the keys of the rows that go."""

from typing import TYPE_CHECKING

import pyarrow as pa

from headgate.engines import Session, Written
from headgate.errors import Invalid, NotFound
from headgate.lake import Delete, Entry, Tree, Write, table_key
from headgate.names import suggestion
from headgate.runs.applying import apply_operations
from headgate.runs.outputs import Output, Target, footprint
from headgate.runs.wiring import Wiring

if TYPE_CHECKING:
    from headgate.engines import Rows


def delete_keys(
    wiring: Wiring, session: Session, tree: Tree, target: Target, rows: "Rows"
) -> Output:
    """Stage the keys among rows, and take the table's rows with these keys away.

    Other columns are passed over; a key that the table does not have, or that comes twice, is none
    to worry about. The table's schema, contract and owner stay as they are.

    Raises:
        NotFound: ``unknown-table``. Invalid: ``schema-key-missing``, ``null-key``,
            ``missing-columns``, ``value-does-not-fit``.
    """
    key = table_key(target.table)
    before = tree.get(key)
    if before is None or before.table is None:
        names = [name.removeprefix("table/") for name in tree.keys("table/")]
        close = suggestion(target.table, names)
        raise NotFound(
            "unknown-table",
            f"There is no table {target.table} to delete from.",
            hint=f"Did you mean {close}?" if close else "Look: headgate table",
            table=target.table,
        )
    operation, written = stage_keys(wiring, session, before, target, rows)
    done = apply_operations(
        wiring, before, (operation,), key=key, prefix=target.prefix, check_keys=True
    )
    write = Write(
        key=key,
        operations=(operation,),
        before=before.content,
        content=done.entry.content if done.entry else None,
        rows=done.rows,
    )
    return Output(
        changes={key: done.entry},
        writes=(write,),
        rows_in=written.rows_read,
        rows=done.rows.deleted if done.rows else 0,
    )


def stage_keys(
    wiring: Wiring, session: Session, before: Entry, target: Target, rows: "Rows"
) -> tuple[Delete, Written]:
    """Stage the keys among rows; give the deletion that takes a table's rows with them away.

    Raises:
        Invalid: ``schema-key-missing``, ``missing-columns``, ``value-does-not-fit``.
    """
    tables = wiring.lake.tables
    columns = tables.scan_files(before, ()).schema
    missing = [name for name in target.key if name not in columns.names]
    if missing:
        raise Invalid(
            "schema-key-missing",
            f"Table {target.table} has no column {', '.join(missing)} to find rows by.",
            hint="Columns: " + ", ".join(columns.names),
            table=target.table,
            column=missing[0],
        )
    plan = tables.plan_write(
        before,
        pa.schema([columns.field(name) for name in target.key]),
        table=target.table,
        mode="upsert",
        prefix=target.prefix,
        key_columns=target.key,
        staged_input=True,
    )
    written = session.write(rows, plan.target)
    files = tables.collect(written.paths, plan.columns, key_columns=target.key)
    footing = footprint(files, target.key)
    return Delete(key_columns=target.key, files=files, footprint=footing), written
