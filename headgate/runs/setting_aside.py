"""Rejected rows on their way into quarantine: as JSON, as they came, with place and reasons.

Where quarantined rows are played again, those that are accepted now leave the quarantine in the
same write, and those that are rejected again stay, with their new reasons.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from headgate.engines import Session, Sql, Written
from headgate.errors import Internal
from headgate.lake import Append, Delete, Entry, Operation, Replace, Upsert, Write, table_key
from headgate.names import literal, quote
from headgate.runs.applying import apply_operations
from headgate.runs.quarantine import (
    ID,
    RECORD_FORM,
    ROW_FORM,
    SCHEMA,
    TEXT_FORM,
    quarantine_rows,
    quarantine_table,
)
from headgate.runs.wiring import Wiring
from headgate.source_columns import RECORD

MALFORMED: Final = ("malformed",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejects:
    """Where rejected rows of one write go, and what is said of them.

    ``prefix`` begins the names of the write's files. ``replayed`` are the rows of the quarantine
    that are played again, with their ids as positions; None in every other write.
    """

    table: str
    mode: Literal["replace", "append", "upsert", "delete"]
    contract: str
    run: str
    step: str
    attempt: int
    prefix: str
    owner: str | None
    replayed: pa.Table | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """What became of a quarantine."""

    key: str
    entry: Entry | None
    write: Write


def set_aside(
    wiring: Wiring,
    session: Session,
    before: Entry | None,
    rejects: Rejects,
    written: Written,
    names: Sequence[str],
) -> SetAside | None:
    """Put what a write rejected into the table's quarantine; it is replaced where the table is.

    ``names`` are the checks of the mask's bits. None where nothing changes.
    """
    parts = []
    at = wiring.clock.now()
    if written.rejected is not None:
        parts.append(_rows_of(_payloads(session, written.rejected), names, rejects, at))
    if written.malformed is not None:
        parts.append(_rows_of(_malformed(written.malformed), MALFORMED, rejects, at))
    rows = pa.concat_tables(parts) if parts else SCHEMA.empty_table()
    if rejects.replayed is not None:
        return _back(wiring, session, before, rejects, rows)
    if not rows.num_rows and (before is None or rejects.mode != "replace" or not _count(before)):
        return None
    ids = [f"{rejects.run}-{rejects.step}-{rejects.attempt}-{n}" for n in range(rows.num_rows)]
    rows = rows.set_column(rows.column_names.index(ID), ID, pa.array(ids, pa.string()))
    mode: Literal["replace", "append"] = "replace" if rejects.mode == "replace" else "append"
    return write_quarantine(wiring, session, before, rejects, rows, mode)


def write_quarantine(
    wiring: Wiring,
    session: Session,
    before: Entry | None,
    rejects: Rejects,
    rows: pa.Table,
    mode: Literal["replace", "append"],
) -> SetAside:
    """Replace a quarantine's rows, or append to them."""
    table = quarantine_table(rejects.table)
    tables = wiring.lake.tables
    prefix = f"{rejects.prefix}-quarantine"
    plan = tables.plan_write(before, rows.schema, table=table, mode=mode, prefix=prefix)
    files = tables.collect(session.write(rows, plan.target).paths, plan.columns)
    data = Replace(files=files, schema=plan.columns) if mode == "replace" else Append(files=files)
    operations = (*plan.operations, data)
    entry = tables.apply(before, operations, owner=rejects.owner)
    return _done(table, before, entry, operations)


def exchange(
    wiring: Wiring,
    session: Session,
    before: Entry,
    rejects: Rejects,
    *,
    gone: pa.Array,
    changed: pa.Table,
) -> SetAside:
    """Take rows out of a quarantine by their ids, and put changed ones in the place of theirs."""
    table = quarantine_table(rejects.table)
    operations: list[Operation] = []
    if len(gone):
        keys = pa.table({ID: gone.cast(pa.string())})
        operations += _keyed(wiring, session, before, rejects, keys, "gone")
    if changed.num_rows:
        operations += _keyed(wiring, session, before, rejects, changed, "changed")
    done = apply_operations(
        wiring,
        before,
        operations,
        key=table_key(table),
        prefix=f"{rejects.prefix}-quarantine",
        owner=rejects.owner,
        check_keys=True,
    )
    return _done(table, before, done.entry, operations)


def _keyed(
    wiring: Wiring,
    session: Session,
    before: Entry,
    rejects: Rejects,
    rows: pa.Table,
    what: Literal["gone", "changed"],
) -> list[Operation]:
    tables = wiring.lake.tables
    plan = tables.plan_write(
        before,
        rows.schema,
        table=quarantine_table(rejects.table),
        mode="upsert",
        prefix=f"{rejects.prefix}-quarantine-{what}",
        key_columns=(ID,),
        staged_input=True,
    )
    paths = session.write(rows, plan.target).paths
    files = tables.collect(paths, plan.columns, key_columns=(ID,))
    if what == "gone":
        return [Delete(key_columns=(ID,), files=files)]
    columns = tuple(rows.column_names)
    return [*plan.operations, Upsert(files=files, key_columns=(ID,), columns=columns)]


def _back(
    wiring: Wiring, session: Session, before: Entry | None, rejects: Rejects, again: pa.Table
) -> SetAside:
    """Let accepted rows leave the quarantine; those rejected ``again`` keep what they came with."""
    replayed = rejects.replayed
    if before is None or replayed is None:
        raise Internal("no-quarantine", f"{rejects.table} has no quarantine to replay.")
    number = {id: n for n, id in enumerate(replayed.column(ID).to_pylist())}
    places = again.column("position").to_pylist()  # the ids: they went along as positions
    if unknown := [place for place in places if place not in number]:
        raise Internal(
            "replayed-row-unknown",
            f"{len(unknown)} rows of {rejects.table} that were replayed lost their ids.",
            table=rejects.table,
        )
    mine = replayed.take(pa.array([number[place] for place in places], pa.int64()))
    attempts = pc.add(mine.column("attempt"), pa.scalar(1, pa.int32()))
    kept = {name: mine.column(name) for name in ("position", "payload", "form", ID)}
    columns = {**{n: again.column(n) for n in SCHEMA.names}, **kept, "attempt": attempts}
    # A text that is no row is told apart by its payload, which holds the new reason, too.
    is_text = pc.equal(mine.column("form"), TEXT_FORM)
    was_text = pc.and_(is_text, pc.equal(again.column("form"), TEXT_FORM))
    columns["payload"] = pc.if_else(was_text, again.column("payload"), mine.column("payload"))
    changed = pa.table([columns[name] for name in SCHEMA.names], schema=SCHEMA)
    ids = replayed.column(ID).combine_chunks()
    gone = ids.filter(pc.invert(pc.is_in(ids, value_set=changed.column(ID).combine_chunks())))
    return exchange(wiring, session, before, rejects, gone=gone, changed=changed)


def _done(
    table: str, before: Entry | None, entry: Entry | None, operations: Sequence[Operation]
) -> SetAside:
    write = Write(
        key=table_key(table),
        operations=tuple(operations),
        before=before.content if before else None,
        content=entry.content if entry else None,
    )
    return SetAside(key=write.key, entry=entry, write=write)


def _rows_of(rejected: pa.Table, names: Sequence[str], rejects: Rejects, at: datetime) -> pa.Table:
    return quarantine_rows(
        rejected,
        names,
        contract=rejects.contract,
        run=rejects.run,
        step=rejects.step,
        at=at,
    )


def _count(entry: Entry) -> int:
    return entry.table.rows if entry.table else 0


def _payloads(session: Session, rejected: pa.Table) -> pa.Table:
    """Give rejected rows as JSON text of the row as it came in, beside their mask and position.

    A column that was cast has its raw text beside it, under ``_raw.<name>``: the payload holds
    that. Where a source gave whole records, the record is the payload.
    """
    if RECORD in rejected.column_names:
        names = ["_payload" if name == RECORD else name for name in rejected.column_names]
        found = rejected.rename_columns(names).select(["_payload", "_mask", "_position"])
        return found.append_column("_form", _repeated(RECORD_FORM, found.num_rows))
    hidden = {"_mask", "_position"}
    raw = {
        name.removeprefix("_raw."): name
        for name in rejected.column_names
        if name.startswith("_raw.")
    }
    plain = [
        name
        for name in rejected.column_names
        if name not in hidden and not name.startswith("_raw.") and name not in raw
    ]
    fields = ", ".join(
        f"{literal(shown)}: {_json(name, rejected.schema.field(name).type)}"
        for shown, name in (*((n, n) for n in plain), *raw.items())
    )
    session.bind({"_hg_rejected": rejected})
    query = f"select to_json({{{fields}}})::varchar as _payload, _mask, _position from _hg_rejected"
    found = session.reader(Sql(text=query)).read_all()
    return found.append_column("_form", _repeated(ROW_FORM, found.num_rows))


def _json(name: str, kind: pa.DataType) -> str:
    """Give a column as JSON has it: JSON knows no infinity and no NaN, which become texts."""
    column = quote(name)
    if not pa.types.is_floating(kind):
        return column
    return (
        f"case when isfinite({column}) then to_json({column}) else to_json({column}::varchar) end"
    )


def _malformed(rows: pa.Table) -> pa.Table:
    payload = pa.array(
        [
            msgspec.json.encode({"raw": raw, "column": column, "reason": reason}).decode()
            for raw, column, reason in zip(
                rows.column("_raw").to_pylist(),
                rows.column("_column").to_pylist(),
                rows.column("_reason").to_pylist(),
                strict=True,
            )
        ],
        pa.string(),
    )
    count = rows.num_rows
    mask = pa.array([1] * count, pa.int64())
    return pa.table(
        [payload, mask, rows.column("_position"), _repeated(TEXT_FORM, count)],
        names=["_payload", "_mask", "_position", "_form"],
    )


def _repeated(text: str, count: int) -> pa.Array:
    return pa.array([text] * count, pa.string())
