"""Records become tables: kept, looked at as a whole, decided, and selected once per table.

A source's records are JSON texts. They are kept where the engine can spill them, the shape of all
of them is found, a pure function decides columns and types (``headgate.records``), and what comes
out is a query whose rows go the way of all rows: contract, quarantine, staged files.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, TypeAlias

import pyarrow as pa

from headgate import source_columns
from headgate.contracts import CastPlan, arrow_schema, cast_plan, source_schema, text_cast
from headgate.engines import Session, Sql
from headgate.errors import Internal, Invalid
from headgate.lake import Append, Delete, Operation, Replace, Tree, Upsert, table_key
from headgate.names import quote
from headgate.records import (
    UNTAGGED_JSON,
    Level,
    Questions,
    RecordPlan,
    RecordRules,
    Shape,
    are_fields,
    child_columns,
    child_shape,
    decide,
    differences,
    exploded,
    is_carried_whole,
    place_of,
    pruned,
    questions,
    select,
)
from headgate.runs.arrivals import Arrivals
from headgate.runs.deletions import delete_keys
from headgate.runs.kept_records import RECORDS, ROOT, KeptRecords
from headgate.runs.lacking import lacking_fields, told_of_lacking
from headgate.runs.outputs import Output, Target, Unread, footprint, mask_of, none_unread, stage
from headgate.runs.record_tables import RecordTable
from headgate.runs.wiring import Wiring

_ACCEPTED: Final = "_hg_accepted"
_ID: Final = "_record_id"
_KEPT: Final = "_hg_kept"
_SAMPLE: Final = 1_000

_Answers: TypeAlias = dict[tuple[tuple[str, ...], str], int]


def write_records(
    wiring: Wiring, session: Session, tree: Tree, target: Target, arrivals: Arrivals
) -> Output | None:
    """Write a source's records: a table, and those that its lists become, in one output.

    None where there are none, and nothing says which columns the table has.

    Raises:
        Invalid: ``records-conflict``, ``records-drifted``, ``records-too-wide``,
            ``records-empty``, ``malformed-record``, ``nested-path``; what ``write_raw`` raises.
        Internal: ``rows-lost``. Whatever the source raised.
    """
    return _Normalising(wiring, session, tree, target, arrivals).write()


class _Normalising:
    """One reading's records on their way into tables."""

    def __init__(
        self, wiring: Wiring, session: Session, tree: Tree, target: Target, arrivals: Arrivals
    ) -> None:
        self._wiring = wiring
        self._session = session
        self._tree = tree
        self._target = target
        self._arrivals = arrivals
        self._rules: RecordRules = target.rules
        self._kept = KeptRecords(session, arrivals, table=target.table)
        self._relations = 0

    # -- the walk

    def write(self) -> Output | None:
        shape = self._kept.shape()
        if shape == Shape():
            return self._without_records()
        root = RecordTable(target=self._target, relation=RECORDS, shape=shape)
        self._branch(root)
        tables = list(root.all())
        for table in tables:
            table.plan = self._decided(table)
        self._set_aside(tables)
        output = self._write_root(root)
        arrived = self._arrivals.rows + self._arrivals.unread_rows
        if self._target.mode != "delete" and output.rows_in != arrived:
            raise Internal(
                "rows-lost",
                f"{arrived} records arrived and {output.rows_in} were accepted or set aside on "
                f"their way into {self._target.table}.",
                hint="Nothing was published. Please report this with the source's kind.",
                table=self._target.table,
            )
        return self._with_children(root, output)

    def _without_records(self) -> Output | None:
        """Give the output of no sound record: a table that grows stays, a replaced one is emptied.

        Raises:
            Invalid: ``malformed-record``: there were records, and none of them was sound.
        """
        target, aside = self._target, self._kept.unread()
        before = self._tree.get(table_key(target.table))
        if aside is not None and (before is None or target.mode in {"replace", "delete"}):
            self._refuse_unread(aside)
        if target.mode == "delete":
            return Output(changes={}, writes=(), rows_in=0, rows=0)
        if before is None and target.spec is None:
            return None
        if before is not None and aside is None and target.mode != "replace":
            return Output(changes={}, writes=(), rows_in=0, rows=0)
        output = self._emptied(target, self._kept.unread)
        for table in self._rules.nested.values() if target.mode == "replace" else ():
            if self._tree.get(table_key(table)) is not None:
                output = _joined(output, self._emptied(_child_of(target, table)))
        return output

    def _emptied(self, target: Target, unread: Unread = none_unread) -> Output:
        before = self._tree.get(table_key(target.table))
        if target.spec is not None:
            schema = arrow_schema(target.spec)
        elif before is not None:
            schema = self._wiring.lake.tables.scan_files(before, ()).schema
        else:
            raise Internal("no-columns", f"Nothing says which columns {target.table} has.")
        rows = schema.empty_table()
        return stage(
            self._wiring, self._session, self._tree, target, rows, schema=schema, unread=unread
        )

    def _branch(self, table: RecordTable, prefix: str = "") -> None:
        """Split off what becomes tables of its own."""
        nested = {
            path.removeprefix(prefix): name
            for path, name in self._rules.nested.items()
            if path.startswith(prefix)
        }
        outer = [
            path for path in nested if not any(path.startswith(f"{other}.") for other in nested)
        ]
        for path in outer:
            found = place_of(table.shape, path, table.target.table)
            child = RecordTable(
                target=_child_of(self._target, nested[path]),
                relation=table.relation,
                shape=child_shape(found),
                parent=table,
            )
            table.children.append(child)
            table.shape = pruned(table.shape, path)
            if self._is_read_in_passing(child, found, f"{prefix}{path}."):
                child.path = path
                child.of_values = "object" not in (found.element or found).kinds
                continue
            child.relation = f"{RECORDS}_{self._number()}"
            is_deeper = table.parent is not None
            text = exploded(self._kept.live(table.relation), path, is_deeper=is_deeper)
            self._session.keep(child.relation, Sql(text=text))
            self._branch(child, f"{prefix}{path}.")

    def _is_read_in_passing(self, child: RecordTable, found: Shape, prefix: str) -> bool:
        """Whether elements need not be kept as records of their own."""
        rules = self._rules
        return (
            child.depth == 1
            and rules.on_conflict != "variant"
            and not any(path.startswith(prefix) for path in rules.nested)
            and all(are_fields([key]) for key in prefix[:-1].split("."))
            and is_carried_whole(found)
        )

    def _number(self) -> int:
        self._relations += 1
        return self._relations

    # -- decided

    def _decided(self, table: RecordTable) -> RecordPlan | None:
        target = table.target
        if table.parent is not None and table.shape.holds_nothing:
            return None
        entry = self._tree.get(table_key(target.table))
        present, taken = None, self._own_columns(table)
        if entry is not None and entry.table is not None:
            whole = self._wiring.lake.tables.scan_files(entry, ()).schema
            present = pa.schema([field for field in whole if field.name not in taken])
        declared = source_schema(target.spec) if target.spec is not None else None
        if target.mode == "delete":
            key = set(target.key)
            fields = {k: s for k, s in table.shape.fields.items() if k in key}
            table.shape = replace(table.shape, fields=fields)
        level = Level(
            table=target.table,
            shape=table.shape,
            rules=self._rules,
            cast=text_cast,
            present=present,
            declared=declared,
            replaces=target.mode == "replace",
            sets_all=target.mode == "upsert" and table.parent is None,
            taken=taken,
            tagged=self._kept.tagged,
        )
        return decide(level, self._answers(table, level))

    def _own_columns(self, table: RecordTable) -> tuple[str, ...]:
        """Give the columns of a table that come from no key of its records."""
        if table.parent is None:
            return (_ID,) if self._makes_ids(table) else ()
        outer = ("_parent_index",) if table.depth > 1 else ()
        return (*child_columns(self._target.key), *outer, "_index")

    def _answers(self, table: RecordTable, level: Level) -> _Answers:
        """Count what fails each question: in a sample first, then in all where it did not."""
        found = questions(level)
        natural = [name for name in found.asked if name[1] != "misfits"]
        answers = self._counted(table, found, natural, limit=_SAMPLE)
        left = [name for name in found.asked if not answers.get(name)]
        return answers | self._counted(table, found, left)

    def _counted(
        self,
        table: RecordTable,
        found: Questions,
        names: Sequence[tuple[tuple[str, ...], str]],
        *,
        limit: int | None = None,
    ) -> _Answers:
        if not names:
            return {}
        items = ", ".join(f"count_if({found.asked[name]}) as c{n}" for n, name in enumerate(names))
        records = table.carried(self._kept, found.carried_for(names), limit=limit)
        counts = self._session.scalars(f"select {items} from {records}")
        return {name: int(str(counts[f"c{n}"])) for n, name in enumerate(names)}

    # -- set aside

    def _set_aside(self, tables: list[RecordTable]) -> None:
        """Find the records with a value that no column can hold, where that is the policy."""
        self._kept.set_aside(
            {
                _dotted(table, name): f"select {ROOT} from "
                f"{table.carried(self._kept, table.plan.carried)} where {sql}"
                for table in tables
                if table.plan is not None
                for name, sql in table.plan.aside
            }
        )

    # -- written

    def _write_root(self, root: RecordTable) -> Output:
        target, plan = root.target, root.made
        records = root.carried(self._kept, plan.carried)
        rows = Sql(text=select(plan, records, also=self._beside(root)))
        if target.mode == "delete":
            output = delete_keys(self._wiring, self._session, self._tree, target, rows)
            self._refuse_unread(self._kept.unread())
            return output
        given = self._session.schema(rows)
        unread: Unread = self._kept.unread
        if target.spec is None:
            own = pa.schema([f for f in given if f.name not in _HIDDEN])
            return self._told(
                plan,
                stage(
                    self._wiring,
                    self._session,
                    self._tree,
                    target,
                    rows,
                    schema=own,
                    unread=unread,
                ),
            )
        casts = self._casts(root, given)
        casts.refuse()
        typed = Sql(text=casts.select(f"({rows.text})"))
        mask = mask_of(
            self._wiring, self._session, self._tree, target, target.spec, casts.columns, casts
        )
        output = stage(
            self._wiring,
            self._session,
            self._tree,
            target,
            typed,
            schema=casts.schema,
            mask=mask,
            unread=unread,
        )
        before = self._tree.get(table_key(target.table))
        replaces = target.mode == "replace"
        if replaces and before is not None:
            present = self._wiring.lake.tables.scan_files(before, ()).schema
            drifts = differences(present, {field.name: field.type for field in casts.schema})
            output = replace(output, schema_changes=(*output.schema_changes, *drifts))
        lacking = lacking_fields(target.spec, root.shape)
        return told_of_lacking(target, output, lacking, is_new=replaces or before is None)

    def _casts(self, root: RecordTable, given: pa.Schema) -> CastPlan:
        if root.target.spec is None:
            raise Internal("records-undecided", f"{root.target.table} has no contract to cast to.")
        return cast_plan(root.target.spec, pa.schema([f for f in given if f.name != ROOT]))

    def _beside(self, root: RecordTable) -> tuple[str, ...]:
        """Give what goes along with a row: where it stands, its text, its own key where needed."""
        record = "_hg_record"
        text = UNTAGGED_JSON.replace("{0}", record) if self._kept.tagged else record
        own = self._own_id(root)
        beside = () if root.target.mode == "delete" else ("_hg_position", f"{text} as _hg_record")
        return (*own, *beside)

    def _own_id(self, root: RecordTable) -> tuple[str, ...]:
        return (f"left(sha256(_hg_record), 32) as {_ID}",) if self._makes_ids(root) else ()

    def _makes_ids(self, root: RecordTable) -> bool:
        return bool(root.children) and not root.target.key

    def _told(self, plan: RecordPlan, output: Output) -> Output:
        return replace(output, schema_changes=(*output.schema_changes, *plan.drifts))

    def _refuse_unread(self, unread: pa.Table | None) -> None:
        """Refuse records that are none, where they cannot be set aside.

        Raises:
            Invalid: ``malformed-record``.
        """
        if unread is None:
            return
        first = unread.slice(0, 1).to_pylist()[0]
        what = "which rows to delete" if self._target.mode == "delete" else "what the columns are"
        raise Invalid(
            "malformed-record",
            f"{first['_position'] or 'A record'} for {self._target.table} cannot be read, so that "
            f"nobody knows {what}: {first['_reason']}",
            hint="Mend the record.",
            table=self._target.table,
            position=first["_position"],
        )

    # -- children

    def _with_children(self, root: RecordTable, output: Output) -> Output:
        if not root.children or root.target.mode == "delete":
            return output
        parents = self._parents(root, output)
        for table in list(root.all())[1:]:
            done = self._write_child(table, parents)
            if done is not None:
                told = (f"{table.target.table}: {change}" for change in done.schema_changes)
                output = _joined(output, replace(done, schema_changes=tuple(told)))
        return output

    def _parents(self, root: RecordTable, output: Output) -> str:
        """Give the keys of the rows that were accepted, and their records, as a relation."""
        key = root.target.key or (_ID,)
        names = child_columns(root.target.key)
        plan = root.made
        also = (*self._own_id(root), ROOT, f"_hg_record as {_KEPT}")
        if root.target.spec is None:
            plan = plan.of(key)
            text = select(plan, root.carried(self._kept, plan.carried), also=also)
        else:
            whole = select(plan, root.carried(self._kept, plan.carried), also=self._beside(root))
            casts = self._casts(root, self._session.schema(Sql(text=whole)))
            items = tuple((name, sql) for name, sql in casts.items if name in key)
            asked = " ".join(sql for _, sql in items)
            tried = tuple((name, sql) for name, sql in casts.tried if quote(name) in asked)
            asked = " ".join((asked, *(sql for _, sql in tried)))
            plan = plan.of([each.name for each in plan.columns if quote(each.name) in asked])
            records = root.carried(self._kept, plan.carried)
            hidden = tuple((name, quote(name)) for name in (ROOT, _KEPT))
            casts = replace(casts, items=(*items, *hidden), tried=tried)
            text = casts.select(f"({select(plan, records, also=also)})")
        shown = ", ".join(f"{quote(k)} as {quote(n)}" for k, n in zip(key, names, strict=True))
        text = f"select {shown}, {ROOT}, {_KEPT} as _hg_record from ({text})"
        unread = self._kept.unread()
        if output.rows_quarantined > (unread.num_rows if unread is not None else 0):
            self._bind_accepted(root, output)
            same = " and ".join(
                f"a.{quote(k)} = p.{quote(n)}" for k, n in zip(key, names, strict=True)
            )
            text = (
                f"select * from ({text}) p where exists (select 1 from {_ACCEPTED} a where {same})"
            )
        return f"({text})"

    def _bind_accepted(self, root: RecordTable, output: Output) -> None:
        name = table_key(root.target.table)
        entry = output.changes[name]
        write = next(each for each in output.writes if each.key == name)
        files = [
            file
            for operation in write.operations
            if isinstance(operation, Append | Replace | Upsert)
            for file in operation.files
        ]
        if entry is not None:
            self._session.bind({_ACCEPTED: self._wiring.lake.tables.scan_files(entry, files)})

    def _write_child(self, table: RecordTable, parents: str) -> Output | None:
        target, names = table.target, child_columns(self._target.key)
        before = self._tree.get(table_key(target.table))
        if table.plan is None:
            return self._without_rows(table, parents, names)
        own = self._own_columns(table)
        given = {"_parent_index": "_hg_outer", "_index": "_hg_index"}
        places = [f"{given.get(name, quote(name))} as {quote(name)}" for name in own]
        plan = table.plan
        records = table.under(self._kept, parents, tuple(map(quote, names)))
        text = select(plan, records, also=tuple(places))
        shown = ", ".join(quote(name) for name in (*own, *(each.name for each in plan.columns)))
        rows = Sql(text=f"select {shown} from ({text})")
        leading: tuple[Operation, ...] = ()
        if target.mode == "upsert" and before is not None:
            leading = (self._gone(target, parents, names),)
        mode = "append" if target.mode == "upsert" else target.mode
        output = stage(
            self._wiring,
            self._session,
            self._tree,
            replace(target, mode=mode),
            rows,
            schema=self._session.schema(rows),
            leading=leading,
        )
        return self._told(plan, output)

    def _without_rows(
        self, table: RecordTable, parents: str, names: tuple[str, ...]
    ) -> Output | None:
        """Write a child table that no record has rows for: those of before may have to go."""
        target = table.target
        before = self._tree.get(table_key(target.table))
        if before is None or target.mode == "append":
            return None
        if target.mode == "replace":
            return self._emptied(target)
        shown = ", ".join(quote(name) for name in names)
        keys = Sql(text=f"select distinct {shown} from {parents}")
        gone = replace(target, mode="delete", key=names)
        return delete_keys(self._wiring, self._session, self._tree, gone, keys)

    def _gone(self, target: Target, parents: str, names: tuple[str, ...]) -> Delete:
        """Give the deletion of the rows that the parents had before."""
        tables = self._wiring.lake.tables
        before = self._tree.get(table_key(target.table))
        shown = ", ".join(quote(name) for name in names)
        keys = Sql(text=f"select distinct {shown} from {parents}")
        plan = tables.plan_write(
            before,
            self._session.schema(keys),
            table=target.table,
            mode="upsert",
            prefix=target.prefix,
            key_columns=names,
            staged_input=True,
        )
        written = self._session.write(keys, plan.target)
        files = tables.collect(written.paths, plan.columns, key_columns=names)
        return Delete(key_columns=names, files=files, footprint=footprint(files, names))


_HIDDEN: Final = (*source_columns.ALL, ROOT)


def _child_of(target: Target, table: str) -> Target:
    """Give the target of a child table: it has no contract, no key and no order of its own."""
    return replace(
        target, table=table, key=(), partition_by=(), sort_by=(), spec=None, replayed=None
    )


def _joined(output: Output, child: Output) -> Output:
    """Give the output of a step with a further table's; the rows are those of its own table."""
    return replace(
        output,
        changes={**output.changes, **child.changes},
        writes=(*output.writes, *child.writes),
        schema_changes=(*output.schema_changes, *child.schema_changes),
    )


def _dotted(table: RecordTable, column: str) -> str:
    return column if table.parent is None else f"{table.target.table}.{column}"
