"""A step's rows become a table: accepted rows to staged Parquet, rejected ones to quarantine.

One place for every way rows come in (sources, steps, hand-made transactions), so that contracts,
quarantine and ownership mean the same everywhere. Nothing is visible: what comes out is a set of
entries, which the attempt commits to the run's branch.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

import pyarrow as pa

from headgate.contracts import (
    CastPlan,
    ContractSpec,
    IngestMask,
    Measure,
    arrow_schema,
    ingest_mask,
    layout_problems,
    type_texts,
)
from headgate.engines import Session, Written
from headgate.errors import Internal, Refused, StepFailed
from headgate.filesets import DataFile
from headgate.lake import (
    AddColumn,
    Append,
    ChangeSchema,
    Entry,
    Footprint,
    Operation,
    Put,
    Range,
    Read,
    Replace,
    RowCounts,
    Tree,
    Upsert,
    Write,
    contract_key,
    cover,
    plain,
    table_key,
)
from headgate.records import RecordRules
from headgate.runs.applying import apply_operations
from headgate.runs.quarantine import count_reasons, quarantine_table
from headgate.runs.setting_aside import Rejects, set_aside
from headgate.runs.wiring import Wiring

if TYPE_CHECKING:
    from headgate.engines import Rows

Mode: TypeAlias = Literal["replace", "append", "upsert", "delete"]
Unread: TypeAlias = "Callable[[], pa.Table | None]"
"""Gives the records that were no rows (``Batch.unread``), once all rows have flowed."""
Settled: TypeAlias = "Callable[[Written, tuple[DataFile, ...]], tuple[Operation, ...]]"
"""Gives what is to be done to the table before accepted rows come to it, once they are known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The table that is written, how, by whom, and what it promises.

    What is written ``by_hand`` may replace a pipeline's table, and never becomes its owner. A run
    that ``takes_over`` a table replaces it and owns it from then on. ``rules`` say how records
    become columns. ``replayed`` are rows of the quarantine that are written once more, their ids
    for positions.
    """

    table: str
    mode: Mode
    pipeline: str
    run: str
    step: str
    attempt: int
    key: tuple[str, ...] = ()
    partition_by: tuple[str, ...] = ()
    sort_by: tuple[str, ...] = ()
    spec: ContractSpec | None = None
    by_hand: bool = False
    takes_over: bool = False
    rules: RecordRules = field(default_factory=RecordRules)
    replayed: pa.Table | None = None

    @property
    def prefix(self) -> str:
        """What the names of its files begin with."""
        return f"{self.run}-{self.step}-{self.attempt}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What writing did: entries set, operations recorded, rows counted.

    ``violations`` counts accepted rows, ``reasons`` why rows were quarantined. ``measures``
    is what a verdict on exactly these rows can take over, where they are the whole table.
    ``reads`` are what writing looked at, ``notes`` what the source had to say to people.
    """

    changes: Mapping[str, Entry | None]
    writes: tuple[Write, ...]
    rows_in: int
    rows: int
    rows_quarantined: int = 0
    violations: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, int] = field(default_factory=dict)
    measures: Mapping[str, Measure] = field(default_factory=dict)
    schema_changes: tuple[str, ...] = ()
    reads: tuple[Read, ...] = ()
    notes: tuple[str, ...] = ()


def write_output(
    wiring: Wiring, session: Session, tree: Tree, target: Target, rows: "Rows"
) -> Output:
    """Compute rows once and stage them as the next state of a table.

    ``rows`` are typed; raw ones go through ``write_raw``.

    Raises:
        Refused: ``table-owned``. Invalid: ``null-key``, ``duplicate-key``, ``schema-...``.
        StepFailed: ``step-returned-wrong-columns``.
    """
    spec = target.spec
    schema = session.schema(rows)
    if spec is None:
        return stage(wiring, session, tree, target, rows, schema=schema)
    types = promoted(spec, type_texts(schema))
    if problems := layout_problems(spec, types):
        raise StepFailed(
            "step-returned-wrong-columns",
            f"{target.table} does not have the columns its contract {spec.name} declares: "
            f"{'; '.join(problems)}.",
            hint="Change what the step returns, or the contract.",
            table=target.table,
            step=target.step,
        )
    schema = conformed(spec, schema)
    mask = mask_of(wiring, session, tree, target, spec, schema.names)
    return stage(wiring, session, tree, target, rows, schema=schema, mask=mask)


def promoted(spec: ContractSpec, types: Mapping[str, str]) -> Mapping[str, str]:
    """Give columns' types as declared where what was given fits without loss."""
    declared = {name: str(kind) for name, kind in spec.kinds.items()}
    return {
        name: declared[name] if given == NULLS or (given, declared.get(name)) in LOSSLESS else given
        for name, given in types.items()
        if given != NULLS or name in declared
    }


NULLS = "null"
"""The type of a column in which nothing but NULL was seen: it fits any other."""
LOSSLESS = frozenset(
    {("int", "long"), ("float", "double"), ("int", "double"), ("date", "timestamp")}
)
"""Pairs of types (given, declared) where every given value is a declared one."""


def conformed(spec: ContractSpec, schema: pa.Schema) -> pa.Schema:
    """Give the schema a table has under a contract, with undeclared columns if it keeps them."""
    declared = arrow_schema(spec)
    if spec.undeclared != "keep":
        return declared
    extra = [each for each in schema if each.name not in declared.names]
    return pa.schema([*declared, *extra])


def mask_of(
    wiring: Wiring,
    session: Session,
    tree: Tree,
    target: Target,
    spec: ContractSpec,
    columns: Sequence[str],
    casts: CastPlan | None = None,
) -> IngestMask:
    """Give the mask for rows about to be written to a table, with what it looks up in bound.

    Where rows come to others, keys and references that set none aside are left to the verdict: it
    looks them up once, and only where they can be.
    """
    whole = target.mode == "replace" or tree.get(table_key(target.table)) is None
    wanted = spec.references if whole else spec.splits_by_parents
    return ingest_mask(
        spec,
        columns,
        casts=casts,
        parents=_bind_parents(wiring, session, tree, spec, target.table, wanted),
        existing=_bind_existing(wiring, session, tree, target) if spec.splits_by_keys else None,
        whole=whole,
        upsert_by=target.key if target.mode == "upsert" else (),
    )


def _bind_parents(
    wiring: Wiring,
    session: Session,
    tree: Tree,
    spec: ContractSpec,
    table: str,
    wanted: Collection[str],
) -> Mapping[str, Mapping[str, str]]:
    """Bind the tables of those wanted that a contract looks up in; give their columns and types.

    Raises:
        Refused: ``parent-missing``: there is no such table to look up in.
    """
    schemas: dict[str, Mapping[str, str]] = {}
    for parent in spec.references:
        if parent == table:
            continue
        entry = tree.get(table_key(parent))
        if entry is None or entry.table is None:
            raise Refused(
                "parent-missing",
                f"{table} refers to {parent}, which is no table of this lake.",
                hint=f"Publish {parent} first, or take the reference out of the contract.",
                table=table,
                parent=parent,
            )
        if parent not in wanted:
            continue
        session.bind({parent: wiring.lake.tables.scan(entry)})
        schemas[parent] = {column.name: plain(column.type) for column in entry.table.schema}
    return schemas


def _bind_existing(wiring: Wiring, session: Session, tree: Tree, target: Target) -> str | None:
    """Bind the rows that are there already, where an append must not double their keys."""
    before = tree.get(table_key(target.table))
    if target.mode != "append" or before is None:
        return None
    session.bind({"_hg_existing": wiring.lake.tables.scan(before)})
    return "_hg_existing"


def none_unread() -> pa.Table | None:
    """Say that every record was a row."""
    return None


def none_settled(_: Written, __: tuple[DataFile, ...]) -> tuple[Operation, ...]:
    """Say that nothing else is to be done to the table."""
    return ()


def stage(
    wiring: Wiring,
    session: Session,
    tree: Tree,
    target: Target,
    rows: "Rows",
    *,
    schema: pa.Schema,
    mask: IngestMask | None = None,
    unread: Unread = none_unread,
    leading: tuple[Operation, ...] = (),
    settled: Settled = none_settled,
) -> Output:
    """Write rows under a schema, apply the operation to the table, put rejected rows beside it.

    ``leading`` operations are done to the table before the rows come to it; so are those that
    ``settled`` gives, once it is known which rows were accepted.

    ``unread`` records, which never were rows, count as read, and go to quarantine as malformed.
    """
    key = table_key(target.table)
    before = tree.get(key)
    _refuse_foreign(before, target)
    if target.mode == "delete":
        raise Internal("keys-staged-as-rows", f"{target.table} would have keys for rows.")
    tables = wiring.lake.tables
    sort_by = _sort(before, target, schema.names)
    plan = tables.plan_write(
        before,
        schema,
        table=target.table,
        mode=target.mode,
        prefix=target.prefix,
        partition=target.partition_by,
        sort_by=sort_by,
        key_columns=target.key,
        staged_input=target.mode == "upsert",
    )
    written = session.write(rows, plan.target, mask=mask.query if mask else None)
    written = _with_unread(written, unread())
    files = tables.collect(written.paths, plan.columns, key_columns=plan.bounded)
    data: Operation
    match target.mode:
        case "replace":
            data = Replace(files=files, schema=plan.columns, sort_by=sort_by)
        case "append":
            data = Append(
                files=files,
                key_columns=target.key,
                footprint=footprint(files),
                sort_by=sort_by,
            )
        case "upsert":
            data = Upsert(
                files=files,
                key_columns=target.key,
                columns=tuple(schema.names),
                footprint=footprint(files, target.key),
                sort_by=sort_by,
            )
    operations = (*plan.operations, *leading, *settled(written, files), data)
    done = apply_operations(
        wiring,
        before,
        operations,
        key=key,
        prefix=target.prefix,
        owner=_owner(before, target),
        check_keys=True,
    )
    changes: dict[str, Entry | None] = {key: done.entry}
    writes = [_write(key, operations, before, done.entry, done.rows)]
    aside = set_aside(
        wiring,
        session,
        tree.get(table_key(quarantine_table(target.table))),
        _rejects(tree, target),
        written,
        mask.query.names if mask is not None else (),
    )
    if aside is not None:
        changes[aside.key] = aside.entry
        writes.append(aside.write)
    _note_contract(tree, target, changes, writes)
    names = mask.query.names if mask is not None else ()
    rejected = count_reasons(written.rejected, names) if written.rejected is not None else {}
    accepted = {name: count - rejected.get(name, 0) for name, count in written.violations.items()}
    deciding = mask.query.quarantine_bits if mask is not None else 0
    reasons = {
        n: rejected[n] for bit, n in enumerate(names) if deciding >> bit & 1 and n in rejected
    }
    return Output(
        changes=changes,
        writes=tuple(writes),
        rows_in=written.rows_read,
        rows=written.rows,
        rows_quarantined=written.rows_read - written.rows,
        violations=accepted,
        measures=_measures(mask, accepted, written) if target.mode == "replace" and mask else {},
        reasons={
            **reasons,
            **({"malformed": written.malformed.num_rows} if written.malformed is not None else {}),
        },
        schema_changes=() if before is None else tuple(_told(plan.operations)),
    )


def _with_unread(written: Written, unread: pa.Table | None) -> Written:
    if unread is None:
        return written
    known = written.malformed
    return replace(
        written,
        rows_read=written.rows_read + unread.num_rows,
        malformed=unread if known is None else pa.concat_tables([known, unread]),
    )


def _sort(before: Entry | None, target: Target, columns: Sequence[str]) -> tuple[str, ...]:
    """Give what rows are sorted by: by hand, a table is replaced in the order it had."""
    had = before.table.sort_by if before is not None and before.table is not None else ()
    if target.sort_by or target.mode != "replace" or not target.by_hand:
        return target.sort_by
    return had if {*columns}.issuperset(had) else ()


def footprint(files: Sequence[DataFile], columns: Sequence[str] | None = None) -> Footprint:
    """Give the range of each column over files, where every file knows its own."""
    return cover(
        {
            name: Range(low=low, high=high)  # type: ignore[arg-type]
            for name, (low, high) in file.bounds.items()
            if columns is None or name in columns
        }
        for file in files
    )


def _measures(
    mask: IngestMask, accepted: Mapping[str, int], written: Written
) -> Mapping[str, Measure]:
    """Give what is measured of the accepted rows.

    Where rows were set aside, what is violated is asked again: a key counted as doubled may be
    single now, and the examples are of rows that came in, not of those that stayed.
    """
    found = mask.measures(accepted, written.examples)
    if written.rows == written.rows_read:
        return found
    return {name: measure for name, measure in found.items() if not measure.violations}


def _refuse_foreign(before: Entry | None, target: Target) -> None:
    owner = before.table.owner if before and before.table else None
    if (
        target.mode == "replace"
        and owner not in {None, target.pipeline}
        and not (target.by_hand or target.takes_over)
    ):
        raise Refused(
            "table-owned",
            f"{target.table} belongs to the pipeline {owner}; "
            f"{target.pipeline} may not replace it.",
            hint="Write to another table, or make it yours:  "
            f"headgate run {target.pipeline} --take-over {target.table}",
            table=target.table,
            owner=owner,
        )


def _rejects(tree: Tree, target: Target) -> Rejects:
    before = tree.get(table_key(quarantine_table(target.table)))
    return Rejects(
        table=target.table,
        mode=target.mode,
        contract=target.spec.digest if target.spec else "",
        run=target.run,
        step=target.step,
        attempt=target.attempt,
        prefix=target.prefix,
        owner=_owner(before, target),
        replayed=target.replayed,
    )


def _owner(before: Entry | None, target: Target) -> str | None:
    known = before.table.owner if before and before.table else None
    if target.takes_over and target.mode == "replace":
        return target.pipeline
    return known if known is not None or target.by_hand else target.pipeline


def _write(
    key: str,
    operations: Sequence[Operation],
    before: Entry | None,
    entry: Entry | None,
    rows: RowCounts | None = None,
) -> Write:
    return Write(
        key=key,
        operations=tuple(operations),
        before=before.content if before else None,
        content=entry.content if entry else None,
        rows=rows,
    )


def _told(operations: Sequence[Operation]) -> list[str]:
    told: list[str] = []
    for operation in operations:
        if isinstance(operation, AddColumn):
            told.append(f"added {operation.column.name} {plain(operation.column.type)}")
        elif isinstance(operation, ChangeSchema):
            told.append(operation.what)
    return told


def contract_output(tree: Tree, target: Target) -> Output:
    """Give the output of a table that stays as it is, and whose contract may have changed."""
    changes: dict[str, Entry | None] = {}
    writes: list[Write] = []
    _note_contract(tree, target, changes, writes)
    return Output(changes=changes, writes=tuple(writes), rows_in=0, rows=0)


def _note_contract(
    tree: Tree, target: Target, changes: dict[str, Entry | None], writes: list[Write]
) -> None:
    """Set, change or remove the table's contract, and the index of its references."""
    key = contract_key(target.table)
    before = tree.get(key)
    spec = target.spec
    content = spec.digest if spec else None
    if (before.content if before else None) == content:
        return
    old = ContractSpec.from_json(before.data or "").references if before else ()
    new = spec.references if spec else ()
    entries: dict[str, Entry | None] = {
        key: Entry(kind="contract", content=spec.digest, data=spec.to_json()) if spec else None
    }
    for parent in old:
        entries[reference_key(parent, target.table)] = None
    for parent in new:
        entries[reference_key(parent, target.table)] = Entry(kind="contract", content=target.table)
    for name, entry in entries.items():
        known = tree.get(name)
        if (known.content if known else None) != (entry.content if entry else None):
            changes[name] = entry
            put = Put(content=entry.content if entry else None)
            writes.append(_write(name, (put,), known, entry))


def reference_key(parent: str, child: str) -> str:
    """Give the key that says a table's contract looks up in another, by the parent first."""
    return f"reference/{parent}/{child}"
