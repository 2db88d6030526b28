"""What a revert would do, for people to read before it is done."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from headgate.lake import AddColumn, Append, Commit, Create, Operation, Replace
from headgate.runs.consequences import Policy, live_steps
from headgate.runs.folded_cursors import items_between
from headgate.runs.without import Without, WithoutKey

How: TypeAlias = Literal["restored", "replayed", "executed", "stale"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableChange:
    """What becomes of a table.

    ``restored``: it is what it was before; ``replayed``: later changes are applied without the run;
    ``executed``: steps compute it again; ``stale``: it stays, marked. ``rows_then`` is None where
    the table is gone then (``is_gone``), or where only doing it tells.
    """

    table: str
    how: How
    rows_now: int | None
    rows_then: int | None
    is_gone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CursorChange:
    """What becomes of a cursor: it goes back, or stays although its rows go.

    ``again`` are the items (files, partitions) that the next run reads again, where they are known.
    """

    pipeline: str
    step: str
    is_kept: bool
    again: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StepAgain:
    """A step that a rebuild executes again, as part of which run."""

    run: str
    pipeline: str
    step: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RevertPlan:
    """What a revert would do: to which keys, to which runs.

    ``followers`` are the runs whose operations are applied again, ``downstream`` those that
    computed from what goes away, ``gone`` those that are not in effect any more as they were, the
    run itself first. ``left_out`` counts steps whose output a later one replaces. ``not_undone``
    names what left the lake: (run, step) of steps without a table.
    """

    run: str
    commit: Commit
    policy: Policy
    restored: tuple[str, ...]
    replayed: tuple[str, ...]
    stale: tuple[str, ...]
    followers: tuple[str, ...]
    downstream: tuple[str, ...]
    gone: tuple[str, ...]
    tables: tuple[TableChange, ...]
    cursors: tuple[CursorChange, ...]
    again: tuple[StepAgain, ...] = ()
    left_out: int = 0
    not_undone: tuple[tuple[str, str], ...] = ()

    @property
    def changes_nothing(self) -> bool:
        """Whether nothing of the run is in effect any more."""
        return not (self.restored or self.replayed or self.again or self.stale)


def plan_of(found: Without) -> RevertPlan:
    """Describe what ``found`` says would be done."""
    replayed, restored = [], []
    for one in found.keys:
        if one.key.startswith("table/") and one.replayed:
            replayed.append(one)
        elif _becomes_other(found, one):
            restored.append(one)
    again, left_out = _again(found)
    executed = _executed_tables(found)
    followers = [each.commit for one in replayed for each in one.kept]
    return RevertPlan(
        run=found.run,
        commit=found.commit,
        policy=found.policy,
        restored=tuple(one.key for one in restored if one.key not in executed),
        replayed=tuple(one.key for one in replayed if one.key not in executed),
        stale=tuple(sorted(found.found.stale)),
        followers=_runs(sorted(followers, key=lambda c: c.number)),
        downstream=tuple(each.run for each in found.found.affected if each.read),
        gone=found.runs,
        tables=_tables(found, replayed, restored, executed),
        cursors=_cursors(found),
        again=again,
        left_out=left_out,
        not_undone=_not_undone(found),
    )


def _becomes_other(found: Without, one: WithoutKey) -> bool:
    there = found.now.get(one.key)
    if one.key.startswith("table/"):
        then = found.base(one)
        return bool(found.emptied(one)) or (then and then.content) != (there and there.content)
    then = found.value(one)
    return (then and then.content) != (there and there.content)


def _executed_tables(found: Without) -> frozenset[str]:
    if found.policy != "rebuild":
        return frozenset()
    live = live_steps(found.later, found.found)
    return frozenset(
        write.key
        for commit in found.found.gone
        for step in commit.record.steps
        if step.step in live.get(commit.id, ())
        for write in step.writes
        if write.key.startswith("table/")
    )


def _again(found: Without) -> tuple[tuple[StepAgain, ...], int]:
    if found.policy != "rebuild":
        return (), 0
    live = live_steps(found.later, found.found)
    steps = tuple(
        StepAgain(
            run=commit.record.run or commit.id, pipeline=commit.record.pipeline or "", step=name
        )
        for commit in found.found.gone
        for name in live.get(commit.id, ())
    )
    with_tables = [
        step
        for each in found.found.affected
        for step in each.commit.record.steps
        if step.step in each.gone and any(w.key.startswith("table/") for w in step.writes)
    ]
    return steps, len(with_tables) - len(steps)


def _tables(
    found: Without,
    replayed: list[WithoutKey],
    restored: list[WithoutKey],
    executed: frozenset[str],
) -> tuple[TableChange, ...]:
    changes: dict[str, TableChange] = {}

    def add(key: str, how: How, then: int | None, *, is_gone: bool = False) -> None:
        entry = found.now.get(key)
        name = key.removeprefix("table/")
        rows = entry.table.rows if entry and entry.table else None
        changes[key] = TableChange(
            table=name, how=how, rows_now=rows, rows_then=then, is_gone=is_gone
        )

    for one in (*restored, *replayed):
        if not one.key.startswith("table/") or one.key in executed:
            continue
        base = found.base(one)
        rows = base.table.rows if base and base.table else None
        operations = one.replayed or found.emptied(one)
        if operations:
            add(one.key, "replayed" if one.replayed else "restored", _rows(rows or 0, operations))
        else:
            add(one.key, "restored", rows, is_gone=base is None)
    for key in sorted(executed):
        add(key, "executed", None)
    for key in sorted(found.found.stale - changes.keys()):
        entry = found.now.get(key)
        if entry is not None and entry.table is not None:
            add(key, "stale", entry.table.rows)
    return tuple(changes[key] for key in sorted(changes))


def _rows(start: int, operations: tuple[Operation, ...]) -> int | None:
    """Count rows after operations, None where only the rows tell."""
    rows = start
    for each in operations:
        if isinstance(each, Replace):
            rows = each.rows
        elif isinstance(each, Append):
            rows += each.rows
        elif not isinstance(each, AddColumn | Create):
            return None
    return rows


def _cursors(found: Without) -> tuple[CursorChange, ...]:
    changes = []
    for key in sorted(found.kept_cursors):
        _, pipeline, step = key.split("/", 2)
        changes.append(CursorChange(pipeline=pipeline, step=step, is_kept=True))
    for one in found.keys:
        if not one.key.startswith("cursor/"):
            continue
        now, then = found.now.get(one.key), found.value(one)
        if (now and now.content) == (then and then.content):
            continue
        _, pipeline, step = one.key.split("/", 2)
        again = items_between(then.data if then else None, now.data if now else None)
        changes.append(CursorChange(pipeline=pipeline, step=step, is_kept=False, again=again))
    return tuple(changes)


def _not_undone(found: Without) -> tuple[tuple[str, str], ...]:
    """Give the steps without a table that ran: what they did outside stays done."""
    lake = found.wiring.lake
    told = []
    for run, commit in {found.run: found.commit, **found.gone_runs}.items():
        wrote = {s.step for s in commit.record.steps if s.writes or s.skipped}
        known = {s.step for s in commit.record.steps}
        ran = {row.step for row in lake.metastore.steps(run) if row.state == "done"}
        told += [(run, step) for step in sorted((known | ran) - wrote)]
    return tuple(told)


def _runs(commits: list[Commit]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(c.record.run or c.id for c in commits))
