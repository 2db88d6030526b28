"""Merging a run onto a head: ask the pure rules, then apply what they say to tables.

Deciding is ``headgate.lake.merging`` and ``headgate.lake.serialization``; this is the doing.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

import msgspec

from headgate.lake import (
    AddColumn,
    Apply,
    Ask,
    Column,
    Commit,
    Decision,
    Delete,
    Entry,
    GraphConflict,
    KeepPointer,
    MergeConflict,
    NoOp,
    Operation,
    Question,
    Record,
    Reexecute,
    Rewrite,
    StepRecord,
    Transaction,
    Write,
    merge_decision,
    operations_by_key,
    operations_since,
)
from headgate.names import quote
from headgate.runs.applying import apply_operations
from headgate.runs.attempt import Attempt
from headgate.runs.loss import Loss
from headgate.runs.wiring import Wiring


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """A run's changes as they are on a head, and its steps' records to go with them."""

    head: Commit
    changes: Mapping[str, Entry | None]
    steps: tuple[StepRecord, ...]


def transaction_of(attempt: Attempt) -> Transaction:
    """Give what the graph test needs of an attempt."""
    return Transaction.of(
        tuple(step.record for step in attempt.done.values()),
        base_number=attempt.base.number,
        isolation=attempt.isolation,
        in_effect=attempt.in_effect,
    )


def find_conflict(attempt: Attempt, window: Sequence[Commit]) -> GraphConflict | None:
    """Say why in no serial order the attempt reads what it has read; None where one exists."""
    if not window:
        return None
    history = attempt.wiring.lake.history_of(attempt.row.target)
    return history.conflict(transaction_of(attempt), window[-1])


def find_low(attempt: Attempt, window: Sequence[Commit]) -> int | None:
    """Give the least publication since the attempt's base that wrote what it had read."""
    if not window:
        return None
    history = attempt.wiring.lake.history_of(attempt.row.target)
    return history.low(transaction_of(attempt), window[-1])


def merge_onto(attempt: Attempt, head: Commit) -> Merged | Loss:
    """Merge an attempt's changes onto a head of its target: head's operations, then the run's.

    Keys nobody else touched are taken as they are. Appends cost metadata; upserts and deletes
    rewrite the files they hit on the head. Nothing is visible yet.
    """
    steps = tuple(step.record for step in attempt.done.values())
    mine: dict[str, Entry | None] = {
        key: entry for step in attempt.done.values() for key, entry in step.changes.items()
    }
    if head.id == attempt.base.id:
        return Merged(head=head, changes=mine, steps=steps)
    lake = attempt.wiring.lake
    window = lake.window(head, since=attempt.base.number)
    if attempt.exclusive:
        return _disturbed(attempt, head, window) or Merged(head=head, changes=mine, steps=steps)
    if found := find_conflict(attempt, window):
        return Loss(
            head=head,
            keys=found.keys,
            by=_run_of(window, found.commit),
            because=f"another run changed {_names(found.keys)}",
        )
    theirs = operations_since([c for c in window if c.id not in attempt.in_effect])
    ours = operations_by_key(steps)
    tree = lake.tree(head)
    for key in ours:
        if key not in mine and theirs.get(key):  # a skipped step's pointer, written all the same
            mine[key] = attempt.tree.get(key)
    current = tree.get_many(sorted(mine))
    changes: dict[str, Entry | None] = {}
    grown: dict[str, Sequence[Column]] = {}
    for key, entry in mine.items():
        if not theirs.get(key):
            changes[key] = entry
            continue
        decision = merge_decision(
            key,
            theirs[key],
            ours.get(key, ()),
            head_entry=current.get(key),
            run_entry=entry,
            isolation=attempt.isolation,
            facts=RowFacts(attempt.wiring, current.get(key)),
            pipeline=attempt.row.pipeline,
            takes_over=attempt.kind != "run" or key.removeprefix("table/") in attempt.take_over,
        )
        match _without_lost_rewrites(decision, ours.get(key, ())):
            case NoOp():
                continue
            case KeepPointer(columns=columns):
                changes[key] = _with_columns(attempt, entry, columns)
                grown[key] = columns
            case Apply(operations=operations):
                changes[key] = _remarked(
                    apply_operations(
                        attempt.wiring,
                        current.get(key),
                        operations,
                        key=key,
                        prefix=f"{attempt.id}-merge",
                    ).entry,
                    entry,
                    current.get(key),
                )
            case Reexecute(reason=reason) | MergeConflict(reason=reason):
                return Loss(
                    head=head,
                    keys=(key,),
                    by=next((c.record.run for c in reversed(window) if _wrote(c, key)), None),
                    because=f"another run changed {_names((key,))} ({reason})",
                    forced=isinstance(decision, MergeConflict),
                )
    return Merged(head=head, changes=changes, steps=_rebased(steps, changes, current, grown))


def touched_keys(attempt: Attempt) -> set[str]:
    """Give every key that an attempt's finished steps read or wrote."""
    return {key for step in attempt.done.values() for key in _keys_of(step.record)}


def _disturbed(attempt: Attempt, head: Commit, window: Sequence[Commit]) -> Loss | None:
    """Say who has touched a key that an exclusive attempt read or wrote."""
    mine = touched_keys(attempt)
    for commit in window:
        if met := sorted(_keys_of(commit.record) & mine):
            because = f"another run touched {_names(met)}"
            return Loss(head=head, keys=tuple(met), by=commit.record.run, because=because)
    return None


def _keys_of(record: Record | StepRecord) -> set[str]:
    return {read.key for read in record.reads}.union(write.key for write in record.writes)


def _without_lost_rewrites(decision: Decision, operations: Sequence[Operation]) -> Decision:
    """Drop a compaction that was overtaken: it changed files only, the next one does it again."""
    if isinstance(decision, Reexecute) and all(isinstance(each, Rewrite) for each in operations):
        return NoOp(reason=decision.reason)
    return decision


def _with_columns(attempt: Attempt, entry: Entry | None, columns: Sequence[Column]) -> Entry | None:
    """Give a replaced table the columns the head has added meanwhile."""
    if entry is None or not columns:
        return entry
    added = attempt.wiring.lake.tables.apply(
        entry, tuple(AddColumn(column=column) for column in columns)
    )
    return _remarked(added, entry, None)


def _remarked(entry: Entry | None, mine: Entry | None, theirs: Entry | None) -> Entry | None:
    """Give the merged entry the taint and staleness of both sides."""
    if entry is None:
        return None
    sides = [one for one in (mine, theirs) if one is not None]
    return msgspec.structs.replace(
        entry,
        taint=tuple(sorted({mark for one in sides for mark in one.taint})),
        stale=tuple(sorted({mark for one in sides for mark in one.stale})),
    )


def _rebased(
    steps: Sequence[StepRecord],
    changes: Mapping[str, Entry | None],
    current: Mapping[str, Entry | None],
    grown: Mapping[str, Sequence[Column]],
) -> tuple[StepRecord, ...]:
    """Give the steps' records with each key's first and last content as they are on the head.

    A replaced table that got the columns of others says so: who applies it again needs them.
    """
    first: dict[str, tuple[str, int]] = {}
    last: dict[str, tuple[str, int]] = {}
    for step in steps:
        for index, write in enumerate(step.writes):
            first.setdefault(write.key, (step.step, index))
            last[write.key] = (step.step, index)

    def moved(step: StepRecord, index: int, write: Write) -> Write:
        before, content = write.before, write.content
        here = (step.step, index)
        if first[write.key] == here and write.key in current:
            head = current[write.key]
            before = head.content if head else None
        if last[write.key] == here and write.key in changes:
            entry = changes[write.key]
            content = entry.content if entry else None
            added = (AddColumn(column=column) for column in grown.get(write.key, ()))
            write = msgspec.structs.replace(write, operations=(*write.operations, *added))
        return msgspec.structs.replace(write, before=before, content=content)

    return tuple(
        msgspec.structs.replace(
            step, writes=tuple(moved(step, i, write) for i, write in enumerate(step.writes))
        )
        for step in steps
    )


class RowFacts:
    """Answers the merge's questions about rows, with the engine."""

    def __init__(self, wiring: Wiring, head: Entry | None) -> None:
        self._wiring = wiring
        self._head = head

    def __call__(self, question: Question) -> bool:
        """Answer one question; reads only the key columns of the operations' files."""
        match question.ask:
            case Ask.DELETE_FILES:
                return False  # the lake refuses tables with delete files before they are read
            case Ask.KEYS_MEET:
                return self._keys_meet(question.head, question.run)

    def _keys_meet(self, head: Operation | None, run: Operation | None) -> bool:
        keys = tuple(getattr(run, "key_columns", ())) or tuple(getattr(head, "key_columns", ()))
        one, other = tuple(getattr(head, "files", ())), tuple(getattr(run, "files", ()))
        if not keys or self._head is None or not one:
            return True  # nothing tells them apart: a delete by predicate, rows without a key
        if isinstance(head, Delete) and not {*keys} <= {*head.key_columns}:
            return True  # its files hold the columns it deleted by, and no others
        if not other:
            return False
        tables = self._wiring.lake.tables
        with closing(self._wiring.engine().session()) as session:
            session.bind(
                {
                    "_hg_head": tables.scan_files(self._head, one),
                    "_hg_run": tables.scan_files(self._head, other),
                }
            )
            match = " and ".join(f"h.{quote(key)} = r.{quote(key)}" for key in keys)
            found = session.scalars(
                f"select exists (select 1 from _hg_head h join _hg_run r on {match}) as meet"
            )
        return bool(found["meet"])


def _wrote(commit: Commit, key: str) -> bool:
    return any(write.key == key for write in commit.record.writes)


def _run_of(window: Iterable[Commit], commit: str) -> str | None:
    return next((each.record.run for each in window if each.id == commit), None)


def _names(keys: Iterable[str]) -> str:
    return ", ".join(sorted({key.partition("/")[2] or key for key in keys}))
