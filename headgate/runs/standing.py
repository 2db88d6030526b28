"""Which commits of a window are in effect, and whose work they carry.

A run and its revert, both in the window, are as if neither had been; so is a revert that was
reverted. A merge carries the commits of a branch: each of its steps names the one it came from.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from headgate.lake import Commit, StepRecord
from headgate.runs.skipping import reverted_runs


def standing(commits: Sequence[Commit]) -> list[Commit]:
    """Give the commits without those that were reverted among them, and without those reverts.

    Of a run of which only some steps were taken back, the others stay; of a revert that let steps
    run again, those do.
    """
    undone = reverted_runs(commits)
    here = {commit.record.run for commit in commits}
    found = []
    for commit in commits:
        run, reverts = commit.record.run, commit.record.reverts
        if run in undone:
            continue
        if not (reverts and all(each.partition("/")[0] in here for each in reverts)):
            gone = [step for step in commit.record.steps if f"{run}/{step.step}" in undone]
            found.append(_with_steps(commit, without=gone) if gone else commit)
        elif again := tuple(step for step in commit.record.steps if step.origin):
            record = msgspec.structs.replace(commit.record, steps=again, reverts=())
            found.append(msgspec.structs.replace(commit, record=record))
    return found


def _with_steps(commit: Commit, *, without: Sequence[StepRecord]) -> Commit:
    steps = tuple(step for step in commit.record.steps if step not in without)
    record = msgspec.structs.replace(commit.record, steps=steps)
    return msgspec.structs.replace(commit, record=record)


def carried(commit: Commit) -> Mapping[str, tuple[StepRecord, ...]]:
    """Give the commits whose work a commit is: itself, or what a merge took, with their steps."""
    found: dict[str, list[StepRecord]] = {}
    for step in commit.record.steps:
        found.setdefault(step.origin or commit.id, []).append(step)
    return {id: tuple(steps) for id, steps in found.items()} or {commit.id: ()}


def all_carried(commits: Iterable[Commit]) -> frozenset[str]:
    """Give all commits whose work these are."""
    return frozenset(id for commit in commits for id in (commit.id, *carried(commit)))
