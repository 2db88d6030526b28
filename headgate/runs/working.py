"""Doing one step of an attempt, in a worker thread: keep it, skip it, or compute it.

A step's place in the run decides nothing here: it reads the attempt's tree as it is when its turn
comes, and gives back what it did. The coordinator commits it.
"""

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from headgate.contracts import ContractSpec, contract_spec
from headgate.digests import digest_json
from headgate.errors import Conflict, HeadgateError
from headgate.events import Event, SchemaChanged, SourceNoted, StepFailed, StepFinished, StepSkipped
from headgate.lake import (
    Commit,
    Entry,
    EventRow,
    Put,
    Read,
    Replace,
    RowCounts,
    Skip,
    StepRecord,
    StepRow,
    StepState,
    Tree,
    Write,
    contract_key,
    cursor_key,
    damage,
    step_key,
    table_key,
)
from headgate.pipelines import CodeDigests, Graph, Step, fingerprint, installed
from headgate.runs import skipping
from headgate.runs.attempt import Attempt, StepDone, event_row
from headgate.runs.failures import step_failure, user_traceback, whole_traceback
from headgate.runs.inputs import Inputs
from headgate.runs.keeping import applied, carried_writes, keep
from headgate.runs.lookups import looked_up
from headgate.runs.planned import PlannedStep
from headgate.runs.same_output import is_published
from headgate.runs.skipping import RunStep, SkipDecision, SkipStep
from headgate.runs.taint import marked

if TYPE_CHECKING:
    from headgate.runs.choices import Choice
    from headgate.runs.outputs import Output

FIRST_DELAY = timedelta(seconds=1)
LONGEST_DELAY = timedelta(minutes=5)


class StepWork:
    """What a worker does with a step's name. One for an attempt; used by several threads."""

    def __init__(
        self,
        attempt: Attempt,
        graph: Graph,
        *,
        parameters: Mapping[str, Mapping[str, object]],
        now: datetime,
        seed: int,
        evaluator: str,
        force: bool = False,
        take_over: Collection[str] = (),
        replay: "Choice | None" = None,
    ) -> None:
        self.attempt = attempt
        self.graph = graph
        self.parameters = parameters
        self.now = now
        self.seed = seed
        self.evaluator = evaluator
        self.force = force
        self.take_over = frozenset(take_over)
        self.replay = replay
        self.forced_keys: frozenset[str] = frozenset()
        self.attempts: dict[str, int] = {}
        self._digests = CodeDigests([attempt.wiring.root])
        self._specs: dict[str, ContractSpec | None] = {}
        self._versions: dict[tuple[str, ...], Mapping[str, str]] = {}

    def __call__(self, name: str) -> StepDone:
        """Do one step on the attempt's tree as it is now."""
        step = self.graph[name]
        if self.replay is not None and step.table == self.replay.table:
            from headgate.runs.replaying import replayed_step  # noqa: PLC0415 - heavy libraries

            return replayed_step(self.attempt, step, self.replay, spec=self.spec(step))
        tree = self.attempt.tree
        inputs = self._inputs(step, tree)
        digest = self._fingerprint(step, inputs, tree) if step.table is not None else None
        kept = self._kept(step, tree, digest)
        if kept is not None:
            return kept
        if digest is not None and not self.force:
            skipped = self._skipped(step, tree, digest) or self._without_news(step, inputs, digest)
            if skipped is not None:
                return skipped
        return self._tried(step, tree, inputs, digest)

    def planned(self, step: Step) -> PlannedStep:
        """Say what would become of a step on the attempt's tree; reads no rows, writes nothing."""
        tree = self.attempt.tree
        if step.table is None:
            return PlannedStep(step=step.name, action="run", reason="has no table")
        inputs = self._inputs(step, tree)
        digest = self._fingerprint(step, inputs, tree)
        if self._without_news(step, inputs, digest) is not None:
            return PlannedStep(step=step.name, action="skip", reason="nothing new")
        decision = self._skip_decision(step, tree, digest)
        if isinstance(decision, SkipStep):
            commit = decision.record.skipped.commit if decision.record.skipped else ""
            return PlannedStep(step=step.name, action="skip", reason=f"published in {commit[:6]}")
        return PlannedStep(step=step.name, action="run", reason=decision.reason)

    def spec(self, step: Step) -> ContractSpec | None:
        """Give a step's contract as a value."""
        if step.name not in self._specs:
            self._specs[step.name] = contract_spec(step.contract) if step.contract else None
        return self._specs[step.name]

    def _inputs(self, step: Step, tree: Tree) -> Inputs:
        read = None
        if step.source is not None and step.function is not None:
            given = self.parameters.get(step.name, {})
            reveal = self.attempt.wiring.reveal
            read = step.reader(given, now=self.now, seed=self.seed, reveal=reveal)
        return Inputs(self.attempt, step, tree, read=read)

    # -- what the output depends on

    def _fingerprint(self, step: Step, inputs: Inputs, tree: Tree) -> str:
        spec = self.spec(step)
        code = self._digests.of(step)
        contents = dict(inputs.contents())
        for parent in looked_up(spec, step.table, step.mode):
            if parent == step.table:
                continue  # of a published append: it has changed what it had looked at
            entry = tree.get(table_key(parent))
            contents[f"parent/{parent}"] = entry.content if entry else None
        return fingerprint(
            step,
            code.digest,
            parameters=self.parameters.get(step.name, {}),
            contract_digest=spec.digest if spec else None,
            environment={"evaluator": self.evaluator, **self._installed(code.packages)},
            inputs=contents,
            clock=self.now,
            seed=self.seed,
        )

    def _installed(self, packages: Iterable[str]) -> Mapping[str, str]:
        """Give packages' versions; looked up once a run, because it reads directories."""
        wanted = tuple(sorted(packages))
        if wanted not in self._versions:
            self._versions[wanted] = installed(wanted)
        return self._versions[wanted]

    def _parents(self, spec: ContractSpec, tree: Tree) -> Mapping[str, str]:
        found = {table_key(name): tree.get(table_key(name)) for name in spec.references}
        return {key: entry.content for key, entry in found.items() if entry is not None}

    # -- kept from an earlier attempt of this run

    def _kept(self, step: Step, tree: Tree, digest: str | None) -> StepDone | None:
        prior = self.attempt.prior.get(step.name)
        if prior is None or prior.record.fingerprint != digest:
            return None
        if prior.record.skipped is not None:
            return None  # it made nothing to keep: whether it may be skipped is asked anew
        try:
            return keep(self.attempt, prior, tree, forced=self.forced_keys)
        except Conflict:  # its columns do not fit what others made of the table: compute it anew
            return None

    # -- skipped: its output is published

    def _skip_decision(self, step: Step, tree: Tree, digest: str) -> SkipDecision:
        key = step_key(self.attempt.row.pipeline, step.name)
        entry = self.attempt.base_tree.get(key)
        return skipping.decide(
            digest,
            skipping.Output.parse(entry.data) if entry and entry.data else None,
            entry=key,
            reverted=(),  # a revert takes the entry back itself
            published=lambda run: self._publication(run, step.name),
            now=lambda name: _content(tree, name),
        )

    def _without_news(self, step: Step, inputs: Inputs, digest: str | None) -> StepDone | None:
        """Give a step whose incremental inputs have nothing new: it does nothing."""
        if inputs.has_news or self._has_other_contract(step):
            return None
        return self._nothing_new(step, inputs, digest)

    def _has_other_contract(self, step: Step) -> bool:
        """Whether the table stands under another contract than the step declares now."""
        if step.table is None or step.mode == "delete":
            return False
        spec = self.spec(step)
        there = _content(self.attempt.base_tree, contract_key(step.table))
        return there != (spec.digest if spec is not None else None)

    def _nothing_new(self, step: Step, inputs: Inputs, digest: str | None) -> StepDone:
        return self._settled(step, inputs.reads(), digest)

    def _settled(self, step: Step, reads: tuple[Read, ...], digest: str | None) -> StepDone:
        commit = self.attempt.base.id
        record = StepRecord(
            step=step.name, fingerprint=digest, reads=reads, skipped=Skip(commit=commit)
        )
        now = self.attempt.wiring.clock.now()
        told = StepSkipped(run=self.attempt.id, at=now, step=step.name, commit=commit)
        return StepDone(record=record, changes={}, events=(told,), settled=True)

    def _read_already(self, step: Step, digest: str) -> StepDone:
        """Give a source step that would find no rows: what it once wrote is not written again.

        Others may have changed or deleted these rows since.
        """
        keys = (f(self.attempt.row.pipeline, step.name) for f in (step_key, cursor_key))
        reads = tuple(Read(key=key, content=_content(self.attempt.base_tree, key)) for key in keys)
        return self._settled(step, reads, digest)

    def _skipped(self, step: Step, tree: Tree, digest: str) -> StepDone | None:
        attempt = self.attempt
        decision = self._skip_decision(step, tree, digest)
        if isinstance(decision, RunStep):
            return None
        if step.source is not None and step.mode in {"upsert", "delete"}:
            return self._read_already(step, digest)
        record = decision.record
        commit = attempt.wiring.lake.commit(record.skipped.commit if record.skipped else "")
        reused = any(not write.settled for write in decision.writes)
        if reused and not attempt.pin(commit, why=f"the output of {step.name} that it reuses"):
            return None  # swept away: it is computed again
        published = attempt.wiring.lake.tree(commit)
        changes: dict[str, Entry | None] = {}
        rows: dict[str, RowCounts | None] = {}
        for write in decision.writes:
            if write.settled:
                continue
            if write.pointer:
                there = published.get(write.key)
                changes[write.key] = marked(there, attempt.id, (there,)) if there else None
            else:
                done = applied(attempt, tree, None, write.key, write.operations)
                changes[write.key], rows[write.key] = done.entry, done.rows
        key = step_key(attempt.row.pipeline, step.name)
        before = attempt.base_tree.get(key)
        passed = skipping.Output.parse(before.data if before and before.data else "")
        writes = [*carried_writes(record.writes, tree, changes, rows)]
        changes[key] = self._output_entry(passed.passed_on(attempt.id))
        writes.append(_put(key, before, changes[key]))
        look = Read(key=key, content=before.content if before else None)
        record = msgspec.structs.replace(
            record, reads=(*record.reads, look), writes=tuple(writes), fingerprint=digest
        )
        told = StepSkipped(
            run=attempt.id, at=attempt.wiring.clock.now(), step=step.name, commit=commit.id
        )
        return StepDone(record=record, changes=changes, events=(told,), settled=decision.settled)

    def _output_entry(self, output: skipping.Output) -> Entry:
        text = output.text()
        return Entry(
            kind="pipeline", content=digest_json(text), data=text, taint=(self.attempt.id,)
        )

    def _publication(self, run: str, step: str) -> tuple[Commit, StepRecord] | None:
        metastore = self.attempt.wiring.lake.metastore
        row = metastore.run(run)
        commit = metastore.commit(row.commit) if row and row.commit else None
        if commit is None:
            return None
        found = next((each for each in commit.record.steps if each.step == step), None)
        return (commit, found) if found else None

    # -- computed

    def _tried(self, step: Step, tree: Tree, inputs: Inputs, digest: str | None) -> StepDone:
        """Compute a step, again after a failure as often as it allows, each time recorded.

        Not where the run has ended meanwhile: it was interrupted, or somebody else has it.
        """
        attempt, clock = self.attempt, self.attempt.wiring.clock
        while True:
            number = self.attempts.setdefault(step.name, 1)
            began = clock.now()
            try:
                return self._computed(step, tree, inputs, digest, number)
            except Exception as error:
                damaged = self._damaged(step, tree, inputs, error)
                if damaged is not None:
                    raise damaged from error
                if number > step.retries or attempt.is_over():
                    raise
                delay = min(FIRST_DELAY * 2 ** (number - 1), LONGEST_DELAY)
                said = attempt.wiring.redaction.error(error)
                failed = step_failure(step.name, said, attempt.wiring.root)
                self._record_failure(step, number, failed, began, delay)
                clock.sleep(delay)
                if attempt.is_over():
                    raise
                self.attempts[step.name] = number + 1
                self._record_state(step, StepState.RUNNING, number + 1, started=clock.now())

    def _damaged(
        self, step: Step, tree: Tree, inputs: Inputs, error: Exception
    ) -> HeadgateError | None:
        """Give the damaged file that a step failed for, if one is to blame."""
        read = dict(inputs.entries)
        for table in (step.table, *looked_up(self.spec(step), step.table, step.mode)):
            entry = tree.get(table_key(table)) if table is not None else None
            if table is not None and entry is not None:
                read.setdefault(table, entry)
        return damage(self.attempt.wiring.lake.tables, read, error)

    def _record_failure(
        self, step: Step, number: int, error: HeadgateError, began: datetime, delay: timedelta
    ) -> None:
        """Tell and record a failure after which the step is tried again."""
        wiring = self.attempt.wiring
        now = wiring.clock.now()
        raised = error.__cause__ or error
        told = StepFailed(
            run=self.attempt.id,
            at=now,
            step=step.name,
            attempt=number,
            code=error.code,
            message=error.message,
            traceback=wiring.redaction.text(user_traceback(raised, wiring.root)),
            whole_traceback=wiring.redaction.text(whole_traceback(raised)),
        )
        wiring.tell(told)
        again = (now + delay).isoformat()
        self._record_state(
            step,
            StepState.FAILED,
            number,
            started=began,
            ended=now,
            reason={"code": error.code, "message": error.message, "again": again},
            events=[event_row(told, step.name)],
        )

    def _record_state(
        self,
        step: Step,
        state: StepState,
        number: int,
        *,
        started: datetime,
        ended: datetime | None = None,
        reason: Mapping[str, object] | None = None,
        events: Sequence[EventRow] = (),
    ) -> None:
        row = StepRow(
            run=self.attempt.id,
            step=step.name,
            state=state,
            attempt=number,
            reason=reason,
            started=started,
            ended=ended,
        )
        self.attempt.wiring.lake.metastore.record(
            self.attempt.id, fence=self.attempt.row.fence, steps=[row], events=events
        )

    def _computed(
        self, step: Step, tree: Tree, inputs: Inputs, digest: str | None, number: int
    ) -> StepDone:
        attempt = self.attempt
        began, cpu = attempt.wiring.clock.monotonic_s(), time.thread_time()
        output: Output | None = None
        cursor: str | None = None
        if step.table is None and not step.inputs:
            step.call(
                {},
                parameters=self.parameters.get(step.name, {}),
                now=self.now,
                seed=self.seed,
                reveal=attempt.wiring.reveal,
            )
        else:
            from headgate.records import RecordRules  # noqa: PLC0415
            from headgate.runs.computing import Computation  # noqa: PLC0415 - heavy libraries
            from headgate.runs.outputs import Target  # noqa: PLC0415

            computation = Computation(
                attempt,
                step,
                tree,
                inputs,
                parameters=self.parameters.get(step.name, {}),
                now=self.now,
                seed=self.seed,
            )
            with closing(computation):
                if step.table is None:
                    computation.call()
                else:
                    target = Target(
                        table=step.table,
                        mode=inputs.mode,
                        pipeline=attempt.row.pipeline,
                        run=attempt.id,
                        step=step.name,
                        attempt=number,
                        key=step.key,
                        partition_by=step.partition_by,
                        sort_by=step.sort_by,
                        spec=self.spec(step),
                        takes_over=step.table in self.take_over,
                        rules=step.rules or RecordRules(),
                    )
                    output = computation.write(target)
                cursor = computation.cursor or inputs.position()
        if output is not None and self._changed_nothing(step, tree, output, cursor):
            return self._nothing_new(step, inputs, digest)
        if output is not None and self._came_again(step, tree, output, cursor):
            return self._as_it_was(step, tree, output, digest)
        return self._done(step, tree, inputs, digest, output, cursor, number, began, cpu)

    def _changed_nothing(
        self, step: Step, tree: Tree, output: "Output", cursor: str | None
    ) -> bool:
        """Whether what was read had nothing new, as when a file only vanished."""
        stored = tree.get(cursor_key(self.attempt.row.pipeline, step.name))
        return not output.writes and stored is not None and stored.data == cursor

    def _came_again(self, step: Step, tree: Tree, output: "Output", cursor: str | None) -> bool:
        """Whether a source that only reading can tell gave what is published, in every key.

        Equal content ids are equal rows in an equal order. A forced run writes all the same.
        """
        pipeline = self.attempt.row.pipeline
        stored = tree.get(cursor_key(pipeline, step.name))
        known = self.attempt.base_tree.get(step_key(pipeline, step.name)) is not None
        read_whole = step.source is not None and step.mode == "replace"
        if self.force or not known or not read_whole or not output.changes:
            return False
        if cursor is not None and (stored is None or stored.data != cursor):
            return False
        return is_published(tree, output.changes)

    def _as_it_was(self, step: Step, tree: Tree, output: "Output", digest: str | None) -> StepDone:
        """Give a step whose rows are those that are published: nothing is written.

        What it leans on is read, so that whoever changes it first has the step computed again.
        """
        pipeline, attempt = self.attempt.row.pipeline, self.attempt
        keys = (
            *output.changes,
            step_key(pipeline, step.name),
            cursor_key(pipeline, step.name),
        )
        reads = tuple(
            Read(key=key, content=_content(tree, key), own=attempt.wrote(key)) for key in keys
        )
        done = self._settled(step, (*output.reads, *reads), digest)
        now = attempt.wiring.clock.now()
        noted = tuple(
            SourceNoted(run=attempt.id, at=now, step=step.name, note=note) for note in output.notes
        )
        return replace(done, events=(*noted, *done.events))

    def _done(
        self,
        step: Step,
        tree: Tree,
        inputs: Inputs,
        digest: str | None,
        output: "Output | None",
        cursor: str | None,
        number: int,
        began: float,
        cpu: float,
    ) -> StepDone:
        attempt = self.attempt
        pipeline, clock = attempt.row.pipeline, attempt.wiring.clock
        reads = [*inputs.reads()]
        changes: dict[str, Entry | None] = {}
        writes: list[Write] = []
        if output is not None:
            reads += output.reads
            read_entries = [tree.get(read.key) for read in reads]
            spec = self.spec(step)
            for parent in looked_up(spec, step.table, inputs.mode):
                entry = tree.get(table_key(parent))
                read_entries.append(entry)
                reads.append(
                    Read(
                        key=table_key(parent),
                        content=entry.content if entry else None,
                        own=attempt.wrote(table_key(parent)),
                    )
                )
            for key, entry in output.changes.items():
                before = tree.get(key)
                followed = [*read_entries, *((before,) if _depends(output, key) else ())]
                changes[key] = marked(entry, attempt.id, followed) if entry else None
            writes += output.writes
            key = step_key(pipeline, step.name)
            before = attempt.base_tree.get(key)
            reads.append(Read(key=key, content=before.content if before else None))
            changes[key] = self._output_entry(
                skipping.Output(fingerprint=digest or "", run=attempt.id, origin=attempt.id)
            )
            writes.append(_put(key, before, changes[key]))
            if cursor is not None:
                key = cursor_key(pipeline, step.name)
                before = tree.get(key)
                reads.append(Read(key=key, content=before.content if before else None))
                changes[key] = Entry(
                    kind="cursor", content=digest_json(cursor), data=cursor, taint=(attempt.id,)
                )
                writes.append(_put(key, before, changes[key]))
            table = step.table or ""
            entry = output.changes.get(table_key(table))
            if output.measures and entry is not None and spec is not None:
                parents = self._parents(spec, tree)
                attempt.note_measures(table, entry.content, parents, output.measures)
        wall, spent = clock.monotonic_s() - began, time.thread_time() - cpu
        record = StepRecord(
            step=step.name,
            fingerprint=digest,
            reads=tuple(reads),
            writes=tuple(writes),
            attempt=number,
            rows_in=output.rows_in if output else 0,
            rows_out=output.rows if output else 0,
            rows_quarantined=output.rows_quarantined if output else 0,
            violations=dict(output.violations) if output else {},
            wall_s=wall,
            cpu_s=spent,
        )
        told = StepFinished(
            run=attempt.id,
            at=clock.now(),
            step=step.name,
            attempt=number,
            rows=output.rows if output else None,
            rows_quarantined=record.rows_quarantined,
            wall_s=wall,
            cpu_s=spent,
            quarantine_reasons=dict(output.reasons) if output else {},
            table=step.table or "",
        )
        noted = tuple(
            SourceNoted(run=attempt.id, at=told.at, step=step.name, note=note)
            for note in (output.notes if output is not None else ())
        )
        events: tuple[Event, ...] = (*noted, told)
        if output is not None and output.schema_changes:
            changed = SchemaChanged(
                run=attempt.id,
                at=told.at,
                step=step.name,
                table=step.table or "",
                changes=output.schema_changes,
            )
            events = (changed, *noted, told)
        return StepDone(record=record, changes=changes, events=events)


def _content(tree: Tree, key: str) -> str | None:
    entry = tree.get(key)
    return entry.content if entry else None


def _put(key: str, before: Entry | None, after: Entry | None) -> Write:
    content = after.content if after else None
    return Write(
        key=key,
        operations=(Put(content=content),),
        before=before.content if before else None,
        content=content,
    )


def _replaces(write: Write) -> bool:
    return any(isinstance(each, Replace) for each in write.operations)


def _depends(output: "Output", key: str) -> bool:
    """Whether what the key becomes depends on what it was: anything but a replacement does."""
    return any(w.key == key and not _replaces(w) for w in output.writes)
