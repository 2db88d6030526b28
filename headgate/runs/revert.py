"""Reverting a run: a new commit in which its operations are not in effect.

The unit is the run. Where nothing followed on a key it is what it was before; else the followers'
recorded operations are applied again without it. What was computed from it stays and is marked
stale, is taken back as well (``cascade``), or is executed again without it (``rebuild``).
"""

from headgate.errors import Invalid
from headgate.lake import Commit, Read, StepRecord, refuse_collected, refuse_emptied
from headgate.runs.attempt import StepDone
from headgate.runs.beginning import begin, ending
from headgate.runs.consequences import Policy
from headgate.runs.loss import Loss
from headgate.runs.publish import publish
from headgate.runs.results import RunResult, nothing_of, result_of
from headgate.runs.revert_plans import RevertPlan, plan_of
from headgate.runs.wiring import Wiring
from headgate.runs.without import Without, without


def plan_revert(
    wiring: Wiring,
    which: str,
    target: str,
    *,
    policy: Policy = "stale",
    keep_cursor: bool = False,
) -> RevertPlan:
    """Say what reverting a run would do; changes nothing, writes no file.

    Raises:
        NotFound: ``unknown-ref``. Invalid: ``not-published-here``, ``already-reverted``.
        Refused: ``revert-followed``, ``rebuild-by-hand``.
    """
    head = wiring.head(target)
    commit = publication(wiring, which, head, target)
    refuse_swept(wiring, commit, head)
    return plan_of(without(wiring, commit, head, policy=policy, keep_cursor=keep_cursor))


def revert(
    wiring: Wiring,
    which: str,
    target: str,
    *,
    policy: Policy = "stale",
    keep_cursor: bool = False,
) -> RunResult:
    """Publish a commit in which a run is not in effect, by recorded operations only.

    ``which`` is a run's id or any ref to its publication. Cursors go back with the rows they stand
    for, unless ``keep_cursor`` drops the rows on purpose.

    Raises:
        NotFound: ``unknown-ref``. Invalid: ``not-published-here``, ``already-reverted``.
        Refused: ``revert-followed``. CheckFailed: a contract fails without the run.
    """
    head = wiring.head(target)
    commit = publication(wiring, which, head, target)
    refuse_swept(wiring, commit, head)
    without(wiring, commit, head, policy=policy, keep_cursor=keep_cursor)  # refused before it began
    attempt = begin(
        wiring,
        pipeline=commit.record.pipeline or "revert",
        target=target,
        base=head,
        kind="revert",
        message=f"revert {commit.record.run or commit.id}",
        settings={"reverts": commit.id, "policy": policy, "keep_cursor": keep_cursor},
    )
    attempt.exclusive = True

    def compute(onto: Commit) -> None:
        found = without(wiring, commit, onto, policy=policy, keep_cursor=keep_cursor)
        changes, writes = found.applied(prefix=f"revert-{attempt.id}")
        attempt.reverts = found.names
        record = StepRecord(step="revert", writes=writes, reads=watched(found))
        attempt.checkpoint([StepDone(record=record, changes=changes)])

    def redo(onto: Commit, _: Loss) -> None:
        publication(wiring, commit.id, onto, target)  # somebody else may have taken it back
        attempt.rebase(onto)
        compute(onto)

    with ending(attempt):
        before = wiring.lake.commit(commit.parent or commit.id)
        if not attempt.pin(before, why=f"what {commit.id[:12]} changed, as it was before"):
            refuse_swept(wiring, commit, head)
        compute(head)
        if attempt.changes_nothing:
            return nothing_of(attempt)
        published = publish(attempt, redo=redo)
    return result_of(attempt, published)


def publication(wiring: Wiring, which: str, head: Commit, target: str) -> Commit:
    """Give the publication that is meant, which must be in effect on the target.

    Raises:
        NotFound: ``unknown-ref``. Invalid: ``not-published-here``, ``already-reverted``.
    """
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


def refuse_swept(wiring: Wiring, commit: Commit, head: Commit) -> None:
    """Refuse to take back what needs states and rows that were swept away since.

    Raises:
        NotFound: ``commit-collected``.
    """
    lake = wiring.lake
    if commit.parent is not None:
        refuse_collected(
            lake.metastore, lake.commit(commit.parent), need="what it would go back to"
        )
    later = lake.window(head, since=commit.number)
    keys = {write.key for each in (commit, *later) for write in each.record.writes}
    refuse_emptied(lake.metastore, later, keys=keys)


def watched(found: Without) -> tuple[Read, ...]:
    """Give as reads all that the revert hangs on: who changes or reads it first makes it anew."""
    now = found.now
    return tuple(
        Read(key=key, content=entry.content if (entry := now.get(key)) else None)
        for key in sorted(found.found.keys)
    )
