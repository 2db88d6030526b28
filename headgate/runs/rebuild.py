"""Reverting a run and executing again what was computed from it, on a branch, in one publication.

The history since the run is played again on the run's own branch, which forks before it: what is
not touched by its recorded operations, what is touched by executing its steps, with the clock, seed
and parameters of their run. Each commit of that branch says up to which publication was played;
after a loss or a kill, playing goes on there.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from typing import TypeAlias

import msgspec

from headgate.errors import Conflict, HeadgateError, Internal, Refused
from headgate.events import (
    Event,
    RunStarted,
    SchemaChanged,
    SourceNoted,
    StepFailed,
    StepFinished,
    StepSkipped,
    StepStarted,
)
from headgate.lake import (
    Commit,
    Entry,
    Outcome,
    Record,
    Restore,
    RunRow,
    RunState,
    StepRecord,
    Write,
)
from headgate.pipelines import Graph, Pipeline
from headgate.runs.applying import apply_operations
from headgate.runs.attempt import Attempt, StepDone
from headgate.runs.beginning import attempt_of, begin, ending, find_run, is_at_work, take_over
from headgate.runs.consequences import live_steps
from headgate.runs.executor import execute
from headgate.runs.loss import Loss
from headgate.runs.pipeline_run import Coordinator
from headgate.runs.playing import (
    BEFORE,
    Played,
    Turn,
    carried_step,
    carry,
    is_equal,
    mark_of,
    played_by,
    turns_of,
)
from headgate.runs.publish import publish
from headgate.runs.results import RunResult, nothing_of, result_of
from headgate.runs.revert import publication, watched
from headgate.runs.taint import passed_on
from headgate.runs.wiring import Wiring
from headgate.runs.without import Without, without
from headgate.runs.working import StepWork

Remake: TypeAlias = Callable[[RunRow], tuple[Pipeline, Mapping[str, Mapping[str, object]]]]
"""Gives a run's pipeline as it is declared today, and the parameters the run had."""

_TOLD = (StepStarted, StepFinished, StepSkipped, StepFailed, SchemaChanged, SourceNoted)


def rebuild(
    wiring: Wiring,
    which: str,
    target: str,
    *,
    remake: Remake,
    evaluator: str,
    keep_cursor: bool = False,
) -> RunResult:
    """Publish the lake as if a run had never been: what was computed from it is executed again.

    Raises:
        NotFound: ``unknown-ref``. Invalid: ``not-published-here``, ``already-reverted``.
        Refused: ``rebuild-by-hand``, ``rebuild-step-gone``, ``revert-followed``.
        StepFailed, CheckFailed, ...: nothing is published; ``resume`` goes on.
    """
    head = wiring.head(target)
    commit = publication(wiring, which, head, target)
    found = without(wiring, commit, head, policy="rebuild", keep_cursor=keep_cursor)
    _declared(found, remake)
    attempt = begin(
        wiring,
        pipeline=commit.record.pipeline or "revert",
        target=target,
        base=wiring.lake.commit(commit.parent or commit.id),
        kind="revert",
        message=f"revert {found.run}, what was computed from it executed again",
        settings={"reverts": commit.id, "policy": "rebuild", "keep_cursor": keep_cursor},
    )
    return _go(_Rebuild(attempt, commit, remake, evaluator, keep_cursor=keep_cursor))


def resume_rebuild(wiring: Wiring, run: str, *, remake: Remake, evaluator: str) -> RunResult:
    """Take an unfinished rebuild up where it ended.

    Raises:
        NotFound: ``unknown-run``. Refused: ``run-is-final``, ``run-is-alive``; and as ``rebuild``.
    """
    row = take_over(wiring, find_run(wiring, run).id)
    commit = wiring.lake.commit(str(row.settings["reverts"]))
    attempt = Attempt(
        wiring,
        row,
        base=wiring.lake.commit(row.base),
        head=wiring.head(row.branch),
        kind="revert",
        message=f"revert {commit.record.run}, what was computed from it executed again",
    )
    keep_cursor = bool(row.settings.get("keep_cursor"))
    return _go(_Rebuild(attempt, commit, remake, evaluator, keep_cursor=keep_cursor))


def _go(work: "_Rebuild") -> RunResult:
    attempt = work.attempt
    row, wiring = attempt.row, attempt.wiring

    def redo(onto: Commit, _: Loss) -> None:
        work.play(onto)

    with ending(attempt):
        head = wiring.head(row.target)
        started = RunStarted(
            run=row.id,
            at=wiring.clock.now(),
            pipeline=f"revert {(work.commit.record.run or work.commit.id)[:4]}",
            target=row.target,
            base=head.id,
            attempt=row.fence,
            steps=work.steps(head),
        )
        wiring.tell(started)
        work.play(head)
        if attempt.changes_nothing:
            return nothing_of(attempt)
        published = publish(attempt, redo=redo)
    return result_of(attempt, published)


class _Rebuild:
    """Plays a history again without a run, on the run's own branch."""

    def __init__(
        self,
        attempt: Attempt,
        commit: Commit,
        remake: Remake,
        evaluator: str,
        *,
        keep_cursor: bool,
    ) -> None:
        self.attempt = attempt
        self.commit = commit
        self._remake = remake
        self._evaluator = evaluator
        self._keep_cursor = keep_cursor
        self._fork = attempt.base
        attempt.exclusive = True

    @property
    def _wiring(self) -> Wiring:
        return self.attempt.wiring

    def steps(self, head: Commit) -> tuple[str, ...]:
        """Give the names of the steps that will be executed, for those who watch."""
        turns = turns_of(self._without(head), Played())
        return tuple(dict.fromkeys(step for turn in turns for step in turn.steps))

    def play(self, head: Commit) -> None:
        """Bring the branch to what the target would be without the run, and the attempt onto it."""
        attempt = self.attempt
        found = self._without(head)
        declared = _declared(found, self._remake)
        tip = self._wiring.head(attempt.row.branch)
        window = self._wiring.lake.window(tip, since=self._fork.number)
        played = played_by(found, window[-1].record.message) if window else None
        if window and played is None:  # another history was played: begin anew
            self._back(tip)
            tip = self._fork
        if tip.id == self._fork.id:
            tip = self._begun(found)
        for turn in turns_of(found, played or Played()):
            if turn.carried:
                tip = self._carry(found, tip, turn)
            if turn.again is not None:
                tip = self._execute(tip, turn, declared[turn.again.id])
        self._look_from(found, head, tip)

    def _without(self, head: Commit) -> Without:
        publication(self._wiring, self.commit.id, head, self.attempt.row.target)
        return without(
            self._wiring, self.commit, head, policy="rebuild", keep_cursor=self._keep_cursor
        )

    def _back(self, tip: Commit) -> None:
        """Throw away what was played of another history."""
        outcome = self._wiring.lake.metastore.rebase_run(
            self.attempt.id, fence=self.attempt.row.fence, head=tip.id, base=self._fork.id
        )
        if outcome is not Outcome.DONE:
            raise self.attempt.taken_over()

    def _begun(self, found: Without) -> Commit:
        """Give where playing begins: before the run, but for what is kept of it on purpose."""
        at = self._wiring.lake.tree(found.commit)
        changes = {key: at.get(key) for key in sorted(found.kept_cursors)}
        for one in found.keys:
            if emptied := found.emptied(one):
                prefix = f"revert-{self.attempt.id}"
                changes[one.key] = apply_operations(
                    self._wiring, None, emptied, key=one.key, prefix=prefix
                ).entry
        if not changes:
            return self._fork
        return self._commit(self._fork, changes, (), mark_of(found))

    # -- what is not touched

    def _carry(self, found: Without, tip: Commit, turn: Turn) -> Commit:
        lake, attempt = self._wiring.lake, self.attempt
        changes, records = carry(found, lake.tree(tip), turn.carried, prefix=f"revert-{attempt.id}")
        mark = turn.mark if turn.again is None else f"{BEFORE}{turn.mark}"
        return self._commit(tip, changes, records, mark)

    def _commit(
        self,
        tip: Commit,
        changes: Mapping[str, Entry | None],
        records: tuple[StepRecord, ...],
        message: str,
    ) -> Commit:
        lake, attempt = self._wiring.lake, self.attempt
        candidate = lake.compose(
            tip,
            {
                key: passed_on(entry, "", (attempt.id,)) if entry else None
                for key, entry in changes.items()
            },
            Record(
                kind="checkpoint",
                at=self._wiring.clock.now(),
                run=attempt.id,
                pipeline=attempt.row.pipeline,
                message=message,
                base=self._fork.id,
                base_number=self._fork.number,
                fence=attempt.row.fence,
                steps=records,
            ),
        )
        outcome = lake.metastore.advance(
            attempt.row.branch,
            head=tip.id,
            commit=candidate.commit,
            nodes=candidate.nodes,
            run=attempt.id,
            fence=attempt.row.fence,
        )
        if outcome is not Outcome.DONE:
            raise attempt.taken_over()
        return candidate.commit

    # -- what is executed again

    def _execute(
        self,
        tip: Commit,
        turn: Turn,
        declared: "tuple[RunRow, Pipeline, Mapping[str, Mapping[str, object]]]",
    ) -> Commit:
        row, pipeline, parameters = declared
        graph = Graph(pipeline.steps)
        wiring = replace(self._wiring, listeners=(self._tell,))
        nested = self._begin(wiring, row, tip, turn)
        nested.is_judged = False
        nested.exclusive = True
        nested.taints = (self.attempt.id,)
        wanted = frozenset(turn.steps)
        for name in graph.order:
            if name not in wanted:  # kept, left out, or not of that run
                nested.done[name] = StepDone(record=StepRecord(step=name), changes={})
        settings = row.settings
        work = StepWork(
            nested,
            graph,
            parameters=parameters,
            now=datetime.fromisoformat(str(settings["now"])),
            seed=int(str(settings["seed"])),
            evaluator=self._evaluator,
            take_over=nested.take_over,
        )
        coordinator = Coordinator(nested, work, graph)
        with _ending(nested):
            execute(
                graph,
                done=nested.done.keys(),
                work=work,
                commit=coordinator.commit,
                parallel=wiring.parallel,
            )
            if coordinator.failed is not None:
                raise coordinator.failed
            nested.done = {step: nested.done[step] for step in graph.order if step in wanted}
            if nested.changes_nothing:  # without the run there was nothing new for it
                nothing_of(nested)
                return tip
            published = publish(nested, redo=self._disturbed)
        return published.commit if published is not None else tip

    def _begin(self, wiring: Wiring, row: RunRow, tip: Commit, turn: Turn) -> Attempt:
        """Begin the steps' run; or take up the one that a killed process left on this very tip."""
        branch = self.attempt.row.branch
        for left in wiring.lake.metastore.runs(pipeline=row.pipeline, limit=20):
            mine = left.target == branch and left.settings.get("plays") == turn.mark
            over = left.commit is not None or is_at_work(left, wiring.clock.now())
            if mine and not over and left.base == tip.id and left.state != "abandoned":
                attempt = attempt_of(wiring, take_over(wiring, left.id))
                attempt.message = turn.mark
                return attempt
        return begin(
            wiring,
            pipeline=row.pipeline,
            target=branch,
            base=tip,
            message=turn.mark,
            settings={**row.settings, "plays": turn.mark},
        )

    def _disturbed(self, head: Commit, loss: Loss) -> None:
        raise self.attempt.taken_over() from Conflict(
            "cannot-rebase", f"{head.id}: {loss.because}", head=head.id
        )

    def _tell(self, event: Event) -> None:
        """Tell what steps do as the revert's own."""
        if isinstance(event, _TOLD):
            self._wiring.tell(replace(event, run=self.attempt.id))

    # -- the publication

    def _look_from(self, found: Without, head: Commit, tip: Commit) -> None:
        """Make the attempt what is published: the branch's tip, onto the target's head."""
        attempt, lake = self.attempt, self._wiring.lake
        now, then = lake.tree(head), lake.tree(tip)
        nested = [
            commit
            for commit in lake.window(tip, since=self._fork.number)
            if commit.record.kind != "checkpoint"
        ]
        executed = [
            msgspec.structs.replace(
                carried_step(commit, step),
                reads=tuple(msgspec.structs.replace(read, at=head.id) for read in step.reads),
            )
            for commit in nested
            for step in commit.record.steps
        ]
        keys = dict.fromkeys(one.key for one in found.keys)
        keys.update(dict.fromkeys(w.key for step in executed for w in step.writes))
        changes: dict[str, Entry | None] = {}
        for key in keys:
            there, entry = now.get(key), then.get(key)
            if not is_equal(there, entry):
                changes[key] = entry
        writes = tuple(
            Write(
                key=one.key,
                operations=(
                    Restore(commit=one.first.parent or one.first.id),
                    *(one.replayed if one.key.startswith("table/") else ()),
                ),
                before=entry.content if (entry := now.get(one.key)) else None,
                content=entry.content if (entry := then.get(one.key)) else None,
            )
            for one in found.keys
        )
        record = StepRecord(step="revert", reads=watched(found), writes=writes)
        attempt.reverts = found.names
        attempt.base, attempt.head = head, tip
        attempt.base_tree, attempt.tree = now, then
        done = [StepDone(record=each, changes={}) for each in (record, *executed)]
        done[-1] = replace(done[-1], changes=changes)
        attempt.done = {step.record.step: step for step in done}


def _declared(
    found: Without, remake: Remake
) -> "dict[str, tuple[RunRow, Pipeline, Mapping[str, Mapping[str, object]]]]":
    """Give each publication's run, its pipeline today and its parameters.

    Raises:
        Refused: ``rebuild-step-gone``. NotFound: ``unknown-pipeline``.
    """
    lake = found.wiring.lake
    declared = {}
    for commit in found.later:
        names = live_steps(found.later, found.found).get(commit.id, ())
        if not names:
            continue
        row = lake.metastore.run(commit.record.run or "")
        if row is None or "now" not in row.settings:
            raise Internal("run-row-gone", f"Run {commit.record.run} is not recorded any more.")
        pipeline, parameters = remake(row)
        known = {step.name for step in pipeline.steps}
        if missing := [name for name in names if name not in known]:
            raise Refused(
                "rebuild-step-gone",
                f"{', '.join(missing)} of pipeline {row.pipeline} computed from run {found.run}, "
                "and can not be executed again: no such step is declared any more.",
                readers="Nothing was changed.",
                hint=f"Take them back as well:  headgate revert {found.run[:6]} --cascade",
                run=found.run,
                steps=missing,
            )
        declared[commit.id] = (row, pipeline, parameters)
    return declared


@contextmanager
def _ending(attempt: Attempt) -> Iterator[None]:
    """Keep a run of the rebuild alive, and record that it failed; the revert says what to do."""
    attempt.start_heartbeat()
    try:
        yield
    except BaseException as error:
        with suppress(HeadgateError):  # it has failed already, or is another's now
            code = error.code if isinstance(error, HeadgateError) else "unexpected"
            reason = {"code": code, "message": str(error)}
            attempt.set_state(RunState.FAILED, reason=reason)
        raise
    finally:
        attempt.stop_heartbeat()
