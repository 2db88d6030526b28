"""Reverting a run: a new commit in which its operations are not in effect.

The unit is the run. Where nothing followed on a key it is what it was before; else the followers'
operations are applied again without it. What later runs computed from it is marked stale.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from headgate.errors import Invalid, Refused
from headgate.lake import (
    Commit,
    Entry,
    Operation,
    Read,
    RefuseRevert,
    Replace,
    Replay,
    Restore,
    RestoreEntry,
    StepRecord,
    Write,
    operations_by_key,
    operations_since,
    revert_decision,
)
from headgate.runs.applying import apply_operations
from headgate.runs.attempt import StepDone
from headgate.runs.beginning import begin, ending
from headgate.runs.loss import Loss
from headgate.runs.merging import RowFacts
from headgate.runs.publish import publish
from headgate.runs.results import RunResult, result_of
from headgate.runs.skipping import Output
from headgate.runs.standing import standing
from headgate.runs.wiring import Wiring


@dataclass(frozen=True, slots=True, kw_only=True)
class RevertPlan:
    """What a revert would do: to which keys, to which runs.

    ``followers`` are the runs whose operations are applied again, ``downstream`` those that
    computed from what goes away.
    """

    run: str
    commit: Commit
    restored: tuple[str, ...]
    replayed: tuple[str, ...]
    stale: tuple[str, ...]
    followers: tuple[str, ...]
    downstream: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Effects:
    plan: RevertPlan
    changes: dict[str, Entry | None]
    writes: tuple[Write, ...]


def plan_revert(wiring: Wiring, which: str, target: str) -> RevertPlan:
    """Say what reverting a run would do; changes nothing, writes no file.

    Raises:
        NotFound: ``unknown-ref``. Invalid: ``not-published-here``. Refused: ``revert-followed``.
    """
    return _effects(wiring, which, wiring.head(target), target, apply=False).plan


def revert(wiring: Wiring, which: str, target: str) -> RunResult:
    """Publish a commit in which a run is not in effect; its downstream is marked stale.

    ``which`` is a run's id or any ref to its publication. Cursors go back with the rows they stand
    for.

    Raises:
        NotFound: ``unknown-ref``. Invalid: ``not-published-here``. Refused: ``revert-followed``.
        CheckFailed: a contract fails without the run.
    """
    head = wiring.head(target)
    commit = _publication(wiring, which, head, target)
    attempt = begin(
        wiring,
        pipeline=commit.record.pipeline or "revert",
        target=target,
        base=head,
        kind="revert",
        message=f"revert {commit.record.run or commit.id}",
    )
    attempt.reverts = (commit.record.run or commit.id,)
    attempt.exclusive = True

    def compute(onto: Commit) -> None:
        effects = _effects(wiring, commit.id, onto, target, apply=True)
        record = StepRecord(step="revert", writes=effects.writes, reads=_reads(effects))
        attempt.checkpoint([StepDone(record=record, changes=effects.changes)])

    def redo(onto: Commit, _: Loss) -> None:
        attempt.rebase(onto)
        compute(onto)

    with ending(attempt):
        compute(head)
        publication = publish(attempt, redo=redo)
    return result_of(attempt, publication)


def _publication(wiring: Wiring, which: str, head: Commit, target: str) -> Commit:
    lake = wiring.lake
    runs = lake.metastore.find_runs(which.removeprefix("run/"), 2)
    row = lake.metastore.run(runs[0]) if len(runs) == 1 else None
    commit = lake.commit(row.commit) if row and row.commit else lake.resolve(which)
    if commit.parent is None or not lake.is_ancestor(commit.id, head):
        raise Invalid(
            "not-published-here",
            f"{which} is no publication in the history of {target}.",
            hint=f"Look: headgate log {target}",
            ref=which,
            target=target,
        )
    return commit


def _effects(wiring: Wiring, which: str, head: Commit, target: str, *, apply: bool) -> _Effects:
    lake = wiring.lake
    commit = _publication(wiring, which, head, target)
    before = lake.tree(lake.commit(commit.parent or commit.id))
    now = lake.tree(head)
    later = standing(lake.window(head, since=commit.number))
    reverted = operations_by_key(commit.record.steps)
    follow = operations_since(later)
    run = commit.record.run or commit.id
    changes: dict[str, Entry | None] = {}
    writes: list[Write] = []
    replayed: list[str] = []
    for key, operations in reverted.items():
        was, there = before.get(key), now.get(key)
        kept = _operations_kept(wiring, key, operations, follow.get(key, ()), was, there, run)
        entry, done = was, (Restore(commit=commit.parent or commit.id), *kept)
        if kept and not key.startswith("table/"):
            entry, done = there, ()
        elif kept:
            replayed.append(key)
            if apply:
                entry = apply_operations(
                    wiring, was, kept, key=key, prefix=f"revert-{run}", owner=_owner(there)
                )
        if done:
            changes[key] = entry
            writes.append(
                Write(
                    key=key,
                    operations=done,
                    before=there.content if there else None,
                    content=entry.content if entry else None,
                )
            )
    stale, downstream = _downstream(later, {k for k in reverted if k.startswith("table/")})
    for key in stale:
        entry = changes.get(key, now.get(key))
        if entry is not None:
            marks = tuple(sorted({*entry.stale, run}))
            changes[key] = msgspec.structs.replace(entry, stale=marks)
    plan = RevertPlan(
        run=run,
        commit=commit,
        restored=tuple(w.key for w in writes if w.key not in replayed and w.before != w.content),
        replayed=tuple(replayed),
        stale=tuple(sorted(stale)),
        followers=_runs(c for c in later if any(w.key in replayed for w in c.record.writes)),
        downstream=downstream,
    )
    return _Effects(plan=plan, changes=changes, writes=tuple(writes))


def _operations_kept(
    wiring: Wiring,
    key: str,
    operations: Sequence[Operation],
    followers: Sequence[Operation],
    was: Entry | None,
    there: Entry | None,
    run: str,
) -> tuple[Operation, ...]:
    """Give the followers' operations that stay in effect on a key.

    Raises:
        Refused: ``revert-followed``.
    """
    if key.startswith("pipeline/") and there is not None and there.data is not None:
        output = Output.parse(there.data)
        return () if run in {output.run, output.origin} else tuple(followers[-1:])
    decision = revert_decision(
        key, operations, followers, before=was, now=there, facts=RowFacts(wiring, there)
    )
    match decision:
        case RestoreEntry():
            return ()
        case Replay(operations=kept):
            return kept
        case RefuseRevert(reason=reason):
            raise Refused(
                "revert-followed",
                f"{key.partition('/')[2]} was changed after run {run} in a way that needs what "
                f"it did ({reason}).",
                readers="Nothing was changed.",
                hint="Revert the later runs first, newest first: headgate log "
                f"{key.partition('/')[2]}",
                key=key,
                run=run,
            )


def _downstream(later: Sequence[Commit], gone: set[str]) -> tuple[set[str], tuple[str, ...]]:
    """Give the tables computed from what goes away, however indirectly, and the runs."""
    affected, stale = set(gone), set[str]()
    runs: dict[str, None] = {}
    for commit in later:
        seen = False
        for step in commit.record.steps:
            touched = any(read.key in affected for read in step.reads)
            if commit.record.kind == "transaction":  # what it read may be in all it writes then
                seen = touched = seen or touched
            for write in step.writes:
                if not write.key.startswith("table/"):
                    continue
                if touched:
                    affected.add(write.key)
                    stale.add(write.key)
                    runs[commit.record.run or commit.id] = None
                elif any(isinstance(each, Replace) for each in write.operations):
                    affected.discard(write.key)
                    stale.discard(write.key)
    return stale, tuple(runs)


def _reads(effects: _Effects) -> tuple[Read, ...]:
    return tuple(
        Read(key=write.key, content=write.before)
        for write in effects.writes
        if write.key in effects.plan.replayed
    )


def _runs(commits: Iterable[Commit]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(c.record.run or c.id for c in commits))


def _owner(entry: Entry | None) -> str | None:
    return entry.table.owner if entry and entry.table else None
