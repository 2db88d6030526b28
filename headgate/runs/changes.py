"""Operations of a source, applied: folded by key, then one deletion and one upsert of its table.

The rows may be more than memory holds: they are kept where the engine can spill them; only keys and
what was done to them are looked at here. What decides is ``folding.py``.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from headgate import source_columns as reserved
from headgate.contracts import ContractSpec, cast_plan
from headgate.engines import Rows, Session, Sql, Written
from headgate.errors import Invalid
from headgate.filesets import DataFile
from headgate.lake import Delete, Operation, Read, Tree, table_key
from headgate.names import literal, quote
from headgate.runs.arrivals import UNREAD, Arrivals
from headgate.runs.deletions import stage_keys
from headgate.runs.folding import NONE, Folded, Numbers, Operations, fold
from headgate.runs.outputs import Output, Target, mask_of, none_unread, stage
from headgate.runs.overtaken import without_overtaken
from headgate.runs.spool import Spool
from headgate.runs.typed_rows import ColumnsGrew, TypedRows
from headgate.runs.wiring import Wiring
from headgate.sources import Batch

Whole: TypeAlias = Callable[[Wiring, Session, Tree, Target, Arrivals], Output]
"""Writes rows that are the whole table."""

CHANGES: Final = "_hg_changes"
"""The operations as they came, numbered."""
FOLDED: Final = "_hg_folded"
"""One row for each key that has one after all of them."""

_NUMBER: Final = "_hg_n"
_LOST: Final = "_hg_lost"
_CODE: Final = "_hg_code"
_AT: Final = "_hg_at"
_OP: Final = "_hg_op"
_ORDER: Final = "_hg_ordered"
_PLAN: Final = "_hg_plan"
_WANTED: Final = "_hg_wanted"
_BASE: Final = "_hg_base"
_NOW: Final = "_hg_now"
_GONE: Final = "_hg_gone"
_ACCEPTED: Final = "_hg_accepted"
_ARRIVING: Final = "_hg_arriving"

_UPSERT, _DELETE, _TRUNCATE = "upsert", "delete", "truncate"


def write_changes(
    wiring: Wiring,
    session: Session,
    tree: Tree,
    target: Target,
    arrivals: Arrivals,
    *,
    whole: Whole,
) -> Output:
    """Apply a source's operations to its table, in their order.

    Rows without operations behind a truncation are the table: what came before them is void, and
    they replace it. A row that the contract sets aside, or whose untold values nobody knows, goes
    to quarantine, and what the table had under its key goes, too.

    Raises:
        Invalid: ``operations-need-key``, ``unknown-operation``, ``schema-key-missing``,
            ``null-key``; what ``write_raw`` raises. Whatever the source raised.
    """
    if target.mode != "upsert" or not target.key:
        raise Invalid(
            "operations-need-key",
            f"The source of {target.table} says what was done to rows: {target.table} must have a "
            "key to find them by.",
            hint='Give the step key=... and mode="upsert".',
            table=target.table,
        )
    operations = _Operations(arrivals)
    with closing(TypedRows(operations)) as typed:
        schema = _keep(session, typed)
        if operations.rest is not None:
            arrivals.begin_at(operations.rest)
            return whole(wiring, session, tree, replace(target, mode="replace"), arrivals)
        return _Applying(wiring, session, tree, target, arrivals, schema).output()


class _Operations:
    """The batches of arrivals that are operations; ``rest`` is the first that is none."""

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self.rest: Batch | None = None

    @property
    def batches(self) -> int:
        """How many were taken."""
        return self._arrivals.batches

    def spool(self) -> Spool:
        """Give a place on disk."""
        return self._arrivals.spool()

    def __iter__(self) -> Iterator[Batch]:
        for batch in self._arrivals:
            names = batch.rows.column_names  # none: only a cursor
            if names and reserved.OPERATION not in names:
                self.rest = batch
                return
            yield batch


def _keep(session: Session, typed: TypedRows) -> pa.Schema:
    """Keep all operations, numbered in their order; give their columns."""
    while True:
        rows = typed.rows()
        if isinstance(rows, pa.Table):
            numbers = pa.array(np.arange(rows.num_rows, dtype=np.int64))
            session.bind({CHANGES: rows.append_column(_NUMBER, numbers)})
            return rows.schema
        try:
            session.bind({_ARRIVING: _numbered(rows)})
            session.keep(CHANGES, Sql(text=f"select * from {_ARRIVING}"))
        except Exception as echo:
            if isinstance(typed.raised, ColumnsGrew):
                continue
            if typed.raised is not None and typed.raised is not echo:
                raise typed.raised  # noqa: B904 - the engine's error is only its echo
            raise
        return rows.schema


def _numbered(rows: pa.RecordBatchReader) -> pa.RecordBatchReader:
    schema = rows.schema.append(pa.field(_NUMBER, pa.int64()))

    def batches() -> Iterator[pa.RecordBatch]:
        first = 0
        for batch in rows:
            numbers = pa.array(np.arange(first, first + batch.num_rows, dtype=np.int64))
            first += batch.num_rows
            yield pa.RecordBatch.from_arrays([*batch.columns, numbers], schema=schema)

    return pa.RecordBatchReader.from_batches(schema, batches())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What is known of the operations without their rows.

    ``keys`` has two entries for each operation: the key it has, and the key it had. ``emptied``
    says that a truncation took what was there before. ``numbers`` are those of the operations that
    count, in ``CHANGES``; ``of_code`` leads from a key's number to one of its entries in ``keys``.
    """

    operations: Operations
    keys: pa.Table
    numbers: Numbers
    of_code: Numbers
    emptied: bool


class _Applying:
    """Operations on one table, kept under ``CHANGES``."""

    def __init__(
        self,
        wiring: Wiring,
        session: Session,
        tree: Tree,
        target: Target,
        arrivals: Arrivals,
        schema: pa.Schema,
    ) -> None:
        self._wiring = wiring
        self._session = session
        self._tree = tree
        self._target = target
        self._arrivals = arrivals
        self._schema = schema
        self._before = tree.get(table_key(target.table))
        own = [field for field in schema if field.name not in reserved.ALL]
        self._own = [field.name for field in own]
        place = [f for f in schema if f.name == reserved.POSITION]
        self._plan = cast_plan(target.spec, pa.schema([*own, *place])) if target.spec else None
        if self._plan is not None:
            self._plan.refuse()
        self._raw = _raw_names(target.spec, self._own)
        self._keys = [self._raw.get(name, name) for name in target.key]
        missing = [name for name in self._keys if name not in self._own]
        if missing:
            raise Invalid(
                "schema-key-missing",
                f"The source of {target.table} has no column {', '.join(missing)} to find rows by.",
                hint="Columns: " + ", ".join(self._own),
                table=target.table,
                column=missing[0],
            )

    def output(self) -> Output:
        """Fold the operations and apply what is left."""
        told = self._told()
        folded = fold(told.operations, emptied=told.emptied)
        if not len(told.numbers) and not told.emptied and self._before is not None:
            aside = self._arrivals.unread()
            if aside is None:
                return Output(changes={}, writes=(), rows_in=0, rows=0)
        reads = self._fold_rows(told, folded)
        lost = self._lost()
        leading: list[Operation] = []
        if told.emptied and self._before is not None:
            leading.append(Delete(predicate="true"))
        output = self._staged(told, folded, lost, leading)
        return without_overtaken(
            self._wiring,
            self._session,
            self._tree,
            self._target,
            replace(output, reads=reads),
            touched=None if told.emptied else told.keys.drop_null(),
            names=dict(zip(self._target.key, self._keys, strict=True)),
        )

    # -- what was done

    def _told(self) -> _Told:
        session, names = self._session, self._schema.names
        given = {name: name in names for name in reserved.ALL}
        untold: list[str] = []
        if given[reserved.UNCHANGED]:
            asked = f"select distinct unnest({reserved.UNCHANGED}) as name from {CHANGES}"
            found = session.reader(Sql(text=asked)).read_all().column(0).to_pylist()
            untold = sorted(name for name in found if name in self._own)
        columns = [f"{_NUMBER}", f"{reserved.OPERATION} as {_OP}"]
        columns += [f"{reserved.ORDER} as {_ORDER}"] if given[reserved.ORDER] else []
        columns += [f"{quote(name)} as _hg_key{n}" for n, name in enumerate(self._keys)]
        if given[reserved.BEFORE]:
            columns.append(f"{reserved.BEFORE} is not null as _hg_moved")
            columns += [
                f"{reserved.BEFORE}.{quote(name)} as _hg_was{n}"
                for n, name in enumerate(self._keys)
            ]
        columns += [
            f"coalesce(list_contains({reserved.UNCHANGED}, {literal(name)}), false) "
            f"as _hg_untold{n}"
            for n, name in enumerate(untold)
        ]
        asked = f"select {', '.join(columns)} from {CHANGES}"
        told = session.reader(Sql(text=asked)).read_all()
        order = [_ORDER, _NUMBER] if given[reserved.ORDER] else [_NUMBER]
        told = told.sort_by([(name, "ascending") for name in order])
        told, emptied = _since_truncation(told, self._target.table)
        count = told.num_rows
        moved = _marks(told, "_hg_moved") if given[reserved.BEFORE] else np.zeros(count, bool)
        keys = {}
        for n, name in enumerate(self._keys):
            own = told.column(f"_hg_key{n}")
            was = pa.chunked_array([pa.nulls(count, own.type)])
            if given[reserved.BEFORE]:
                was = told.column(f"_hg_was{n}")
            keys[name] = pa.chunked_array([*own.chunks, *was.chunks], own.type)
        codes = _codes(list(keys.values()))
        of_code = np.full(int(codes.max(initial=0)) + 1, NONE, np.int64)
        entries = np.concatenate([count + np.flatnonzero(moved), np.arange(count)])
        of_code[codes[entries]] = entries
        return _Told(
            operations=Operations(
                keys=codes[:count],
                befores=np.where(moved, codes[count:], NONE),
                upserts=pc.equal(told.column(_OP), _UPSERT).to_numpy(),
                unchanged={name: _marks(told, f"_hg_untold{n}") for n, name in enumerate(untold)},
            ),
            keys=pa.table(keys),
            numbers=told.column(_NUMBER).to_numpy(),
            of_code=of_code,
            emptied=emptied,
        )

    # -- rows

    def _fold_rows(self, told: _Told, folded: Folded) -> tuple[Read, ...]:
        """Make ``FOLDED``; give the reads that it took."""
        place = [reserved.POSITION] if reserved.POSITION in self._schema.names else []
        columns = [*self._own, *place]
        numbers = told.numbers[folded.upserts]
        plan: dict[str, pa.Array] = {_AT: pa.array(numbers)}
        if not folded.origins:
            self._session.bind({_PLAN: pa.table(plan)})
            chosen = ", ".join(map(quote, columns))
            text = f"select {chosen}, null::varchar as {_LOST} from {CHANGES} semi join {_PLAN} "
            self._session.keep(FOLDED, Sql(text=f"{text} on {_NUMBER} = {_AT}"))
            return ()
        codes: list[Numbers] = []
        for n, origin in enumerate(folded.origins.values()):
            known = origin.operations != NONE
            from_changes = told.numbers[np.where(known, origin.operations, 0)]
            plan[f"o{n}"] = pa.array(from_changes, mask=~known)
            plan[f"r{n}"] = pa.array(origin.rows, mask=origin.rows == NONE)
            codes.append(origin.rows[origin.rows != NONE])
        wanted = np.unique(np.concatenate(codes))
        reads = self._bind_base(told, wanted, list(folded.origins))
        self._session.bind({_PLAN: pa.table(plan)})
        self._session.keep(FOLDED, Sql(text=self._joined(columns, list(folded.origins))))
        return reads

    def _joined(self, columns: Sequence[str], untold: Sequence[str]) -> str:
        """Give the query of the folded rows, each untold value from where it was told."""
        values, joins, lost = [], [], []
        place = {name: n for n, name in enumerate(untold)}
        for name in columns:
            n = place.get(name)
            if n is None:
                values.append(f"o.{quote(name)}")
                continue
            kind = f"o.{quote(name)}"
            values.append(
                f"case when p.o{n} is not null then s{n}.{quote(name)} "
                f"else cast_to_type(b{n}.{quote(name)}, {kind}) end as {quote(name)}"
            )
            joins.append(
                f"left join {CHANGES} s{n} on s{n}.{_NUMBER} = p.o{n} "
                f"left join {_BASE} b{n} on b{n}.{_CODE} = p.r{n}"
            )
            lost.append(f"when p.o{n} is null and b{n}.{_CODE} is null then {literal(name)}")
        return (
            f"select {', '.join(values)}, case {' '.join(lost)} end as {_LOST} "
            f"from {_PLAN} p join {CHANGES} o on o.{_NUMBER} = p.{_AT} {' '.join(joins)}"
        )

    def _bind_base(self, told: _Told, wanted: Numbers, untold: Sequence[str]) -> tuple[Read, ...]:
        """Make ``_BASE``: what the table had under some keys; give the read that it is."""
        names = {raw: name for name, raw in self._raw.items()}
        values = ", ".join(f"b.{quote(names.get(name, name))} as {quote(name)}" for name in untold)
        known = self._before is not None and self._before.table is not None
        there = {c.name for c in self._before.table.schema} if known else set()  # type: ignore[union-attr]
        if not len(wanted) or not {*self._target.key, *(names.get(n, n) for n in untold)} <= there:
            nothing = {name: self._schema.field(name).type for name in untold}
            self._session.bind(
                {_BASE: pa.schema({_CODE: pa.int64(), **nothing}.items()).empty_table()}
            )
            return ()
        assert self._before is not None  # noqa: S101 - for the type checker: it has columns
        keys = told.keys.take(pa.array(told.of_code[wanted]))
        self._session.bind(
            {
                _WANTED: keys.append_column(_CODE, pa.array(wanted)),
                _NOW: self._wiring.lake.tables.scan(self._before),
            }
        )
        typed = self._typed_keys(_WANTED, also=[_CODE])
        match = " and ".join(f"w.{quote(k)} = b.{quote(k)}" for k in self._target.key)
        self._session.keep(
            _BASE,
            Sql(text=f"select w.{_CODE}, {values} from ({typed}) w join {_NOW} b on {match}"),
        )
        return (Read(key=table_key(self._target.table), content=self._before.content),)

    def _lost(self) -> pa.Table | None:
        """Give the folded rows of which a value is known nowhere, as records that are no rows."""
        fields = ", ".join(f"{literal(name)}: {quote(name)}" for name in self._own)
        place = (
            quote(reserved.POSITION) if reserved.POSITION in self._schema.names else "null::varchar"
        )
        reason = "the change does not tell it, and the table does not have the row"
        text = (
            f"select {place} as _position, to_json({{{fields}}})::varchar as _raw, "
            f"{_LOST} as _column, {literal(reason)} as _reason "
            f"from {FOLDED} where {_LOST} is not null"
        )
        found = self._session.reader(Sql(text=text)).read_all()
        return found.cast(UNREAD) if found.num_rows else None

    # -- the table

    def _staged(
        self, told: _Told, folded: Folded, lost: pa.Table | None, leading: Sequence[Operation]
    ) -> Output:
        wiring, session, target = self._wiring, self._session, self._target
        rows: Rows
        relation = f"(select * exclude ({_LOST}) from {FOLDED} where {_LOST} is null)"
        mask = None
        if self._plan is None or target.spec is None:
            rows = Sql(text=f"select * from {relation}")
            schema = pa.schema([self._schema.field(name) for name in self._own])
        else:
            rows = Sql(text=self._plan.select(relation))
            schema = self._plan.schema
            mask = mask_of(
                wiring, session, self._tree, target, target.spec, self._plan.columns, self._plan
            )

        def unread() -> pa.Table | None:
            parts = [part for part in (self._arrivals.unread(), lost) if part is not None]
            return pa.concat_tables(parts) if parts else none_unread()

        def deletions(written: Written, files: tuple[DataFile, ...]) -> tuple[Operation, ...]:
            gone = told.keys.take(pa.array(told.of_code[folded.deleted]))
            refused = written.rejected is not None or lost is not None
            return (*leading, *self._deletion(gone, files, refused=refused))

        return stage(
            wiring,
            session,
            self._tree,
            target,
            rows,
            schema=schema,
            mask=mask,
            unread=unread,
            settled=deletions,
        )

    def _deletion(
        self, gone: pa.Table, files: tuple[DataFile, ...], *, refused: bool
    ) -> Iterator[Delete]:
        """Give the deletion of keys that have no row any more; of those that were refused, too."""
        before = self._before
        if before is None or not (gone.num_rows or refused):
            return
        session = self._session
        session.bind({_GONE: gone})
        text = self._typed_keys(_GONE)
        if refused:
            accepted = self._wiring.lake.tables.scan_files(before, files, columns=self._target.key)
            session.bind({_ACCEPTED: accepted})
            match = " and ".join(f"f.{quote(key)} = a.{quote(key)}" for key in self._target.key)
            text += (
                f" union all select * from ({self._typed_keys(FOLDED)}) f "
                f"anti join {_ACCEPTED} a on {match}"
            )
        known = " and ".join(f"{quote(key)} is not null" for key in self._target.key)
        rows = Sql(text=f"select * from ({text}) where {known}")
        yield stage_keys(self._wiring, session, before, self._target, rows)[0]

    def _typed_keys(self, relation: str, *, also: Sequence[str] = ()) -> str:
        """Give the query of a relation's keys as the table has them."""
        more = "".join(f", {name}" for name in also)
        if self._plan is None:
            return f"select {', '.join(map(quote, self._target.key))}{more} from {relation}"
        items = dict(self._plan.items)
        tried = [
            f"{text} as {quote(name)}"
            for name, text in self._plan.tried
            if name.partition(".")[2] in self._target.key
        ]
        keys = ", ".join(f"{items[key]} as {quote(key)}" for key in self._target.key)
        return f"select {keys}{more} from (select {', '.join(['*', *tried])} from {relation})"


def _since_truncation(told: pa.Table, table: str) -> tuple[pa.Table, bool]:
    """Give the operations after the last truncation, and whether there was one.

    Raises:
        Invalid: ``unknown-operation``.
    """
    words = told.column(_OP)
    known = pc.is_in(words, pa.array([_UPSERT, _DELETE, _TRUNCATE]))
    if not pc.all(pc.fill_null(known, fill_value=False), min_count=0).as_py():
        raise Invalid(
            "unknown-operation",
            f"The source of {table} names an operation that is none of upsert, delete, truncate.",
            hint="This is the source's fault: look at its column _hg_operation.",
            table=table,
        )
    found = np.flatnonzero(pc.equal(words, _TRUNCATE).to_numpy())
    return (told.slice(int(found[-1]) + 1), True) if len(found) else (told, False)


def _codes(columns: Sequence[pa.ChunkedArray]) -> Numbers:
    """Number keys of one column or several: equal keys, equal numbers, from 0 on."""
    codes: Numbers | None = None
    for column in columns:
        encoded = column.dictionary_encode("encode").combine_chunks()
        parts = [encoded] if isinstance(encoded, pa.DictionaryArray) else encoded.chunks
        found = (
            np.concatenate([part.indices.to_numpy() for part in parts]).astype(np.int64)
            if parts
            else np.zeros(0, np.int64)
        )
        if codes is None:
            codes = found
            continue
        _, codes = np.unique(codes * (int(found.max(initial=0)) + 1) + found, return_inverse=True)
    return codes if codes is not None else np.zeros(0, np.int64)


def _marks(table: pa.Table, name: str) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = table.column(name).to_numpy()
    return found


def _raw_names(spec: ContractSpec | None, own: Sequence[str]) -> Mapping[str, str]:
    """Give under which of the source's columns each of the contract's comes."""
    if spec is None:
        return {}
    folded = {name.casefold(): name for name in reversed(own)}
    return {
        column.name: column.source
        if column.source in own
        else folded.get(column.source.casefold(), column.source)
        for column in spec.columns
    }
