"""Reverting an abstract run: each key without its operations, or refused."""

from collections.abc import Sequence
from typing import NamedTuple

from headgate.lake.effects import operations_by_key, operations_since
from headgate.lake.operations import Append, Operation, Restore
from headgate.lake.records import StepRecord, Write
from headgate.lake.reverting import RefuseRevert, Replay
from headgate.testing.abstract_lake import Cell, Table, Tree
from headgate.testing.abstract_merging import Merger
from headgate.testing.abstract_runs import content_of, take


class Reverted(NamedTuple):
    """The tree without a run, and what the revert's record says."""

    tree: Tree
    step: StepRecord


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
    return Reverted(tree, StepRecord(step="revert", writes=tuple(writes)))


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
