"""What people do with branches: merge one into another, and adopt what an unfinished run has made.

A merge is a run: its reads and writes are those of the branch's commits since the fork, each read
keeping the commit at which it was taken; same graph, same contracts, same publication.
"""

from collections.abc import Collection, Sequence

import msgspec

from headgate.errors import Invalid
from headgate.lake import (
    Commit,
    Entry,
    Read,
    RunRow,
    RunState,
    StepRecord,
    refuse_collected,
    refuse_emptied,
)
from headgate.runs.attempt import Attempt, StepDone
from headgate.runs.beginning import attempt_of, begin, ending, find_run, take_over
from headgate.runs.loss import Loss
from headgate.runs.publish import publish
from headgate.runs.results import RunResult, nothing_of, result_of
from headgate.runs.standing import all_carried, carried, standing
from headgate.runs.transaction import cannot_rebase
from headgate.runs.wiring import Wiring


def merge(wiring: Wiring, source: str, target: str) -> RunResult:
    """Publish what a branch has done since it left the target.

    Raises:
        Conflict: ``cannot-rebase``. CheckFailed. Refused: ``tainted``.
        Invalid: ``nothing-in-common``.
    """
    lake = wiring.lake
    tip, head = lake.resolve(source), wiring.head(target)
    fork = lake.merge_base(tip, head)
    theirs = lake.window(head, since=fork.number)
    done = _in_effect(theirs)
    mine = lake.window(tip, since=fork.number)
    there = {c.id: found for c in mine if (found := _published_as(c, theirs)) is not None}
    counted = _counted(mine, {*done, *there})
    commits = [c for c in counted if not carried(c).keys() <= {*done, *there}]
    left = [each for commit in commits for each in _steps(wiring, commit, tip, fork, done)]
    attempt = begin(
        wiring,
        pipeline="merge",
        target=target,
        base=fork,
        kind="merge",
        message=f"merge {source}@{tip.id}",
    )
    attempt.in_effect = _no_nodes(theirs, counted).union(there.values())
    with ending(attempt):
        keys = {write.key for commit in commits for write in commit.record.writes}
        refuse_emptied(lake.metastore, (*theirs, *commits), keys=keys)
        if not attempt.pin(tip, why=f"the branch {source} that it merges"):
            refuse_collected(lake.metastore, tip, need="what it brings")
        attempt.checkpoint(left)
        if not any(step.changes for step in attempt.done.values()):
            return nothing_of(attempt)
        publication = publish(attempt, redo=_refuse)
    return result_of(attempt, publication)


def adopt(wiring: Wiring, run: str) -> RunResult:
    """Publish what an unfinished run has made so far; a person answers for it.

    Every contract is judged again. The run ends as published.

    Raises:
        Invalid: ``nothing-to-adopt``. Conflict, CheckFailed, Refused: as any publication.
    """
    row = find_run(wiring, run)
    attempt = attempt_of(wiring, take_over(wiring, row.id))
    attempt.kind = "adopt"
    attempt.message = f"adopt {row.id}"
    with ending(attempt):
        done = list(attempt.prior.values())
        if not done:
            raise Invalid(
                "nothing-to-adopt", f"Run {row.id} has finished no step.", hint="headgate run"
            )
        attempt.checkpoint(done)
        publication = publish(attempt, redo=_refuse)
    return result_of(attempt, publication)


def abandon(wiring: Wiring, run: str) -> RunRow:
    """End an unfinished run for good. Its branch stays until somebody deletes it.

    Raises:
        NotFound: ``unknown-run``. Refused: ``run-is-final``, ``run-is-alive``.
    """
    attempt = Attempt(wiring, row := take_over(wiring, run), base=wiring.lake.commit(row.base))
    attempt.set_state(RunState.ABANDONED)
    return attempt.row


def _refuse(head: Commit, loss: Loss) -> None:
    raise cannot_rebase(head, loss)


def _published_as(commit: Commit, window: Sequence[Commit]) -> str | None:
    """Give the publication that has a branch's commit in effect: its run's, of equal contents."""
    made = {(write.key, write.content) for write in commit.record.writes}
    for other in window:
        if other.record.run == commit.record.run is not None and made <= {
            (write.key, write.content) for write in other.record.writes
        }:
            return other.id
    return None


def _in_effect(window: Sequence[Commit]) -> frozenset[str]:
    """Give the commits whose work is in effect on the target since the fork."""
    return all_carried(standing(window))


def _counted(mine: Sequence[Commit], there: Collection[str]) -> Sequence[Commit]:
    """Give the branch's commits that count, in order.

    What the branch took back itself stays out with its revert, unless the target has it in effect:
    then both count, and it is the revert that is brought.
    """
    known, here = set(there), {commit.id for commit in standing(mine)}
    taken_back = [commit for commit in mine if commit.id not in here]
    if any(carried(commit).keys() & known for commit in taken_back):
        return mine
    return [commit for commit in mine if commit.id in here]


def _no_nodes(theirs: Sequence[Commit], mine: Sequence[Commit]) -> frozenset[str]:
    """Give the target's commits that count for nothing against the branch.

    They brought only what the branch has in effect, or they are out of effect.
    """
    known = all_carried(mine)
    here = {commit.id for commit in standing(theirs)}
    return frozenset(c.id for c in theirs if c.id not in here or known.issuperset(carried(c)))


def _steps(
    wiring: Wiring, commit: Commit, tip: Commit, fork: Commit, there: Collection[str]
) -> list[StepDone]:
    """Give a commit's steps as steps of the merge; each carries the entries it set, the last all.

    They are those of the branch's tip. Of a merge only what is not in effect on the target counts.
    """
    lake = wiring.lake
    records = [
        msgspec.structs.replace(
            record,
            step=record.step if record.origin else f"{commit.id[:8]}_{record.step}",
            origin=record.origin or commit.id,
            reads=tuple(_at(r, fork) for r in record.reads),
        )
        for record in commit.record.steps
        if record.origin not in there
    ]
    if len(records) == len(commit.record.steps):
        parent = lake.commit(commit.parent) if commit.parent else fork
        keys = [change.key for change in lake.tree(parent).diff(lake.tree(commit))]
    else:
        keys = sorted({write.key for record in records for write in record.writes})
    tree = lake.tree(tip)
    changes: dict[str, Entry | None] = {key: tree.get(key) for key in keys}
    if not records:
        records = [StepRecord(step=commit.id[:8], origin=commit.id)]
    return [
        StepDone(
            record=record,
            changes=changes
            if record is records[-1]
            else {write.key: changes[write.key] for write in record.writes if write.key in changes},
        )
        for record in records
    ]


def _at(read: Read, fork: Commit) -> Read:
    return read if read.at is not None else msgspec.structs.replace(read, at=fork.id)
