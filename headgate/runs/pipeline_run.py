"""A pipeline on a target: execute its steps, publish, execute again what a conflict made stale."""

import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from headgate import contracts
from headgate.errors import Conflict, HeadgateError, Refused
from headgate.events import ConflictMet, Event, RunStarted, StepStarted
from headgate.events import StepFailed as StepFailedEvent
from headgate.lake import (
    Commit,
    RunState,
    StepRow,
    StepState,
    Tree,
    contract_key,
    table_key,
)
from headgate.pipelines import Graph, Pipeline, canonical
from headgate.runs.acknowledging import acknowledge
from headgate.runs.attempt import ERASED, Attempt, StepDone, event_row
from headgate.runs.beginning import (
    FINAL,
    attempt_of,
    begin,
    ending,
    find_run,
    is_resumable,
    take_over,
)
from headgate.runs.executor import Finished, execute
from headgate.runs.failures import step_failure, user_traceback, whole_traceback
from headgate.runs.loss import Loss
from headgate.runs.results import RunResult, nothing_of, result_of
from headgate.runs.wiring import Wiring
from headgate.runs.working import StepWork

if TYPE_CHECKING:
    from headgate.runs.choices import Choice


class PipelineRun:
    """One pipeline on one target: executes, publishes, executes again where it must."""

    def __init__(
        self,
        wiring: Wiring,
        pipeline: Pipeline,
        *,
        parameters: Mapping[str, Mapping[str, object]],
        evaluator: str,
        force: bool = False,
        take_over: Collection[str] = (),
        replay: "Choice | None" = None,
    ) -> None:
        self.wiring = wiring
        self.pipeline = pipeline
        self.graph = Graph(pipeline.steps)
        self.parameters = parameters
        self.evaluator = evaluator
        self.force = force
        self.take_over = tuple(take_over)
        self.replay = replay

    # -- ways in

    def start(self, target: str) -> RunResult:
        """Begin a run on the target's head, execute it, publish it.

        Raises:
            HeadgateError: the run failed, and its branch is kept.
        """
        base = self.wiring.head(target)
        tree = self.wiring.lake.tree(base)
        self.graph.check_inputs(Tables(tree))
        self._check_contracts(tree)
        attempt = begin(
            self.wiring,
            pipeline=self.pipeline.name,
            target=target,
            base=base,
            isolation=self.pipeline.isolation if self.replay is None else "serializable",
            message="" if self.replay is None else f"replay {self.replay}",
            settings={
                **({} if self.replay is None else {"replay": msgspec.to_builtins(self.replay)}),
                "now": self.wiring.clock.now().isoformat(),
                "take_over": list(self.take_over),
                "seed": secrets.randbits(53),
                "parameters": canonical(self.parameters),
            },
        )
        return self._go(attempt)

    def resume(self, id: str) -> RunResult:
        """Take an unfinished run up where it ended; steps whose code or inputs changed run again.

        Raises:
            NotFound: ``unknown-run``.
            Refused: ``run-is-final``, ``run-is-alive``, ``not-resumable``.
        """
        row = find_run(self.wiring, id)
        if row.state not in FINAL and not is_resumable(row):
            raise Refused(
                "not-resumable",
                f"Run {row.id} was made by hand ({row.pipeline}); it has no steps to run again.",
                readers=f"Readers of {row.target} see nothing of it.",
                hint=f"Do it again, and end this one: headgate abandon {row.id[:6]}",
                run=row.id,
            )
        return self._go(attempt_of(self.wiring, take_over(self.wiring, row.id)))

    def _check_contracts(self, tree: Tree) -> None:
        """Read the conditions of contracts that are new here, before anything is computed.

        Raises:
            Invalid: a condition cannot be read.
        """
        for step in self.graph:
            if step.contract is None or step.table is None:
                continue
            spec = contracts.contract_spec(step.contract)
            known = tree.get(contract_key(step.table))
            if known is None or known.content != spec.digest:
                contracts.validate_expressions(spec)  # loads the SQL parser

    # -- the way through

    def _go(self, attempt: Attempt) -> RunResult:
        """Go through with it; where rows were erased meanwhile, again with what is left."""
        while True:
            try:
                return self._gone_through(attempt)
            except Conflict as conflict:
                if conflict.code != ERASED:
                    raise
            attempt = attempt_of(self.wiring, take_over(self.wiring, attempt.id))

    def _gone_through(self, attempt: Attempt) -> RunResult:
        row, settings = attempt.row, attempt.row.settings
        with ending(attempt):
            self.wiring.tell(
                RunStarted(
                    run=row.id,
                    at=self.wiring.clock.now(),
                    pipeline=row.pipeline,
                    target=row.target,
                    base=attempt.base.id,
                    attempt=row.fence,
                    steps=self.graph.order,
                )
            )
            work = StepWork(
                attempt,
                self.graph,
                parameters=self.parameters,
                now=datetime.fromisoformat(str(settings["now"])),
                seed=int(str(settings["seed"])),
                evaluator=self.evaluator,
                force=self.force,
                take_over=attempt.take_over,
                replay=self.replay,
            )
            self._execute(attempt, work)
            if attempt.changes_nothing:
                return nothing_of(attempt)
            from headgate.runs.publish import publish  # noqa: PLC0415 - heavy libraries

            publication = publish(
                attempt, redo=lambda head, loss: self._redo(attempt, work, head, loss)
            )
        acknowledge(attempt, self.graph)
        return result_of(attempt, publication)

    def _redo(self, attempt: Attempt, work: StepWork, head: Commit, loss: Loss) -> None:
        attempt.rebase(head)
        attempt.set_state(RunState.RUNNING)
        work.forced_keys = frozenset(loss.keys) if loss.forced else frozenset()
        ran = self._execute(attempt, work)
        told = ConflictMet(
            run=attempt.id,
            at=self.wiring.clock.now(),
            head=head.id,
            because=loss.because,
            steps=tuple(ran),
            losses=attempt.losses,
        )
        attempt.checkpoint([], events=[event_row(told)])
        self.wiring.tell(told)

    def _execute(self, attempt: Attempt, work: StepWork) -> list[str]:
        """Run every step that is not done; give the names of those that computed something.

        Raises:
            HeadgateError: the first step's failure, when everything that ran has ended.
        """
        coordinator = Coordinator(attempt, work, self.graph)
        execute(
            self.graph,
            done=attempt.done.keys(),
            work=work,
            commit=coordinator.commit,
            parallel=self.wiring.parallel,
        )
        if coordinator.failed is not None:
            raise coordinator.failed
        attempt.arrange(self.graph.order)
        return coordinator.computed


class Coordinator:
    """Commits what workers finished: states, events and outputs together."""

    def __init__(self, attempt: Attempt, work: StepWork, graph: Graph) -> None:
        self.attempt = attempt
        self.work = work
        self.graph = graph
        self.failed: HeadgateError | None = None
        self.computed: list[str] = []
        self._started: dict[str, datetime] = {}

    def commit(self, ended: Sequence[Finished[StepDone]], starting: Sequence[str]) -> bool:
        """Commit what ended and note what starts; say whether to go on."""
        attempt, clock = self.attempt, self.attempt.wiring.clock
        now = clock.now()
        finished: list[StepDone] = []
        rows: list[StepRow] = []
        told: list[Event] = []
        for end in ended:
            if end.outcome is None:
                rows.append(self._fail(end, now, told))
                continue
            done = end.outcome
            finished.append(done)
            skipped = done.record.skipped is not None
            if not skipped and done.events:
                self.computed.append(end.step)
            rows.append(
                StepRow(
                    run=attempt.id,
                    step=end.step,
                    state=StepState.SKIPPED if skipped else StepState.DONE,
                    attempt=done.record.attempt,
                    started=self._started.get(end.step),
                    ended=now,
                )
            )
        stopping = self.failed is not None
        for name in () if stopping else starting:
            self._started[name] = now
            number = self.work.attempts.get(name, 1)
            rows.append(
                StepRow(
                    run=attempt.id,
                    step=name,
                    state=StepState.RUNNING,
                    attempt=number,
                    started=now,
                )
            )
            told.append(StepStarted(run=attempt.id, at=now, step=name, attempt=number))
        attempt.checkpoint(
            finished, rows, [event_row(event, getattr(event, "step", None)) for event in told]
        )
        for event in (*(e for done in finished for e in done.events), *told):
            attempt.wiring.tell(event)
        return not stopping

    def _fail(self, end: Finished[StepDone], now: datetime, told: list[Event]) -> StepRow:
        if isinstance(end.error, KeyboardInterrupt):
            raise end.error
        root, redaction = self.attempt.wiring.root, self.attempt.wiring.redaction
        number = self.work.attempts.get(end.step, 1)
        cause = redaction.error(end.error or RuntimeError("no outcome"))
        error = step_failure(end.step, cause, root)
        error.facts = {**error.facts, "step": end.step}
        self.failed = self.failed or error
        raised = cause if error.code == "step-raised" else error
        told.append(
            StepFailedEvent(
                run=self.attempt.id,
                at=now,
                step=end.step,
                attempt=number,
                code=error.code,
                message=error.message,
                traceback=redaction.text(user_traceback(raised, root)),
                whole_traceback=redaction.text(whole_traceback(raised)),
            )
        )
        return StepRow(
            run=self.attempt.id,
            step=end.step,
            state=StepState.FAILED,
            attempt=number,
            reason={"code": error.code, "message": error.message},
            started=self._started.get(end.step),
            ended=now,
        )


class Tables:
    """The names of a tree's tables, looked up one by one: a lake may hold a million."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    def __contains__(self, table: object) -> bool:
        return isinstance(table, str) and self._tree.get(table_key(table)) is not None

    def __iter__(self) -> Iterator[str]:
        return (key.removeprefix("table/") for key in self._tree.keys("table/"))

    def __len__(self) -> int:
        return sum(1 for _ in self)
