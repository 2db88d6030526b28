"""The hall: everything that needs a lake, contracts, an engine and pipelines together.

What publishes or judges is imported when it is asked for: a run with nothing to do needs neither
Arrow nor a SQL parser.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from headgate.lake import Commit, RunRow, RunState
from headgate.pipelines import Pipeline
from headgate.runs.beginning import begin, find_run
from headgate.runs.pipeline_run import PipelineRun
from headgate.runs.plan import Plan, make_plan
from headgate.runs.results import RunResult
from headgate.runs.wiring import Wiring
from headgate.verdicts import Verdict

if TYPE_CHECKING:
    from headgate.lake import RetentionPolicy, Swept
    from headgate.runs.choices import Choice
    from headgate.runs.compaction import Compaction, CompactionPlan
    from headgate.runs.consequences import Policy
    from headgate.runs.erasures import Erased, Request
    from headgate.runs.rebuild import Remake
    from headgate.runs.revert_plans import RevertPlan
    from headgate.runs.transaction import Transaction

Parameters = Mapping[str, Mapping[str, object]]
"""Each step's parameters, settled."""


class Hall:
    """Runs, and what people do with them, on one lake."""

    def __init__(self, wiring: Wiring, *, evaluator: str) -> None:
        self.wiring = wiring
        self.evaluator = evaluator

    def run(
        self,
        pipeline: Pipeline,
        *,
        target: str,
        parameters: Parameters | None = None,
        force: bool = False,
        take_over: Collection[str] = (),
    ) -> RunResult:
        """Run a pipeline and publish it to a branch, whole or not at all.

        With ``force`` no step is skipped because its output is published. ``take_over``
        names tables of other pipelines that this run replaces, and owns from then on.

        Raises:
            StepFailed, CheckFailed, Conflict, Refused, ...: the run's branch is kept; the error
            says what
                readers see and what to do next.
        """
        return self._pipeline_run(pipeline, parameters, force=force, take_over=take_over).start(
            target
        )

    def resume(
        self, run: str, pipeline: Pipeline, *, parameters: Parameters | None = None
    ) -> RunResult:
        """Take an unfinished run up where it ended; what changed since runs again.

        Raises:
            NotFound: ``unknown-run``. Refused: ``run-is-final``, ``run-is-alive``; and as ``run``.
        """
        row = find_run(self.wiring, run)
        if "replay" in row.settings:
            from headgate.runs.quarantine_changes import choice_of, only  # noqa: PLC0415

            choice = choice_of(row.settings)
            chosen = only(pipeline, choice.table) if choice is not None else pipeline
            return self._pipeline_run(chosen, parameters, replay=choice).resume(row.id)
        return self._pipeline_run(pipeline, parameters).resume(row.id)

    def plan(
        self, pipeline: Pipeline, *, target: str, parameters: Parameters | None = None
    ) -> Plan:
        """Say which steps a run would execute and which it would skip; changes nothing."""
        return make_plan(self._pipeline_run(pipeline, parameters), target)

    def transaction(self, target: str, *, name: str = "transaction") -> "Transaction":
        """Begin a hand-made transaction on a branch; use it in a ``with`` block."""
        from headgate.runs.transaction import Transaction  # noqa: PLC0415

        attempt = begin(
            self.wiring,
            pipeline=name,
            target=target,
            base=self.wiring.head(target),
            kind="transaction",
            message=name,
        )
        return Transaction(attempt)

    def replay(
        self,
        choice: "Choice",
        *,
        target: str,
        pipeline: Pipeline | None = None,
        parameters: Parameters | None = None,
    ) -> RunResult:
        """Put rows of a quarantine through the contract once more; run the steps after the table.

        ``pipeline`` is the one that makes the table, None where that is none.

        Raises:
            NotFound: ``nothing-quarantined``. Refused: ``nothing-to-replay``; and as ``run``.
        """
        from headgate.runs import quarantine_changes as changes  # noqa: PLC0415

        if pipeline is None:
            return changes.replay_by_hand(self.wiring, choice, target=target)
        changes.refuse_none(self.wiring, choice, target)
        chosen = changes.only(pipeline, choice.table)
        return self._pipeline_run(chosen, parameters, replay=choice).start(target)

    def discard(self, choice: "Choice", *, target: str, reason: str) -> RunResult:
        """Take rows out of quarantine for good.

        Raises:
            NotFound: ``nothing-quarantined``. Invalid: ``discard-without-reason``.
        """
        from headgate.runs import quarantine_changes as changes  # noqa: PLC0415

        return changes.discard(self.wiring, choice, target=target, reason=reason)

    def edit(
        self,
        choice: "Choice",
        *,
        target: str,
        values: Sequence[str],
        declared: Callable[[], Collection[str]] = tuple,
    ) -> RunResult:
        """Give quarantined rows other values: SQL like ``tailnum = 'N1'``, over the row as it came.

        ``declared`` gives columns that may be set beside those which are there.

        Raises:
            NotFound: ``nothing-quarantined``. Invalid: ``bad-assignment``, ``bad-condition``.
        """
        from headgate.runs import quarantine_changes as changes  # noqa: PLC0415

        return changes.edit(self.wiring, choice, target=target, values=values, declared=declared)

    def merge(self, source: str, target: str) -> RunResult:
        """Publish what a branch has done since it left the target."""
        from headgate.runs import branches  # noqa: PLC0415

        return branches.merge(self.wiring, source, target)

    def adopt(self, run: str) -> RunResult:
        """Publish what an unfinished run has made so far, all contracts judged again."""
        from headgate.runs import branches  # noqa: PLC0415

        return branches.adopt(self.wiring, run)

    def abandon(self, run: str) -> RunRow:
        """End an unfinished run for good; its branch stays readable until it is deleted.

        Raises:
            NotFound: ``unknown-run``. Refused: ``run-is-final``, ``run-is-alive``.
        """
        from headgate.runs import branches  # noqa: PLC0415

        return branches.abandon(self.wiring, run)

    def plan_revert(
        self, which: str, *, target: str, policy: "Policy" = "stale", keep_cursor: bool = False
    ) -> "RevertPlan":
        """Say what reverting a run would do; changes nothing."""
        from headgate.runs.revert import plan_revert  # noqa: PLC0415

        return plan_revert(self.wiring, which, target, policy=policy, keep_cursor=keep_cursor)

    def revert(
        self,
        which: str,
        *,
        target: str,
        policy: "Policy" = "stale",
        keep_cursor: bool = False,
        remake: "Remake | None" = None,
    ) -> RunResult:
        """Publish a commit in which a run is not in effect.

        ``remake`` gives the pipelines of the runs that the policy ``rebuild`` executes again.
        """
        from headgate.runs import rebuild, revert  # noqa: PLC0415

        if policy == "rebuild" and remake is not None:
            return rebuild.rebuild(
                self.wiring,
                which,
                target,
                remake=remake,
                evaluator=self.evaluator,
                keep_cursor=keep_cursor,
            )
        return revert.revert(self.wiring, which, target, policy=policy, keep_cursor=keep_cursor)

    def resume_revert(self, run: str, *, remake: "Remake") -> RunResult:
        """Take an unfinished rebuild up where it ended.

        Raises:
            NotFound: ``unknown-run``. Refused: ``run-is-final``, ``run-is-alive``.
        """
        from headgate.runs.rebuild import resume_rebuild  # noqa: PLC0415

        return resume_rebuild(self.wiring, run, remake=remake, evaluator=self.evaluator)

    def erase(self, request: "Request", *, drop_caches: Callable[[], None]) -> "Erased":
        """Erase rows from every commit, or say what would go."""
        from headgate.runs.erasing import erase  # noqa: PLC0415

        return erase(self.wiring, request, drop_caches=drop_caches)

    def compact(
        self,
        target: str,
        tables: Sequence[str] = (),
        *,
        after: int = 0,
        limit_bytes: int | None = None,
        done: "Callable[[Compaction], None] | None" = None,
    ) -> "tuple[Compaction, ...]":
        """Rewrite small files of a branch's tables into larger ones; rows stay as they are."""
        from headgate.runs.compaction import compact  # noqa: PLC0415

        return compact(self.wiring, target, tables, after=after, limit_bytes=limit_bytes, done=done)

    def plan_compaction(
        self, target: str, tables: Sequence[str] = (), *, after: int = 0
    ) -> "tuple[CompactionPlan, ...]":
        """Say what compacting would rewrite; changes nothing."""
        from headgate.runs.compaction import plan_compaction  # noqa: PLC0415

        return plan_compaction(self.wiring, target, tables, after=after)

    def due_at(self, target: str, table: str, after: int) -> int:
        """Give with how many files, at least, a table is due for compaction."""
        from headgate.runs.compaction import due_at  # noqa: PLC0415

        return due_at(self.wiring, target, table, after)

    def check(self, commit: Commit) -> tuple[Verdict, ...]:
        """Judge every contract of a commit's tree again, in full; publishes nothing."""
        from headgate.runs.verify import cases_of, judge_case  # noqa: PLC0415

        tree = self.wiring.lake.tree(commit)
        keys = dict.fromkeys(tree.keys("contract/"))
        parent = self.wiring.lake.commit(commit.parent) if commit.parent is not None else None
        return tuple(
            judge_case(self.wiring, tree, case, head=parent) for case in cases_of(tree, keys)
        )

    def collect(
        self,
        policy: "RetentionPolicy",
        *,
        plan: bool = False,
        progress: Callable[[str], None] = lambda _: None,
    ) -> "Swept":
        """Take away what nothing holds and has been marked for as long as the grace."""
        from headgate.runs.collecting import collect  # noqa: PLC0415

        return collect(self.wiring, policy, plan=plan, progress=progress)

    def find_run(self, run: str) -> RunRow:
        """Give the run with this id, or with the one id that begins so.

        Raises:
            NotFound: ``unknown-run``. Refused: ``ambiguous-run``.
        """
        return find_run(self.wiring, run)

    def open_runs(self) -> tuple[RunRow, ...]:
        """Give the runs that are neither published nor given up, newest first."""
        states = (RunState.RUNNING, RunState.PUBLISHING, RunState.FAILED, RunState.PARKED)
        return tuple(self.wiring.lake.metastore.runs(states=states))

    def _pipeline_run(
        self,
        pipeline: Pipeline,
        parameters: Parameters | None,
        *,
        force: bool = False,
        take_over: Collection[str] = (),
        replay: "Choice | None" = None,
    ) -> PipelineRun:
        return PipelineRun(
            self.wiring,
            pipeline,
            parameters=parameters or {},
            evaluator=self.evaluator,
            force=force,
            take_over=take_over,
            replay=replay,
        )
