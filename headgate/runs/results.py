"""What became of a run: the value that is given back, printed and tested."""

from dataclasses import dataclass

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


def result_of(
    attempt: Attempt,
    commit: Commit,
    verdicts: tuple[Verdict, ...] = (),
    tables: tuple[str, ...] = (),
) -> RunResult:
    """Give the result of an attempt that ended well."""
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
