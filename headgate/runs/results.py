"""What became of a run: the value that is given back, printed and tested."""

from dataclasses import dataclass

from headgate.events import Event, RunDone, RunFoundNothing
from headgate.lake import Commit, RunState, StepRecord
from headgate.runs.attempt import Attempt
from headgate.verdicts import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """A run that ended well. ``commit`` is its publication, or the head where nothing was to do.

    ``tables`` are those that changed for readers. ``losses`` counts how often others published
    first and it was executed again.
    """

    id: str
    pipeline: str
    target: str
    branch: str
    state: RunState
    commit: Commit
    steps: tuple[StepRecord, ...]
    verdicts: tuple[Verdict, ...] = ()
    tables: tuple[str, ...] = ()
    losses: int = 0

    def __repr__(self) -> str:
        """Say in a line what came of it."""
        tables = f": {', '.join(self.tables)}" if self.tables else ""
        return (
            f"<Run {self.id[:4]} ({self.pipeline}) {self.state.value}, "
            f"{self.target}@{self.commit.id[:6]}{tables}>"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """What became visible: the commit, the verdicts it carries, and the tables that changed."""

    commit: Commit
    verdicts: tuple[Verdict, ...]
    tables: tuple[str, ...]


def result_of(attempt: Attempt, publication: Publication | None) -> RunResult:
    """Give the result of an attempt that was published; or end one that changed nothing."""
    if publication is None:
        return nothing_of(attempt)
    return _result(attempt, publication.commit, publication.verdicts, publication.tables)


def nothing_of(attempt: Attempt) -> RunResult:
    """End a run that changed no table: all was published before, or its steps have no tables."""
    head, now = attempt.base, attempt.wiring.clock.now()
    target = attempt.row.target
    if all(step.settled for step in attempt.done.values()):
        state = RunState.NOTHING
        told: Event = RunFoundNothing(run=attempt.id, at=now, target=target, commit=head.id)
    else:
        state = RunState.DONE
        wall_s = attempt.wiring.clock.monotonic_s() - attempt.began_s
        told = RunDone(run=attempt.id, at=now, target=target, commit=head.id, wall_s=wall_s)
    attempt.set_state(state, events=[told])
    attempt.wiring.tell(told)
    return _result(attempt, head)


def _result(
    attempt: Attempt,
    commit: Commit,
    verdicts: tuple[Verdict, ...] = (),
    tables: tuple[str, ...] = (),
) -> RunResult:
    return RunResult(
        id=attempt.id,
        pipeline=attempt.row.pipeline,
        target=attempt.row.target,
        branch=attempt.row.branch,
        state=attempt.row.state,
        commit=commit,
        steps=tuple(step.record for step in attempt.done.values()),
        verdicts=verdicts,
        tables=tables,
        losses=attempt.losses,
    )
