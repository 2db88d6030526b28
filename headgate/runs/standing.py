"""Which commits of a window are in effect, and whose work they carry.

A run and its revert, both in the window, are as if neither had been; so is a revert that was
reverted. A merge carries the commits of a branch: each of its steps names the one it came from.
"""

from collections.abc import Iterable, Mapping, Sequence

from headgate.lake import Commit, StepRecord
from headgate.runs.skipping import reverted_runs


def standing(commits: Sequence[Commit]) -> list[Commit]:
    """Give the commits without those that were reverted among them, and without those reverts."""
    undone = reverted_runs(commits)
    here = {commit.record.run for commit in commits}
    return [
        commit
        for commit in commits
        if commit.record.run not in undone
        and not (commit.record.reverts and all(run in here for run in commit.record.reverts))
    ]


def carried(commit: Commit) -> Mapping[str, tuple[StepRecord, ...]]:
    """Give the commits whose work a commit is: itself, or what a merge took, with their steps."""
    found: dict[str, list[StepRecord]] = {}
    for step in commit.record.steps:
        found.setdefault(step.origin or commit.id, []).append(step)
    return {id: tuple(steps) for id, steps in found.items()} or {commit.id: ()}


def all_carried(commits: Iterable[Commit]) -> frozenset[str]:
    """Give all commits whose work these are."""
    return frozenset(id for commit in commits for id in (commit.id, *carried(commit)))
