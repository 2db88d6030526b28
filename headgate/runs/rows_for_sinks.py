"""The rows that a commit brings to one table of a sink, read in bounded memory when asked for."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from headgate.engines import Rows as EngineRows
from headgate.engines import Session, Sql
from headgate.errors import Invalid
from headgate.filesets import DataFile, Scan
from headgate.lake import Commit, Entry, Tables, bounds_meet, operations_by_key, table_key
from headgate.names import quote
from headgate.pipelines import DeclaredSink, SinkTable
from headgate.runs.effects_at_sinks import (
    Difference,
    Dropped,
    Everything,
    Manner,
    Nothing,
    Rows,
    manner,
    meaning,
)
from headgate.runs.row_changes import table_change
from headgate.runs.wiring import Wiring
from headgate.sinks import Effect, Reader, TableDelivery

if TYPE_CHECKING:
    import pyarrow as pa


def table_delivery(
    wiring: Wiring,
    session: Session,
    sink: DeclaredSink,
    declared: SinkTable,
    *,
    commit: Commit,
    number: int,
    is_new: bool,
    is_whole: bool = False,
) -> TableDelivery | None:
    """Give what a commit makes of a table at a sink; None where that is nothing.

    ``number`` tells the names that are bound in the session apart. ``is_new`` says that the
    destination has nothing of the table yet, ``is_whole`` that it takes a changed table only as a
    whole. Rows are read while the session is open.

    Raises:
        Refused: ``sink-table-gone``, ``sink-column-gone``, ``sink-only-inserts``.
        Invalid: ``sink-key-missing``, ``sink-key-unknown``, ``sink-key-doubled``,
            ``sink-key-null``.
    """
    lake, key = wiring.lake, table_key(declared.table)
    after = lake.tree(commit).get(key)
    parent = None if is_new or commit.parent is None else lake.commit(commit.parent)
    before = lake.tree(parent).get(key) if parent is not None else None
    operations = operations_by_key(commit.record.steps).get(key, ())
    body = after.table if after is not None else None
    how = manner(sink.name, declared, body) if body is not None else None
    change = table_change(lake.tables, before, after, operations)
    found = meaning(
        declared,
        how,
        change,
        before=before,
        after=after,
        operations=operations,
        changes=sink.changes,
        sink=sink.name,
        commit=commit,
    )
    if isinstance(found, Nothing):
        return None
    if isinstance(found, Dropped) or after is None or how is None:
        return _dropped(lake.tables, declared, before)
    if is_whole and not isinstance(found, Everything):
        found = Everything()
    made = _Made(lake.tables, session, after, f"_hg_sink_{number}")
    return made.delivery(sink, declared, how, found, before, commit)


class _Made:
    """A table's delivery in the making, on a session."""

    def __init__(self, tables: Tables, session: Session, after: Entry, prefix: str) -> None:
        self._tables = tables
        self._session = session
        self._after = after
        self._prefix = prefix
        self._schema = tables.scan_files(after, ()).schema
        self._columns = ", ".join(quote(name) for name in self._schema.names)

    def delivery(
        self,
        sink: DeclaredSink,
        declared: SinkTable,
        how: Manner,
        found: Rows | Difference | Everything,
        before: Entry | None,
        commit: Commit,
    ) -> TableDelivery:
        """Give what is delivered; rows that are known by a key are looked at before."""
        whole = isinstance(found, Everything)
        gone: tuple[str, ...] = ()
        deleted: Reader | None = None
        effect: Effect = "upsert" if how.mode == "upsert" else "insert"
        rows: EngineRows
        if isinstance(found, Rows):
            rows = self._tables.scan_files(self._after, found.files)
        elif isinstance(found, Difference):
            rows, deleted = self._difference(found, before, how.key)
        else:
            rows = self._tables.scan(self._after)
            gone = found.gone
            if gone or how.mode == "replace":
                effect = "replace"
        if how.mode == "upsert":
            self._refuse_bad_keys(rows, how.key, sink, declared, commit)
        return TableDelivery(
            table=declared.table,
            to=declared.to,
            effect=effect,
            schema=self._schema,
            rows=self._reader(rows, self._schema),
            key=how.key if how.mode == "upsert" else (),
            deleted=deleted,
            whole=whole,
            gone=gone,
            new=self._new(before),
        )

    def _new(self, before: Entry | None) -> tuple[str, ...]:
        """Give the columns that the table did not have before."""
        if before is None:
            return ()
        had = self._tables.scan_files(before, ()).schema.names
        return tuple(name for name in self._schema.names if name not in had)

    def _difference(
        self, found: Difference, before: Entry | None, key: Sequence[str]
    ) -> tuple[Sql, Reader]:
        """Compare what went with what came; both are computed once, and kept in the session."""
        import pyarrow as pa  # noqa: PLC0415 - runs with nothing to do come by here

        if found.went is None or found.came is None:
            went = self._tables.scan(before) if before is not None else self._scan(())
            came, kept = self._tables.scan(self._after), self._scan(())
        else:
            went, came = self._scan(found.went), self._scan(found.came)
            kept = self._scan(_meeting(found.kept, found.went, key))
        self._bind({"went": went, "came": came, "kept": kept})
        keys = ", ".join(quote(name) for name in key)
        self._session.keep(
            self._name("rows"),
            Sql(
                text=f"select {self._columns} from {self._name('came')} except all"
                f" select {self._columns} from {self._name('went')}"
            ),
        )
        self._session.keep(
            self._name("gone"),
            Sql(
                text=f"select {keys} from {self._name('went')} except"
                f" select {keys} from {self._name('came')} except"
                f" select {keys} from {self._name('kept')}"
            ),
        )
        schema = pa.schema([self._schema.field(name) for name in key])
        gone = Sql(text=f"select {keys} from {self._name('gone')}")
        rows = Sql(text=f"select {self._columns} from {self._name('rows')}")
        return rows, self._reader(gone, schema)

    def _refuse_bad_keys(
        self,
        rows: EngineRows,
        key: Sequence[str],
        sink: DeclaredSink,
        declared: SinkTable,
        commit: Commit,
    ) -> None:
        if isinstance(rows, Scan):
            self._bind({"rows": rows})
        keys = ", ".join(quote(name) for name in key)
        null = " or ".join(f"{quote(name)} is null" for name in key)
        counts = self._session.scalars(
            f"select count(*) filter (where {null}) as nulls,"
            f" count(*) - (select count(*) from (select distinct {keys}"
            f" from {self._name('rows')})) as doubled from {self._name('rows')}"
        )
        nulls, doubled = int(str(counts["nulls"])), int(str(counts["doubled"]))
        if not nulls and not doubled:
            return
        columns, short = ", ".join(key), commit.id[:12]
        readers = f"Those of {declared.to} see what was delivered before it."
        hint = 'Name columns that tell rows apart as key= of the sink, or take mode="replace".'
        facts = {"sink": sink.name, "table": declared.table, "commit": commit.id}
        if nulls:
            raise Invalid(
                "sink-key-null",
                f"The sink {sink.name} knows rows of {declared.table} by {columns}: {nulls} of"
                f" those that commit {short} brings have no value there.",
                readers=readers,
                hint=hint,
                **facts,
            )
        raise Invalid(
            "sink-key-doubled",
            f"The sink {sink.name} knows rows of {declared.table} by {columns}: {doubled} of"
            f" those that commit {short} brings are equal to another one there.",
            readers=readers,
            hint=hint,
            **facts,
        )

    def _scan(self, files: Sequence[DataFile]) -> Scan:
        return self._tables.scan_files(self._after, files)

    def _bind(self, scans: dict[str, Scan]) -> None:
        self._session.bind({f"{self._prefix}_{name}": scan for name, scan in scans.items()})

    def _name(self, name: str) -> str:
        return f"{self._prefix}_{name}"

    def _reader(self, rows: EngineRows, schema: "pa.Schema") -> Reader:
        import pyarrow as pa  # noqa: PLC0415 - runs with nothing to do come by here

        plain = pa.schema([field.remove_metadata() for field in schema])

        def read() -> pa.RecordBatchReader:
            stream = self._session.reader(rows)
            batches = (batch.cast(plain) for batch in stream)
            return pa.RecordBatchReader.from_batches(plain, batches)

        return read


def _dropped(tables: Tables, declared: SinkTable, before: Entry | None) -> TableDelivery | None:
    import pyarrow as pa  # noqa: PLC0415 - runs with nothing to do come by here

    if before is None:
        return None
    schema = tables.scan_files(before, ()).schema
    return TableDelivery(
        table=declared.table,
        to=declared.to,
        effect="drop",
        schema=schema,
        rows=lambda: pa.RecordBatchReader.from_batches(schema, []),
    )


def _meeting(
    files: Sequence[DataFile], others: Sequence[DataFile], key: Sequence[str]
) -> tuple[DataFile, ...]:
    """Give the files that may have a key of the others, as far as bounds tell."""
    return tuple(file for file in files if any(bounds_meet(file, other, key) for other in others))
