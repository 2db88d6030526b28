"""Reverting abstract runs: each key without their operations, or refused."""

from collections.abc import Sequence
from typing import NamedTuple

from headgate.lake.effects import operations_by_key, operations_since
from headgate.lake.operations import Append, Operation, Restore
from headgate.lake.records import Commit, Read, StepRecord, Write
from headgate.lake.reverting import RefuseRevert, Replay
from headgate.runs.consequences import consequences
from headgate.runs.standing import standing
from headgate.testing.abstract_lake import Cell, Table, Tree
from headgate.testing.abstract_merging import Merger
from headgate.testing.abstract_runs import content_of, take

_MEANWHILE = "reverted-meanwhile"


class Reverted(NamedTuple):
    """The tree without runs, what the revert's record says, and which runs these are."""

    tree: Tree
    step: StepRecord
    runs: tuple[str, ...]


def reverted(merger: Merger, trees: Sequence[Tree], number: int) -> Reverted | str:
    """Give the head's tree without a publication, or why it cannot be had."""
    shop, rules = merger.shop, merger.rules
    commits, before, head = shop.commits, trees[number - 1], trees[-1]
    followers = operations_since(commits[number + 1 :])
    tree = dict(head)
    writes: list[Write] = []
    for key, operations in operations_by_key(commits[number].record.steps).items():
        was, now = before.get(key), head.get(key)
        decision = merger.decisions.revert(
            key,
            operations,
            followers.get(key, ()),
            before=was.entry if was else None,
            now=now.entry if now else None,
            facts=merger.facts,
        )
        if isinstance(decision, RefuseRevert):
            return f"{key}: {decision.reason}"
        did: list[Operation] = [Restore(commit=commits[number - 1].id)]
        cell = was
        if isinstance(decision, Replay):
            if rules.followers_replayed or not key.startswith("table/"):
                cell, again = shop.apply(was, decision.operations, key)
                did += [each for each, _ in again.values()]
            else:
                cell = _inverse(merger, now, was, operations)
        if key.startswith("cursor/") and not rules.position_reverted:
            continue
        take(tree, {key: cell})
        content = cell.entry.content if cell else None
        there = content_of(head, key)
        writes.append(Write(key=key, operations=tuple(did), before=there, content=content))
    run = commits[number].record.run or ""
    return Reverted(tree, StepRecord(step="revert", writes=tuple(writes)), (run,))


def cascaded(merger: Merger, trees: Sequence[Tree], number: int) -> Reverted | str:
    """Give the head's tree without a publication and all that follows from it, or why not."""
    shop, commits, head = merger.shop, merger.shop.commits, trees[-1]
    commit = commits[number]
    later = standing(commits[number + 1 :])
    found = _followed(merger, trees, commit, later)
    if isinstance(found, str):
        return found
    gone = {commit.id, *(each.id for each in found)}
    first: dict[str, int] = {}
    kept: dict[str, list[tuple[int, tuple[Operation, ...]]]] = {}
    for each in (commit, *later):
        for key, operations in operations_by_key(each.record.steps).items():
            if each.id in gone:
                first.setdefault(key, each.number)
            elif key in first:
                kept.setdefault(key, []).append((each.number, operations))
    tree, writes = dict(head), []
    for key, since in first.items():
        cell = trees[since - 1].get(key)
        did: list[Operation] = [Restore(commit=commits[since - 1].id)]
        for at, operations in kept.get(key, ()):
            if key.startswith("table/"):
                cell, again = shop.apply(cell, operations, key)
                did += [done for done, _ in again.values()]
            else:
                cell = trees[at].get(key)
        take(tree, {key: cell})
        content = cell.entry.content if cell else None
        there = content_of(head, key)
        writes.append(Write(key=key, operations=tuple(did), before=there, content=content))
    runs = tuple(each.record.run or "" for each in (commit, *found))
    return Reverted(tree, StepRecord(step="revert", writes=tuple(writes)), runs)


def _followed(
    merger: Merger, trees: Sequence[Tree], commit: Commit, later: Sequence[Commit]
) -> list[Commit] | str:
    """Give the publications that go with one, or why they cannot."""
    before, head, rules = trees[commit.number - 1], trees[-1], merger.rules

    def stands(
        key: str, gone: Sequence[Operation], kept: Sequence[Operation], by: Commit
    ) -> str | None:
        del by
        was, now = before.get(key), head.get(key)
        decision = merger.decisions.revert(
            key,
            gone,
            kept,
            before=was.entry if was else None,
            now=now.entry if now else None,
            facts=merger.facts,
        )
        return decision.reason if isinstance(decision, RefuseRevert) else None

    def seen_at(read: Read, by: Commit) -> int:
        return int(read.at.removeprefix("commit-")) if read.at else by.record.base_number

    found = consequences(commit, later, policy="cascade", seen_at=seen_at, stands=stands)
    walls = [why for each in found.affected for _, why in each.stands.values() if why == _MEANWHILE]
    if walls:
        return walls[0]
    if rules.cascades_go_on:
        return list(found.gone)
    wrote = {write.key for write in commit.record.writes}
    return [each for each in found.gone if any(read.key in wrote for read in each.record.reads)]


def _inverse(
    merger: Merger, now: Cell | None, was: Cell | None, reverted: Sequence[Operation]
) -> Cell | None:
    """Take a run's rows out of the head as one would who looks at nothing else."""
    if now is None or now.table is None:
        return was
    rows = list(now.table.rows)
    for each in reverted:
        if not isinstance(each, Append):
            return was
        for row in merger.shelf.of(each):
            if row in rows:
                rows.remove(row)
    left = tuple(rows)
    return merger.shelf.cell(Table(now.table.columns, left), ("inverse", left))
