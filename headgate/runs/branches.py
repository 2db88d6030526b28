"""What people do with branches: merge one into another, and adopt what an unfinished run has made.

A merge is a run: its reads and writes are those of the branch's commits since the fork, each read
keeping the commit at which it was taken; same graph, same contracts, same publication.
"""

from collections.abc import Sequence

import msgspec

from headgate.errors import Invalid
from headgate.lake import Commit, Entry, Read, RunRow, RunState, StepRecord
from headgate.runs.attempt import Attempt, StepDone
from headgate.runs.beginning import attempt_of, begin, ending, find_run, take_over
from headgate.runs.loss import Loss
from headgate.runs.publish import publish
from headgate.runs.results import RunResult, nothing_of, result_of
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
    merged, in_effect = _merged_before(wiring, theirs, fork, source, tip)
    mine = [c for c in lake.window(tip, since=fork.number) if c.number > merged]
    there = {c.id: found for c in mine if (found := _published_as(c, theirs)) is not None}
    commits = [c for c in mine if c.id not in there]
    attempt = begin(
        wiring,
        pipeline="merge",
        target=target,
        base=fork,
        kind="merge",
        message=f"merge {source}@{tip.id}",
    )
    attempt.in_effect = in_effect.union(there.values())
    with ending(attempt):
        for commit in commits:
            attempt.checkpoint(_steps(wiring, commit, fork))
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


def _merged_before(
    wiring: Wiring, window: Sequence[Commit], fork: Commit, source: str, tip: Commit
) -> tuple[int, frozenset[str]]:
    """Give the branch's last commit that is in effect on the target, and the merges."""
    lake = wiring.lake
    reverted = {run for commit in window for run in commit.record.reverts}
    last = fork.number
    merges = set[str]()
    for commit in window:
        name, _, at = commit.record.message.removeprefix("merge ").rpartition("@")
        if commit.record.kind == "merge" and name == source and commit.record.run not in reverted:
            known = lake.metastore.commit(at)
            if known is not None and lake.is_ancestor(known.id, tip):
                last = max(last, known.number)
                merges.add(commit.id)
    return last, frozenset(merges)


def _steps(wiring: Wiring, commit: Commit, fork: Commit) -> list[StepDone]:
    """Give a commit's steps as steps of the merge; the last carries the entries it set."""
    lake = wiring.lake
    parent = lake.commit(commit.parent) if commit.parent else fork
    changes: dict[str, Entry | None] = {
        change.key: change.after for change in lake.tree(parent).diff(lake.tree(commit))
    }
    records = [
        msgspec.structs.replace(
            record,
            step=f"{commit.id[:8]}_{record.step}",
            reads=tuple(_at(r, fork) for r in record.reads),
        )
        for record in commit.record.steps
    ]
    if not records:
        records = [StepRecord(step=commit.id[:8])]
    return [
        StepDone(record=record, changes=changes if record is records[-1] else {})
        for record in records
    ]


def _at(read: Read, fork: Commit) -> Read:
    return read if read.at is not None else msgspec.structs.replace(read, at=fork.id)
