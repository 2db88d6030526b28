"""What people do with quarantined rows by hand: discard them, give them other values, replay them.

Each is a transaction of one step. Where others publish first, it is done again on what they left:
no two of them take the same row.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import replace

import msgspec
import pyarrow as pa

from headgate.contracts import ContractSpec
from headgate.digests import digest_json
from headgate.engines import Session
from headgate.errors import Invalid, NotFound
from headgate.lake import Commit, Entry, Read, Skip, StepRecord, contract_key, table_key
from headgate.names import suggestion
from headgate.pipelines import Graph, Pipeline, assignment
from headgate.runs.attempt import Attempt, StepDone
from headgate.runs.beginning import begin, ending
from headgate.runs.choices import Choice
from headgate.runs.choosing import Chosen
from headgate.runs.loss import Loss
from headgate.runs.payloads import edited
from headgate.runs.publish import publish
from headgate.runs.quarantine import ID, SCHEMA, TEXT_FORM, quarantine_table
from headgate.runs.replaying import replayed_by_hand
from headgate.runs.results import RunResult, nothing_of, result_of
from headgate.runs.setting_aside import Rejects, SetAside, exchange
from headgate.runs.taint import marked
from headgate.runs.wiring import Wiring

Change = Callable[[Session, Entry, Rejects, Chosen, pa.Table], SetAside]


def discard(wiring: Wiring, choice: Choice, *, target: str, reason: str) -> RunResult:
    """Take rows out of quarantine for good; the reason is the commit's message.

    Raises:
        NotFound: ``nothing-quarantined``. Invalid: ``discard-without-reason``, ``bad-condition``.
    """
    if not reason.strip():
        raise Invalid(
            "discard-without-reason",
            f"Rows of {choice.table} would be discarded, and nobody would know why.",
            hint="Give a reason: it is kept in the commit.",
            table=choice.table,
        )

    def change(
        session: Session, before: Entry, rejects: Rejects, _: Chosen, rows: pa.Table
    ) -> SetAside:
        gone = rows.column(ID).combine_chunks()
        nothing = SCHEMA.empty_table()
        return exchange(wiring, session, before, rejects, gone=gone, changed=nothing)

    return _done(wiring, "discard", choice, target, f"discard {choice}: {reason.strip()}", change)


def edit(
    wiring: Wiring,
    choice: Choice,
    *,
    target: str,
    values: Sequence[str],
    declared: Callable[[], Collection[str]] = tuple,
) -> RunResult:
    """Give quarantined rows other values: ``("tailnum = 'N1'",)``, SQL over the row as it came.

    What is set is a column of the rows, of their table, of its contract, or one of those that
    ``declared`` gives: of the contract that the table will have.

    Raises:
        NotFound: ``nothing-quarantined``. Invalid: ``bad-condition``, ``bad-assignment``.
    """

    def change(
        session: Session, before: Entry, rejects: Rejects, chosen: Chosen, rows: pa.Table
    ) -> SetAside:
        del rows
        what = f"the quarantine of {choice.table}"
        known = chosen.columns()

        def settable() -> Collection[str]:
            kept = _kept_columns(wiring, target, choice.table)
            return tuple(dict.fromkeys((*chosen.payload_columns(), *kept, *declared())))

        named = dict(assignment(value, known, what=what, settable=settable) for value in values)
        computed = chosen.computed({f"_hg_new_{n}": sql for n, sql in enumerate(named.values())})
        changed = _edited(computed, tuple(named))
        gone = pa.array([], pa.string())
        return exchange(wiring, session, before, rejects, gone=gone, changed=changed)

    if not values:
        raise Invalid("bad-assignment", "No value is given.", hint="Write it like: tailnum = 'N1'")
    message = f"edit {choice}: {', '.join(values)}"
    return _done(wiring, "edit", choice, target, message, change)


def _kept_columns(wiring: Wiring, target: str, table: str) -> list[str]:
    """Give the columns of a table, and of its contract by both of their names."""
    tree = wiring.lake.tree(wiring.head(target))
    known: list[str] = []
    entry, contract = tree.get(table_key(table)), tree.get(contract_key(table))
    if contract is not None and contract.data is not None:
        for column in ContractSpec.from_json(contract.data).columns:
            known += (column.name, column.source)
    if entry is not None and entry.table is not None:
        known += (column.name for column in entry.table.schema)
    return known


def replay_by_hand(wiring: Wiring, choice: Choice, *, target: str) -> RunResult:
    """Replay rows of a table that no pipeline makes: under its contract, as they were written."""
    refuse_none(wiring, choice, target)
    return _transaction(
        wiring, "replay", target, f"replay {choice}", lambda a: replayed_by_hand(a, choice)
    )


def only(pipeline: Pipeline, table: str) -> Pipeline:
    """Give what a replay runs of a pipeline: the step that makes the table, and all after it."""
    graph = Graph(pipeline.steps)
    maker = graph.maker(table)
    if maker is None:
        raise NotFound(
            "unknown-table",
            f"No step of {pipeline.name} makes {table}.",
            table=table,
        )
    kept = {maker.name, *graph.descendants(maker.name)}
    steps = tuple(
        replace(step, after=tuple(name for name in step.after if name in kept))
        for step in pipeline.steps
        if step.name in kept
    )
    return replace(pipeline, steps=steps)


def refuse_none(wiring: Wiring, choice: Choice, target: str) -> None:
    """Refuse to begin where no row is chosen.

    Raises:
        NotFound: ``nothing-quarantined``.
    """
    tree = wiring.lake.tree(wiring.head(target))
    entry = tree.get(table_key(quarantine_table(choice.table)))
    if entry is not None and entry.table is not None and entry.table.rows:
        with closing(wiring.engine().session()) as session:
            chosen = Chosen(session, wiring.lake.tables.scan(entry), choice)
            if chosen.rows().num_rows:
                return
    names = [key.removeprefix("table/") for key in tree.keys("table/")]
    close = None if choice.table in names else suggestion(choice.table, names)
    raise NotFound(
        "nothing-quarantined",
        f"No row of {choice} is in quarantine at {target}.",
        hint=f"Did you mean {close}?"
        if close
        else "headgate quarantine list  shows where there are some.",
        table=choice.table,
    )


def _done(
    wiring: Wiring, what: str, choice: Choice, target: str, message: str, change: Change
) -> RunResult:
    refuse_none(wiring, choice, target)

    def step(attempt: Attempt) -> StepDone:
        key = table_key(quarantine_table(choice.table))
        before = attempt.tree.get(key)
        read = Read(key=key, content=before.content if before else None)
        if before is not None:
            with closing(wiring.engine().session()) as session:
                chosen = Chosen(session, wiring.lake.tables.scan(before), choice)
                rows = chosen.rows()
                if rows.num_rows:
                    rejects = _rejects(attempt, choice.table, what)
                    done = change(session, before, rejects, chosen, rows)
                    return _step_done(attempt, what, before, read, done, rows.num_rows)
        skipped = Skip(commit=attempt.base.id)
        record = StepRecord(step=what, reads=(read,), skipped=skipped)
        return StepDone(record=record, changes={}, settled=True)

    return _transaction(wiring, what, target, message, step)


def _rejects(attempt: Attempt, table: str, step: str) -> Rejects:
    return Rejects(
        table=table,
        mode="append",
        contract="",
        run=attempt.id,
        step=step,
        attempt=1,
        prefix=f"{attempt.id}-{step}-1",
        owner=None,
    )


def _step_done(
    attempt: Attempt, what: str, before: Entry, read: Read, done: SetAside, rows: int
) -> StepDone:
    entry = marked(done.entry, attempt.id, (before,)) if done.entry is not None else None
    record = StepRecord(
        step=what,
        fingerprint=digest_json([attempt.id, what]),
        reads=(read,),
        writes=(done.write,),
        rows_in=rows,
    )
    return StepDone(record=record, changes={done.key: entry})


def _transaction(
    wiring: Wiring,
    name: str,
    target: str,
    message: str,
    step: Callable[[Attempt], StepDone],
) -> RunResult:
    attempt = begin(
        wiring,
        pipeline=name,
        target=target,
        base=wiring.head(target),
        kind="transaction",
        message=message,
    )
    with ending(attempt):
        attempt.checkpoint([step(attempt)])
        if attempt.changes_nothing:
            return nothing_of(attempt)

        def redo(head: Commit, _: Loss) -> None:
            attempt.rebase(head)
            attempt.checkpoint([step(attempt)])

        publication = publish(attempt, redo=redo)
    return result_of(attempt, publication)


def _edited(computed: pa.Table, names: Sequence[str]) -> pa.Table:
    """Give the rows with their payloads changed; a text that got columns is a row from now on."""
    new = [computed.column(f"_hg_new_{number}").to_pylist() for number in range(len(names))]
    payloads, forms = [], []
    rows = zip(
        computed.column("payload").to_pylist(), computed.column("form").to_pylist(), strict=True
    )
    for number, (payload, form) in enumerate(rows):
        values: Mapping[str, object] = {
            name: column[number] for name, column in zip(names, new, strict=True)
        }
        text, stays = edited(payload, values, is_text=form == TEXT_FORM)
        payloads.append(text)
        forms.append(form if form != TEXT_FORM or stays else "row")
    table = computed.select(SCHEMA.names)
    for name, column in (("payload", payloads), ("form", forms)):
        at = table.column_names.index(name)
        table = table.set_column(at, name, pa.array(column, pa.string()))
    return table.cast(SCHEMA)


def choice_of(settings: Mapping[str, object]) -> Choice | None:
    """Give the choice that a run's settings hold, None where it is no replay."""
    found = settings.get("replay")
    return msgspec.convert(found, Choice) if found is not None else None
