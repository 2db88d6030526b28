"""Keeping what a step did, on another base: pointers as they are, operations applied again."""

from collections.abc import Collection, Mapping, Sequence

import msgspec

from headgate.lake import AddColumn, Entry, Operation, RowCounts, Tree, Write
from headgate.runs import reexecution
from headgate.runs.applying import Applied, apply_operations, carried
from headgate.runs.attempt import Attempt, StepDone
from headgate.runs.taint import marked


def keep(
    attempt: Attempt, prior: StepDone, tree: Tree, *, forced: Collection[str] = ()
) -> StepDone | None:
    """Give what a step did as it is on a tree, None where it must run again.

    Costs what its operations cost: nothing for a replacement, metadata for an append, the files hit
    for an upsert or a delete.
    """

    def now(key: str) -> str | None:
        entry = tree.get(key)
        return entry.content if entry else None

    decision = reexecution.decide(prior.record, now, forced=forced)
    if decision.again:
        return None
    changes: dict[str, Entry | None] = {}
    rows: dict[str, RowCounts | None] = {}
    grown: dict[str, tuple[AddColumn, ...]] = {}
    for write in decision.writes:
        if write.pointer:
            grown[write.key] = _added(attempt, tree, prior, write.key)
            changes[write.key] = _pointer(attempt, prior, write.key, grown[write.key])
        else:
            done = applied(attempt, tree, prior, write.key, write.operations)
            changes[write.key], rows[write.key] = done.entry, done.rows
    writes = tuple(
        msgspec.structs.replace(each, operations=(*each.operations, *grown.get(each.key, ())))
        for each in carried_writes(prior.record.writes, tree, changes, rows)
    )
    record = msgspec.structs.replace(prior.record, writes=writes, commit=None)
    return StepDone(record=record, changes=changes)


def applied(
    attempt: Attempt,
    tree: Tree,
    prior: StepDone | None,
    key: str,
    operations: Sequence[Operation],
) -> Applied:
    """Give a key after operations are applied to it as it is on a tree."""
    before = tree.get(key)
    done = apply_operations(
        attempt.wiring, before, operations, key=key, prefix=f"{attempt.id}-kept"
    )
    mine = prior.changes.get(key) if prior else None
    entry = marked(done.entry, attempt.id, (before, mine)) if done.entry else None
    return Applied(entry=entry, rows=done.rows)


def carried_writes(
    writes: Sequence[Write],
    tree: Tree,
    changes: Mapping[str, Entry | None],
    rows: Mapping[str, RowCounts | None],
) -> tuple[Write, ...]:
    """Give recorded writes as they turned out on a tree."""
    return tuple(
        carried(write, tree.get(write.key), changes[write.key], rows.get(write.key))
        if write.key in changes
        else write
        for write in writes
    )


def _added(attempt: Attempt, tree: Tree, prior: StepDone, key: str) -> tuple[AddColumn, ...]:
    """Give the columns of a replaced table which the new base has and the old had not."""
    entry, here = prior.changes[key], tree.get(key)
    old = attempt.previous_base.get(key) if attempt.previous_base else None
    if entry is None or here is None or old is None:
        return ()
    if entry.table is None or here.table is None or old.table is None:
        return ()
    known = {column.name for column in (*entry.table.schema, *old.table.schema)}
    return tuple(
        AddColumn(column=column) for column in here.table.schema if column.name not in known
    )


def _pointer(
    attempt: Attempt, prior: StepDone, key: str, added: tuple[AddColumn, ...]
) -> Entry | None:
    """Give a replaced table as it was, with the columns of the new base."""
    entry = prior.changes[key]
    if entry is None or not added:
        return entry
    grown = attempt.wiring.lake.tables.apply(entry, added)
    return msgspec.structs.replace(grown, taint=entry.taint, stale=entry.stale)
