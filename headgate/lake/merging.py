"""Merging one key: the table of SEMANTICS 4, for whole sequences of operations.

Every answer but ``Reexecute`` and ``MergeConflict`` gives the result of "the head's operations,
then the run's". The decision looks at operations and entries only. What needs rows is a
:class:`Question`, asked of the caller, and only where operations and footprints leave it open.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from headgate.lake.entries import Entry
from headgate.lake.footprints import meet
from headgate.lake.operations import (
    AddColumn,
    Append,
    ChangeSchema,
    Column,
    Create,
    Delete,
    Drop,
    Operation,
    Put,
    Rename,
    Replace,
    Restore,
    Rewrite,
    SetProperties,
    Upsert,
)
from headgate.lake.records import Isolation


class Ask(StrEnum):
    """What can be asked about rows."""

    KEYS_MEET = "keys-meet"
    """Does a row the head's operation wrote or removed have a key the run's operation writes?"""
    DELETE_FILES = "delete-files"
    """Has the head's table delete files (written by others)?"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Something only the rows can tell; ``head`` and ``run`` are the two operations it is of."""

    ask: Ask
    key: str
    head: Operation | None = None
    run: Operation | None = None


Facts: TypeAlias = Callable[[Question], bool]
"""Answers questions about rows. Asked lazily, at most once per question of one decision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepPointer:
    """Take the run's entry as it is.

    ``columns`` are those the head added meanwhile: the entry gets them, too, and its rows read NULL
    there.
    """

    columns: tuple[Column, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Apply:
    """Apply these operations, in order, to the head's entry; take their footprints anew.

    Appends are a union of files, an added column fills with NULL. Upserts and deletes look at every
    row the head has, never only at new files. A rewrite exchanges its files, all still there.
    """

    operations: tuple[Operation, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NoOp:
    """Leave the head's entry as it is."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reexecute:
    """The steps that wrote this key must look at the new head before anything is written."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeConflict:
    """The two sides exclude each other: identity, schema, cursor or bytes.

    A run's steps that wrote the key must run again, even where nothing they read has changed; work
    that has no steps ends here.
    """

    reason: str


Decision: TypeAlias = KeepPointer | Apply | NoOp | Reexecute | MergeConflict


def merge_decision(  # noqa: PLR0911 - one line per row of the table
    key: str,
    head_operations: Sequence[Operation],
    run_operations: Sequence[Operation],
    *,
    head_entry: Entry | None,
    run_entry: Entry | None,
    isolation: Isolation,
    facts: Facts,
    pipeline: str | None = None,
    takes_over: bool = False,
) -> Decision:
    """Decide how a run's operations on a key meet those published since the run's base.

    Both sequences are in order and in effect (:mod:`headgate.lake.effects`). ``head_entry`` is the
    key at the head, ``run_entry`` as the run has it on its branch; None where absent. The graph
    test has already been passed at the run's isolation level; "graph decides" means re-execute at
    snapshot isolation. A ``replace`` by another ``pipeline`` than the owner is a conflict unless it
    ``takes_over``.
    """
    if not run_operations:
        return NoOp(reason="nothing-done")
    if not key.startswith("table/"):
        return _merge_value(head_operations, head_entry, run_entry)
    if not takes_over and _is_owned_by_another(head_entry, pipeline, run_operations):
        return MergeConflict(reason="owned-by-another-pipeline")
    if not head_operations:
        return KeepPointer()
    if all(isinstance(each, Rewrite) for each in head_operations):
        return _merge_with_rewrites(run_operations)
    if all(isinstance(each, Rewrite) for each in run_operations):
        return _rebase_rewrite(head_operations, run_operations)
    head = [each for each in head_operations if not isinstance(each, Rewrite)]
    run = [each for each in run_operations if not isinstance(each, Rewrite)]
    if reason := _structural_conflict(head, run):
        return reason
    last = max((i for i, each in enumerate(run) if isinstance(each, Replace)), default=None)
    if last is not None:
        return _merge_replacement(head, head_entry, run_entry, isolation)
    return _merge_operations(key, head, run, head_entry, facts)


def questions(
    key: str, head_operations: Sequence[Operation], run_operations: Sequence[Operation]
) -> tuple[Question, ...]:
    """Give every question a merge of these may ask, for a caller that answers in advance."""
    if not key.startswith("table/") or any(isinstance(each, Replace) for each in run_operations):
        return ()
    found = [
        Question(ask=Ask.KEYS_MEET, key=key, head=theirs, run=mine)
        for mine, theirs in _pairs(head_operations, run_operations)
        if _needs_disjoint_keys(theirs, mine) and _may_meet(theirs, mine)
    ]
    if any(
        isinstance(mine, Append) and isinstance(theirs, Append)
        for mine, theirs in _pairs(head_operations, run_operations)
    ):
        found.append(Question(ask=Ask.DELETE_FILES, key=key))
    return tuple(found)


def _merge_value(
    head_operations: Sequence[Operation], head_entry: Entry | None, run_entry: Entry | None
) -> Decision:
    """Decide a key that is no table: cursors never merge, anything else only when equal."""
    if not head_operations:
        return KeepPointer()
    entry = run_entry or head_entry
    kind = entry.kind if entry is not None else "blob"
    if kind in ("cursor", "pipeline"):
        return MergeConflict(reason=f"{kind}-moved")
    mine = run_entry.content if run_entry is not None else None
    theirs = head_entry.content if head_entry is not None else None
    return NoOp(reason="equal") if mine == theirs else MergeConflict(reason=f"{kind}-differs")


def _merge_with_rewrites(run: Sequence[Operation]) -> Decision:
    """Decide against a head that only compacted: rows and schema are those of the run's base."""
    content = tuple(each for each in run if not isinstance(each, Rewrite))
    if not content:
        return NoOp(reason="rewritten-already")
    if any(isinstance(each, Replace | Drop | Create) for each in content):
        return KeepPointer()
    return Apply(operations=content)


def _rebase_rewrite(head: Sequence[Operation], run: Sequence[Operation]) -> Decision:
    """Decide for a run that only compacted."""
    if any(isinstance(each, Replace | Drop | Create | Rename | Restore) for each in head):
        return NoOp(reason="rewrite-overtaken")
    if all(isinstance(each, Append | AddColumn | SetProperties) for each in head):
        return Apply(operations=tuple(run))
    return Reexecute(reason="rewrite-overtaken")


def _structural_conflict(  # noqa: PLR0911 - one line per kind
    head: Sequence[Operation], run: Sequence[Operation]
) -> MergeConflict | Reexecute | None:
    for side, operations in (("head", head), ("run", run)):
        for each in operations:
            match each:
                case Restore():
                    return Reexecute(reason="reverted-meanwhile")
                case Create():
                    return MergeConflict(reason=f"created-by-{side}")
                case Drop():
                    return MergeConflict(reason=f"dropped-by-{side}")
                case Rename():
                    return MergeConflict(reason=f"renamed-by-{side}")
                case ChangeSchema():
                    return MergeConflict(reason=f"schema-changed-by-{side}")
                case Put():
                    return MergeConflict(reason="not-a-table-operation")
                case _:
                    pass
    return None


def _merge_replacement(
    head: Sequence[Operation],
    head_entry: Entry | None,
    run_entry: Entry | None,
    isolation: Isolation,
) -> Decision:
    """Decide for a run that replaced the table: whatever else it did, its rows are its own."""
    if head_entry is not None and run_entry is not None and head_entry.content == run_entry.content:
        return NoOp(reason="equal")
    if any(isinstance(each, SetProperties) for each in head):
        return Reexecute(reason="properties-set")
    if isolation == "snapshot-isolation" and not all(isinstance(each, AddColumn) for each in head):
        return Reexecute(reason="replaced-over-changes")
    columns: list[Column] = []
    mine = _types(run_entry)
    theirs = _types(head_entry)
    for each in head:
        if isinstance(each, AddColumn) and each.column.name in theirs:
            known = mine.get(each.column.name)
            if known is None:
                mine[each.column.name] = each.column.type
                columns.append(each.column)
            elif known != each.column.type:
                return MergeConflict(reason="column-types-differ")
    return KeepPointer(columns=tuple(columns))


def _merge_operations(
    key: str,
    head: Sequence[Operation],
    run: Sequence[Operation],
    head_entry: Entry | None,
    facts: Facts,
) -> Decision:
    theirs = _types(head_entry)
    for mine in run:
        if isinstance(mine, AddColumn):
            known = theirs.get(mine.column.name)
            if known is not None and known != mine.column.type:
                return MergeConflict(reason="column-types-differ")
        elif isinstance(mine, SetProperties):
            if any(_differ(mine, other) for other in head if isinstance(other, SetProperties)):
                return MergeConflict(reason="properties-differ")
        elif any(isinstance(each, Replace) for each in head):
            return Reexecute(reason="replaced-meanwhile")
    appended = False
    for mine, other in _pairs(head, run):
        appended = appended or (isinstance(mine, Append) and isinstance(other, Append))
        if (
            _needs_disjoint_keys(other, mine)
            and _may_meet(other, mine)
            and facts(Question(ask=Ask.KEYS_MEET, key=key, head=other, run=mine))
        ):
            return Reexecute(reason="keys-meet")
    if appended and facts(Question(ask=Ask.DELETE_FILES, key=key)):
        return Reexecute(reason="delete-files")
    return Apply(
        operations=tuple(
            each for each in run if not (isinstance(each, AddColumn) and each.column.name in theirs)
        )
    )


def _differ(mine: SetProperties, theirs: SetProperties) -> bool:
    """Whether the two say different things of one property, or of the sort order."""
    said = [dict.fromkeys(each.removals) | each.updates for each in (mine, theirs)]
    orders = {order for order in (mine.sort_by, theirs.sort_by) if order is not None}
    return len(orders) > 1 or any(said[0][n] != said[1][n] for n in said[0].keys() & said[1])


def _pairs(
    head: Sequence[Operation], run: Sequence[Operation]
) -> Iterator[tuple[Operation, Operation]]:
    return ((mine, theirs) for mine in run for theirs in head)


def _needs_disjoint_keys(head: Operation, run: Operation) -> bool:
    match head, run:
        case (Append() | Upsert() | Delete(), Upsert()) | (Upsert(), Append()):
            return True
        case _:
            return False


def _may_meet(head: Operation, run: Operation) -> bool:
    """Whether the two may share a key, as far as their footprints on the key columns tell."""
    if not isinstance(head, Append | Upsert | Delete) or not isinstance(run, Append | Upsert):
        return True
    keys = run.key_columns if isinstance(run, Upsert) else head.key_columns
    mine = {name: each for name, each in run.footprint.items() if name in keys}
    theirs = {name: each for name, each in head.footprint.items() if name in keys}
    return meet(mine, theirs)


def _is_owned_by_another(
    head_entry: Entry | None, pipeline: str | None, run: Sequence[Operation]
) -> bool:
    if head_entry is None or head_entry.table is None or head_entry.table.owner is None:
        return False
    return head_entry.table.owner != pipeline and any(isinstance(each, Replace) for each in run)


def _types(entry: Entry | None) -> dict[str, str]:
    if entry is None or entry.table is None:
        return {}
    return {column.name: column.type for column in entry.table.schema}
