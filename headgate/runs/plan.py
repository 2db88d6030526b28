"""A plan: what a run would do now, and why, without doing it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from headgate.lake import Commit, RunRow, RunState
from headgate.runs.attempt import Attempt
from headgate.runs.planned import PlannedStep
from headgate.runs.wiring import LEASE
from headgate.runs.working import StepWork

if TYPE_CHECKING:
    from headgate.runs.pipeline_run import PipelineRun


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The steps of a run in order, on one commit of its target."""

    target: str
    commit: Commit
    steps: tuple[PlannedStep, ...]

    @property
    def nothing_to_do(self) -> bool:
        """Whether every step would be skipped."""
        return all(step.action == "skip" for step in self.steps)


def make_plan(run: "PipelineRun", target: str) -> Plan:
    """Look at every step's inputs as they are published; reads no rows, writes nothing."""
    wiring = run.wiring
    base = wiring.head(target)
    now = wiring.clock.now()
    row = RunRow(
        id="plan",
        pipeline=run.pipeline.name,
        target=target,
        branch=target,
        state=RunState.RUNNING,
        fence=0,
        base=base.id,
        began=now,
        owner=wiring.owner,
        lease_until=now + LEASE,
    )
    work = StepWork(
        Attempt(wiring, row, base=base),
        run.graph,
        parameters=run.parameters,
        now=datetime(1970, 1, 1, tzinfo=UTC),
        seed=0,
        evaluator=run.evaluator,
    )
    planned: dict[str, PlannedStep] = {}
    for step in run.graph:
        upstream = [
            name for name in run.graph.upstream(step.name) if planned[name].action != "skip"
        ]
        if upstream:
            names = ", ".join(upstream)
            planned[step.name] = PlannedStep(
                step=step.name, action="maybe", reason=f"after {names}"
            )
        else:
            planned[step.name] = work.planned(step)
    return Plan(target=target, commit=base, steps=tuple(planned.values()))
