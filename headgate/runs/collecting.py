"""Collecting a lake's garbage as runs see it: what their steps need stays, who works is let be."""

from collections.abc import Callable
from datetime import timedelta

from headgate.errors import Refused
from headgate.lake import SHORTEST_GRACE, Collection, RetentionPolicy, Swept
from headgate.runs.beginning import is_at_work
from headgate.runs.retained import RetainedPositions
from headgate.runs.wiring import Wiring


def collect(
    wiring: Wiring,
    policy: RetentionPolicy,
    *,
    plan: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> Swept:
    """Take away what nothing holds and what has been marked for as long as the grace; mark more.

    With ``plan`` nothing is changed, and it is said what would go.

    Raises:
        Refused: ``grace-too-short``: somebody is at work, and it would not cover that;
            ``not-the-owner``.
        Conflict: ``roots-moved``. Corrupt: what is kept is damaged; nothing is deleted.
    """
    lake = wiring.lake
    collection = Collection(lake, policy, needs=RetainedPositions(lake), progress=progress)
    if plan:
        return collection.plan()
    if policy.grace < SHORTEST_GRACE:
        _refuse_work(wiring, policy.grace)
    return collection.sweep()


def _refuse_work(wiring: Wiring, grace: timedelta) -> None:
    """Refuse a grace that does not cover what runs and readers hold between two transactions.

    Raises:
        Refused: ``grace-too-short``.
    """
    now = wiring.clock.now()
    references = wiring.lake.metastore.references()
    working = [run.id for run in references.runs if is_at_work(run, now)]
    reading = [pin.holder for pin in references.pins if pin.until is not None and pin.until > now]
    if working or reading:
        who = [*(f"run {id}" for id in working), *(f"reader {name}" for name in reading)]
        raise Refused(
            "grace-too-short",
            f"A grace of {grace} does not cover what is at work: {', '.join(who[:5])}"
            f"{' ...' if len(who) > 5 else ''}.",  # noqa: PLR2004 - as many as are shown
            readers="Nothing was deleted.",
            hint=f"Wait for their end (headgate status), or give a grace of {SHORTEST_GRACE}"
            " or more.",
            runs=working,
        )
