"""Replay: quarantined rows go through the repaired contract once more, exactly those, exactly once.

The rows are read from the quarantine as a run's step reads a table; accepted ones are appended or
upserted, and leave the quarantine in the same write. Two replays at once meet in the serialization
graph like any two runs that read and write one table: the second begins again on what is left.
"""

import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Literal

import msgspec
import pyarrow as pa

from headgate import source_columns
from headgate.contracts import ContractSpec
from headgate.digests import digest_json
from headgate.engines import Session
from headgate.errors import Refused
from headgate.events import Event, SchemaChanged, SourceNoted, StepFinished
from headgate.lake import (
    Entry,
    Put,
    Read,
    Skip,
    StepRecord,
    Tree,
    Upsert,
    Write,
    contract_key,
    step_key,
    table_key,
)
from headgate.pipelines import Step
from headgate.records import RecordRules
from headgate.runs.arrivals import UNREAD, Arrivals
from headgate.runs.attempt import Attempt, StepDone
from headgate.runs.choices import Choice
from headgate.runs.choosing import Chosen
from headgate.runs.ingest import write_arrivals, write_raw
from headgate.runs.lookups import looked_up
from headgate.runs.outputs import Output, Target
from headgate.runs.payloads import decoded, returned
from headgate.runs.quarantine import ID, RECORD_FORM, TEXT_FORM, quarantine_table
from headgate.runs.skipping import Output as StepOutput
from headgate.runs.spool import Spool
from headgate.runs.superseding import followed, superseded
from headgate.runs.taint import marked
from headgate.runs.text_records import TextRecords
from headgate.sources import Batch


def replayed_step(
    attempt: Attempt, step: Step, choice: Choice, *, spec: ContractSpec | None
) -> StepDone:
    """Do a step of a pipeline with its quarantined rows in place of its source or its inputs."""
    mode: Literal["append", "upsert"] = "upsert" if step.mode == "upsert" else "append"
    target = Target(
        table=choice.table,
        mode=mode,
        pipeline=attempt.row.pipeline,
        run=attempt.id,
        step=step.name,
        attempt=1,
        key=step.key,
        partition_by=step.partition_by,
        sort_by=step.sort_by,
        spec=spec,
        rules=step.rules or RecordRules(),
    )
    return _Replay(attempt, target, choice, step).done()


def replayed_by_hand(attempt: Attempt, choice: Choice) -> StepDone:
    """Write quarantined rows of a hand-made transaction again, in the way they were written."""
    tree = attempt.tree
    mode, key = _way(attempt, choice)
    stored = tree.get(contract_key(choice.table))
    target = Target(
        table=choice.table,
        mode=mode,
        key=key,
        pipeline=attempt.row.pipeline,
        run=attempt.id,
        step="replay",
        attempt=1,
        spec=ContractSpec.from_json(stored.data) if stored and stored.data else None,
        by_hand=True,
    )
    return _Replay(attempt, target, choice, None).done()


@dataclass(slots=True)
class _Readable:
    """Quarantined rows by what they are: ids with payloads, and texts that cannot be read."""

    rows: list[tuple[str, str]] = field(default_factory=list)
    records: list[tuple[str, str]] = field(default_factory=list)
    unread: list[dict[str, str | None]] = field(default_factory=list)


class _Replay:
    """One replay on one tree."""

    def __init__(self, attempt: Attempt, target: Target, choice: Choice, step: Step | None) -> None:
        self._attempt = attempt
        self._wiring = attempt.wiring
        self._tree: Tree = attempt.tree
        self._target = target
        self._choice = choice
        self._step = step
        self._key = table_key(quarantine_table(choice.table))
        self._before = self._tree.get(self._key)

    def done(self) -> StepDone:
        """Give what playing the chosen rows did; nothing, where none is left."""
        began = self._wiring.clock.monotonic_s()
        if self._before is None:
            return self._nothing()
        with closing(self._wiring.engine().session()) as session:
            scan = self._wiring.lake.tables.scan(self._before)
            rows = Chosen(session, scan, self._choice).rows()
            if not rows.num_rows:
                return self._nothing()
            every = Chosen(session, scan, Choice(table=self._choice.table)).rows()
            rows, left = self._current(rows, every)
            output = self._write(session, rows)
        if left:
            output = replace(output, notes=(*output.notes, left))
        return self._recorded(output, began)

    # -- rows

    def _current(self, rows: pa.Table, every: pa.Table) -> tuple[pa.Table, str | None]:
        """Leave out rows whose keys were written again since, be it to quarantine; say so.

        ``every`` has all rows of the quarantine.

        Raises:
            Refused: ``replay-superseded``: no other is left.
        """
        target = self._target
        choice = self._choice
        if target.mode != "upsert" or choice.overwrite:
            return rows, None
        entry = self._tree.get(table_key(target.table))
        ids = rows.column(ID).to_pylist()
        older = superseded(
            self._wiring, rows, entry, table=target.table, key=target.key, spec=target.spec
        )
        later = followed(self._wiring, every, entry, key=target.key, spec=target.spec)
        older |= later.intersection(ids)
        if not older:
            return rows, None
        count = f"{len(older):,} row{'s' if len(older) > 1 else ''} of {target.table}"
        why = f"{count}: what has the same key was written since, or set aside"
        if len(older) == rows.num_rows:
            raise Refused(
                "replay-superseded",
                f"The replay would put older values in the place of newer ones, in {why}.",
                hint=f"Discard them:  headgate quarantine discard {choice.words} --reason ...\n"
                f"Or all the same:  headgate quarantine replay {choice.words} --overwrite",
                table=target.table,
            )
        kept = pa.array([id not in older for id in ids])
        return rows.filter(kept), f"left in quarantine: {why} (--overwrite replays them)"

    def _write(self, session: Session, rows: pa.Table) -> Output:
        target = replace(self._target, replayed=rows)
        found = self._readable(rows)
        aside = pa.Table.from_pylist(found.unread, schema=UNREAD) if found.unread else None
        if found.records:
            return self._write_records(session, target, found, aside)
        plain = pa.table(
            {ID: [id for id, _ in found.rows], "payload": [text for _, text in found.rows]}
        )
        entry = self._tree.get(table_key(target.table))
        present = self._wiring.lake.tables.scan_files(entry, ()).schema if entry else None
        back = returned(plain, target.spec, present)
        aside = _joined(aside, back.unread)
        target = replace(target, rules=_of_texts(target))
        source = self._step.source if self._step is not None else None
        return write_raw(
            self._wiring,
            session,
            self._tree,
            target,
            back.rows,
            unread=lambda: aside,
            written=source.options if source is not None and source.kind == "files" else {},
        )

    def _write_records(
        self, session: Session, target: Target, found: "_Readable", aside: pa.Table | None
    ) -> Output:
        """Let records become columns once more; rows beside them go the same way."""
        every = [*found.records, *((id, self._as_given(text)) for id, text in found.rows)]
        names = [source_columns.POSITION, source_columns.RECORD]
        columns = [pa.array(list(each), pa.string()) for each in zip(*every, strict=True)]
        batch = Batch(rows=pa.table(columns, names=names), cursor=None, unread=aside)
        arrivals = Arrivals(
            iter([batch]),
            None,
            clock=self._wiring.clock,
            spool=lambda: Spool(self._wiring.cache / "spool"),
        )
        with closing(arrivals):
            output = write_arrivals(self._wiring, session, self._tree, target, arrivals)
        if output is None:
            raise Refused("nothing-to-replay", f"No row of {target.table} can be replayed.")
        return output

    def _readable(self, rows: pa.Table) -> "_Readable":
        """Tell rows, records, and texts that are neither.

        Raises:
            Refused: ``nothing-to-replay``: there are only such texts.
        """
        found = _Readable()
        texts = TextRecords(self._attempt, self._step)
        given = [rows.column(name).to_pylist() for name in (ID, "form", "payload", "position")]
        for id, form, payload, position in zip(*given, strict=True):
            if form != TEXT_FORM:
                (found.records if form == RECORD_FORM else found.rows).append((id, payload))
                continue
            said = decoded(payload)
            text = _text(said.get("raw")) or ""
            if _is_object(text):
                found.records.append((id, text))
                continue
            values = texts.values(position, text)
            if isinstance(values, str):
                # A text that nobody has mended is what it was, and so is what is wrong with it.
                why = _text(said.get("reason"))
                column = _text(said.get("column")) if why is not None else None
                found.unread.append(
                    {"_position": id, "_raw": text, "_column": column, "_reason": why or values}
                )
            else:
                found.rows.append((id, msgspec.json.encode(values).decode()))
        if not found.records and not found.rows:
            raise Refused(
                "nothing-to-replay",
                f"None of the {len(found.unread)} chosen rows of {self._choice.table} is a row: "
                f"they are texts that cannot be read ({found.unread[0]['_reason']}).",
                hint="Mend the text, or say which values it has:  headgate quarantine edit "
                f'{self._choice.table} --set "id = 7" --where "_position = \'...\'"',
                table=self._choice.table,
            )
        return found

    def _as_given(self, payload: str) -> str:
        """Give a row as its source would name its columns."""
        spec = self._target.spec
        sources = {column.name: column.source for column in spec.columns} if spec else {}
        values = msgspec.json.decode(payload, type=dict[str, msgspec.Raw])
        named = {sources.get(name, name): value for name, value in values.items()}
        return msgspec.json.encode(named).decode()

    # -- recorded

    def _nothing(self) -> StepDone:
        """Give a step that found no row: another replay has taken them, or a discard."""
        content = self._before.content if self._before else None
        record = StepRecord(
            step=self._target.step,
            reads=(Read(key=self._key, content=content),),
            skipped=Skip(commit=self._attempt.base.id),
        )
        return StepDone(record=record, changes={}, settled=True)

    def _recorded(self, output: Output, began_s: float) -> StepDone:
        attempt, target, step = self._attempt, self._target, self._step
        reads = [Read(key=self._key, content=self._before.content if self._before else None)]
        for name in looked_up(target.spec, target.table, target.mode):
            entry = self._tree.get(table_key(name))
            content = entry.content if entry else None
            reads.append(Read(key=table_key(name), content=content))
        reads += output.reads
        seen = [self._tree.get(read.key) for read in reads]
        changes: dict[str, Entry | None] = {}
        for key, entry in output.changes.items():
            followed = (*seen, self._tree.get(key))
            changes[key] = marked(entry, attempt.id, followed) if entry else None
        writes = [*output.writes]
        if step is not None and step.mode == "replace":
            self._pass_on(step, changes, reads, writes)
        wall_s = self._wiring.clock.monotonic_s() - began_s
        record = StepRecord(
            step=target.step,
            fingerprint=digest_json(["replay", attempt.id, target.step]),
            reads=tuple(reads),
            writes=tuple(writes),
            replayed=True,
            rows_in=output.rows_in,
            rows_out=output.rows,
            rows_quarantined=output.rows_quarantined,
            violations=dict(output.violations),
            wall_s=wall_s,
        )
        return StepDone(record=record, changes=changes, events=self._events(record, output))

    def _events(self, record: StepRecord, output: Output) -> tuple[Event, ...]:
        run, at = self._attempt.id, self._wiring.clock.now()
        told: list[Event] = [
            SourceNoted(run=run, at=at, step=record.step, note=note) for note in output.notes
        ]
        if output.schema_changes:
            changes = output.schema_changes
            table = self._target.table
            told.append(
                SchemaChanged(run=run, at=at, step=record.step, table=table, changes=changes)
            )
        told.append(
            StepFinished(
                run=run,
                at=at,
                step=record.step,
                attempt=1,
                rows=output.rows,
                rows_quarantined=output.rows_quarantined,
                wall_s=record.wall_s,
                cpu_s=0.0,
                quarantine_reasons=dict(output.reasons),
                table=self._target.table,
            )
        )
        return tuple(told)

    def _pass_on(
        self,
        step: Step,
        changes: dict[str, Entry | None],
        reads: list[Read],
        writes: list[Write],
    ) -> None:
        """Let the step's last output stand for what its table is now: it is skipped on as before.

        What that output was made from is read once more, because skipping goes on from here.
        """
        attempt = self._attempt
        key = step_key(attempt.row.pipeline, step.name)
        before = attempt.base_tree.get(key)
        if before is None or before.data is None:
            return
        output = StepOutput.parse(before.data)
        made = attempt.wiring.lake.metastore.run(output.run)
        commit = attempt.wiring.lake.metastore.commit(made.commit) if made and made.commit else None
        found = next(
            (s for s in (commit.record.steps if commit else ()) if s.step == step.name), None
        )
        if found is None:
            return
        known = {read.key for read in reads} | {key}
        for read in found.reads:
            if read.key not in known:
                entry = self._tree.get(read.key)
                content = entry.content if entry else None
                reads.append(msgspec.structs.replace(read, content=content, at=None))
        text = StepOutput(fingerprint=output.fingerprint, run=attempt.id, origin=attempt.id).text()
        entry = Entry(kind="pipeline", content=digest_json(text), data=text, taint=(attempt.id,))
        changes[key] = entry
        reads.append(Read(key=key, content=before.content))
        writes.append(
            Write(
                key=key,
                operations=(Put(content=entry.content),),
                before=before.content,
                content=entry.content,
            )
        )


def _way(attempt: Attempt, choice: Choice) -> tuple[Literal["append", "upsert"], tuple[str, ...]]:
    """Give how the rows were to be written when they were set aside, as history has it."""
    metastore = attempt.wiring.lake.metastore
    entry = attempt.tree.get(table_key(quarantine_table(choice.table)))
    if entry is None:
        return "append", ()
    with closing(attempt.wiring.engine().session()) as session:
        rows = Chosen(session, attempt.wiring.lake.tables.scan(entry), choice).rows()
    for run in dict.fromkeys(rows.column("run").to_pylist()):
        made = metastore.run(run)
        commit = metastore.commit(made.commit) if made and made.commit else None
        for step in commit.record.steps if commit else ():
            for write in step.writes:
                if write.key != table_key(choice.table):
                    continue
                for operation in write.operations:
                    if isinstance(operation, Upsert):
                        return "upsert", operation.key_columns
    return "append", ()


def _of_texts(target: Target) -> RecordRules:
    """Give what a step declares of texts, for rows that are no records."""
    if target.spec is None:
        return RecordRules()
    return replace(target.rules, nested={}, on_conflict="evolve")


def _joined(*tables: pa.Table | None) -> pa.Table | None:
    found = [table for table in tables if table is not None and table.num_rows]
    return pa.concat_tables(found) if found else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), Mapping)
    except ValueError:
        return False
