"""DuckDB: one database in memory for the process, a catalog of its own for every session."""

import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from threading import Lock
from typing import Self

import duckdb
import pyarrow as pa

from headgate.engines.bindings import Bindings
from headgate.engines.engine import NativeFiles, Rows, Scan, Session, Sql, WriteTarget, Written
from headgate.engines.failures import explained
from headgate.engines.malformed import malformed_records
from headgate.engines.parquet_files import (
    Files,
    copy_rows,
    missing_columns,
    refuse_colliding_names,
    write_table,
)
from headgate.engines.raw_files import raw_query
from headgate.engines.rejecting import MASK, POSITION, Rejecting
from headgate.engines.scans import scan_query
from headgate.engines.sql_types import cast, sql_type
from headgate.errors import Internal, Invalid
from headgate.files import ScanGroup
from headgate.masks import ROWS, MaskQuery
from headgate.names import Ids, RandomIds, quote

BATCH_ROWS = 65_536
SMALL_BYTES = 32 * 1024 * 1024
"""Up to this size, a table in memory is judged and written without a COPY."""

NO_PARAMETERS: dict[str, object] = {}
_PARAMETER = re.compile(r"\$(\w+)")


class DuckDB:
    """Computes on this machine, with DuckDB. No extension is ever downloaded.

    Args:
        threads: how many; as many as there are cores where None.
        memory_limit: like ``"2GB"``; what does not fit is spilled to ``temp_directory``.
        temp_directory: where to spill; a directory of its own under the system's where None.
    """

    name = "duckdb"

    def __init__(
        self,
        *,
        threads: int | None = None,
        memory_limit: str | None = None,
        temp_directory: str | Path | None = None,
        ids: Ids | None = None,
    ) -> None:
        self._own_scratch = temp_directory is None
        self.scratch = Path(temp_directory or tempfile.mkdtemp(prefix="headgate-duckdb-"))
        self.ids: Ids = ids or RandomIds()
        config: dict[str, str | bool | int | float | list[str]] = {
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_community_extensions": False,
            "python_enable_replacements": False,
            "temp_directory": str(self.scratch),
        }
        if threads is not None:
            config["threads"] = threads
        if memory_limit is not None:
            config["memory_limit"] = memory_limit
        with explained("opening DuckDB"):
            self._database = duckdb.connect(":memory:", config=config)
            self._database.execute("set global TimeZone = 'UTC'")
        self._lock = Lock()

    def session(self) -> "DuckDBSession":
        """Open a unit of work: under a millisecond."""
        with self._lock:
            return DuckDBSession(self, self._database.cursor())

    def close(self) -> None:
        """Close the database; sessions end with it."""
        self._database.close()
        if self._own_scratch:
            shutil.rmtree(self.scratch, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class DuckDBSession(Session):
    """A unit of work on DuckDB. Queries see the tables that were bound, by name."""

    def __init__(self, engine: DuckDB, database: duckdb.DuckDBPyConnection) -> None:
        self._engine = engine
        self._bindings = Bindings(database)
        self._readers: list[duckdb.DuckDBPyConnection] = []
        self._raised: BaseException | None = None

    # -- tables in

    def bind(self, tables: "Mapping[str, Scan | pa.Table]") -> None:
        """Make tables known to later queries. Opens no file."""
        self._bindings.add(tables)

    # -- answers out

    def schema(self, rows: Rows) -> pa.Schema:
        """Give the columns rows would have, without computing any."""
        if isinstance(rows, (pa.Table, pa.RecordBatchReader, Scan)):
            return rows.schema
        with explained("a query" if isinstance(rows, Sql) else ", ".join(rows.paths)):
            query, parameters = self._query(rows)
            return self._schema_of(query, parameters)

    def relation(self, rows: Rows) -> duckdb.DuckDBPyRelation:
        """Give rows as a DuckDB relation, on a connection of its own until the session closes."""
        with explained("a query"):
            if isinstance(rows, (pa.Table, pa.RecordBatchReader)):
                name = self._bindings.hide(rows)
                query, parameters = f"select * from {quote(name)}", NO_PARAMETERS
            else:
                query, parameters = self._query(rows)
            connection = self._bindings.connect()
            self._readers.append(connection)
            if isinstance(rows, pa.RecordBatchReader):
                connection.register(name, rows)
            return connection.sql(query, params=parameters or None)

    def reader(self, rows: Rows) -> pa.RecordBatchReader:
        """Compute rows as a stream; several streams of one session may be open at once."""
        if isinstance(rows, pa.RecordBatchReader):
            return rows
        if isinstance(rows, pa.Table):
            return rows.to_reader(BATCH_ROWS)
        with explained("a query"):
            return self.relation(rows).to_arrow_reader(BATCH_ROWS)

    def scalars(self, sql: str) -> Mapping[str, object]:
        """Run a query of one row and give it as a mapping.

        Raises:
            Internal: ``not-one-row``.
        """
        with explained("a question"):
            connection = self._bindings.connection
            connection.execute(self._bindings.ready(sql))
            names = [column[0] for column in connection.description or ()]
            found = connection.fetchall()
        if len(found) != 1:
            raise Internal("not-one-row", f"A question gave {len(found)} rows: {sql}", sql=sql)
        return dict(zip(names, found[0], strict=True))

    # -- rows into files

    def write(self, rows: Rows, target: WriteTarget, *, mask: MaskQuery | None = None) -> Written:
        """Compute rows once; accepted ones become files, rejected ones come back with masks."""
        refuse_colliding_names(target.schema)
        if isinstance(rows, pa.RecordBatchReader):
            rows = self._peeked(rows)
        if isinstance(rows, pa.Table) and _is_small(rows, target):
            return self._write_small(rows, target, mask)
        if mask is not None and mask.preparations and not isinstance(rows, (Scan, pa.Table)):
            return self._write_staged(rows, target, mask)
        with self._explained(target), self._source(rows) as source:
            if mask is None:
                written = self._write_all(source, target)
            else:
                self._prepare(source, mask)
                written = self._write_masked(source, target, mask)
            return self._with_malformed(written, source)

    def _write_all(self, source: "_Source", target: WriteTarget) -> Written:
        query = f"select {_columns(source.schema, target.schema)} from ({source.query}\n)"
        files = self._copy(query, source.parameters, target)
        return _written(files, rows_read=files.rows)

    def _write_masked(self, source: "_Source", target: WriteTarget, mask: MaskQuery) -> Written:
        refuse_colliding_names(source.schema)
        connection = self._bindings.connection
        with Rejecting(mask, source.schema, self._engine.scratch) as rejecting:
            rejecting.install(connection, [sql_type(each.type) for each in source.schema])
            try:
                # The filter is volatile: DuckDB neither moves it nor runs it twice for a row.
                query = (
                    f"select {_columns(source.schema, target.schema)} from ("
                    f"select *, ({mask.expression})::BIGINT as {MASK} "
                    f"from ({source.query}\n) as {ROWS}"
                    f") where {rejecting.predicate(source.schema.names)}"
                )
                files = self._copy(query, source.parameters, target)
            finally:
                rejecting.remove(connection)
            rejected = rejecting.rejected()
            return _written(
                files,
                rows_read=files.rows + rejecting.rejected_rows,
                violations=rejecting.violations(),
                examples=rejecting.examples(),
                rejected=_positioned(rejected),
            )

    def _write_staged(self, rows: Rows, target: WriteTarget, mask: MaskQuery) -> Written:
        """Keep rows that are computed only once in Parquet, then ask for keys there."""
        scratch = Path(tempfile.mkdtemp(dir=_made(self._engine.scratch)))
        try:
            with self._explained(target), self._source(rows) as source:
                stage = WriteTarget(directory=str(scratch), prefix="stage", schema=source.schema)
                staged = self._copy(source.query, source.parameters, stage)
                group = ScanGroup(paths=staged.paths, columns={}, exact=True)
                whole = Scan(
                    schema=source.schema,
                    groups=(group,) if staged.paths else (),
                    rows=staged.rows,
                    size_bytes=0,
                )
                stable = _Source(query=scan_query(whole), schema=source.schema)
                self._prepare(stable, mask)
                written = self._write_masked(stable, target, mask)
                return self._with_malformed(written, source)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _write_small(self, table: pa.Table, target: WriteTarget, mask: MaskQuery | None) -> Written:
        unique = self._engine.ids.unique()
        if mask is None:
            files = write_table(table, target, unique=unique)
            return _written(files, rows_read=table.num_rows)
        refuse_colliding_names(table.schema)
        judged = self._judged(table, mask)
        with Rejecting(mask, table.schema, self._engine.scratch) as rejecting:
            accepted = rejecting.sift(judged)
            files = write_table(accepted, target, unique=unique)
            return _written(
                files,
                rows_read=table.num_rows,
                violations=rejecting.violations(),
                examples=rejecting.examples(),
                rejected=_positioned(rejecting.rejected()),
            )

    def _judged(self, table: pa.Table, mask: MaskQuery) -> pa.Table:
        with explained("a contract's mask"):
            name = self._bindings.hide(table)
            try:
                query = f"select * from {quote(name)}"
                self._prepare(_Source(query=query, schema=table.schema), mask)
                text = self._bindings.ready(
                    f"select *, ({mask.expression})::BIGINT as {MASK} from ({query}) as {ROWS}"
                )
                return self._bindings.connection.sql(text).to_arrow_table()
            finally:
                self._bindings.reveal(name)

    # -- parts

    @contextmanager
    def _explained(self, target: WriteTarget) -> Iterator[None]:
        """Explain what goes wrong in a write; what the user's stream raised comes out as it is."""
        self._raised = None
        try:
            with explained(f"the rows for {target.prefix}"):
                yield
        except Exception:
            if self._raised is not None:
                raise self._raised  # noqa: B904 - DuckDB's error is only its echo
            raise

    def _query(self, rows: "Sql | NativeFiles | Scan") -> tuple[str, dict[str, object]]:
        if isinstance(rows, Scan):
            return scan_query(rows), {}
        if isinstance(rows, NativeFiles):
            return raw_query(rows), {}
        text = self._bindings.ready(_one_query(rows.text))
        named = set(_PARAMETER.findall(text))
        return text, {name: value for name, value in rows.parameters.items() if name in named}

    @contextmanager
    def _source(self, rows: Rows) -> "Iterator[_Source]":
        """Give rows as a query; a raw file's records that do not parse are collected beside it."""
        if isinstance(rows, (pa.Table, pa.RecordBatchReader)):
            name = self._bindings.hide(rows)
            try:
                yield _Source(query=f"select * from {quote(name)}", schema=rows.schema)
            finally:
                self._bindings.reveal(name)
            return
        query, parameters = self._query(rows)
        schema = self._schema_of(query, parameters)
        if not isinstance(rows, NativeFiles) or rows.format != "csv":
            yield _Source(query=query, parameters=parameters, schema=schema)
            return
        rejects = f"_hg_rejects_{self._engine.ids.unique().replace('-', '_')}"
        try:
            yield _Source(
                query=raw_query(rows, rejects=rejects), schema=schema, files=rows, rejects=rejects
            )
        finally:
            for name in (rejects, f"{rejects}_scan"):
                self._bindings.connection.execute(f"drop table if exists temp.{quote(name)}")

    def _prepare(self, source: "_Source", mask: MaskQuery) -> None:
        for name, text in mask.preparations.items():
            ready = self._bindings.ready(text)
            self._bindings.connection.execute(
                f"create or replace temp table {quote(name)} as "
                f"with {ROWS} as ({source.query}\n) select * from ({ready}\n)",
                dict(source.parameters) or None,
            )

    def _copy(self, query: str, parameters: Mapping[str, object], target: WriteTarget) -> Files:
        return copy_rows(
            self._bindings.connection,
            self._bindings.ready(query),
            target,
            unique=self._engine.ids.unique(),
            parameters=parameters,
        )

    def _schema_of(self, query: str, parameters: Mapping[str, object]) -> pa.Schema:
        connection = self._bindings.connection
        return (
            connection.sql(f"select * from ({query}\n) limit 0", params=dict(parameters) or None)
            .to_arrow_table()
            .schema
        )

    def _with_malformed(self, written: Written, source: "_Source") -> Written:
        if source.rejects is None or source.files is None:
            return written
        malformed = malformed_records(
            self._bindings.connection, source.rejects, source.files.options.get("compression")
        )
        if malformed is None:
            return written
        return replace(
            written, malformed=malformed, rows_read=written.rows_read + malformed.num_rows
        )

    def _peeked(self, reader: pa.RecordBatchReader) -> "pa.Table | pa.RecordBatchReader":
        """Give a table where the stream is short, else the stream from its beginning."""
        batches, size = [], 0
        for batch in reader:
            batches.append(batch)
            size += batch.nbytes
            if size > SMALL_BYTES:
                whole = self._remembering(chain(batches, reader))
                return pa.RecordBatchReader.from_batches(reader.schema, whole)
        return pa.Table.from_batches(batches, reader.schema)

    def _remembering(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Keep what a stream raises: DuckDB, which pulls it, passes only its text on."""
        try:
            yield from batches
        except BaseException as error:
            self._raised = error
            raise

    def close(self) -> None:
        """Free everything the session holds; its open streams end."""
        for connection in self._readers:
            connection.close()
        self._readers.clear()
        self._bindings.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """Rows as a query; ``rejects`` names the table that collects what in ``files`` is no row."""

    query: str
    schema: pa.Schema
    parameters: Mapping[str, object] = field(default_factory=dict)
    files: NativeFiles | None = None
    rejects: str | None = None


def _is_small(table: pa.Table, target: WriteTarget) -> bool:
    return not target.partition_by and not target.sort_by and table.nbytes <= SMALL_BYTES


def _made(directory: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def _columns(given: pa.Schema, wanted: pa.Schema) -> str:
    """Give the select list that turns the one schema into the other, by name."""
    missing = [name for name in wanted.names if name not in given.names]
    if missing:
        raise missing_columns(missing, given.names)
    return ", ".join(
        f"{cast(quote(each.name), given.field(each.name).type, each.type)} as {quote(each.name)}"
        for each in wanted
    )


def _one_query(text: str) -> str:
    """Give the text without its closing semicolon.

    Raises:
        Invalid: ``sql-is-no-query``.
    """
    statements = duckdb.extract_statements(text)
    kinds = [str(statement.type).rpartition(".")[2] for statement in statements]
    if len(kinds) != 1 or kinds[0] not in {"SELECT", "MULTI"}:
        found = " and ".join(kinds) if kinds else "nothing"
        raise Invalid(
            "sql-is-no-query",
            f"One query is wanted; the SQL holds {found}.",
            hint="Leave one SELECT.",
            found=kinds,
        )
    raw = text.encode()
    cut = len(raw)
    for offset, kind in reversed(duckdb.tokenize(text)):
        if kind == duckdb.token_type.comment:
            continue
        if raw[offset : offset + 1] != b";":
            break
        cut = offset
    return raw[:cut].decode()


def _positioned(rejected: pa.Table | None) -> pa.Table | None:
    if rejected is None or POSITION in rejected.column_names:
        return rejected
    return rejected.append_column(POSITION, pa.nulls(rejected.num_rows, pa.string()))


def _written(
    files: Files,
    *,
    rows_read: int,
    violations: Mapping[str, int] | None = None,
    examples: Mapping[str, tuple[Mapping[str, object], ...]] | None = None,
    rejected: pa.Table | None = None,
) -> Written:
    lost = rows_read - files.rows - (rejected.num_rows if rejected is not None else 0)
    if lost:
        raise Internal(
            "rows-lost", f"{lost} of {rows_read} rows are neither accepted nor rejected."
        )
    return Written(
        paths=files.paths,
        rows=files.rows,
        rows_read=rows_read,
        violations=violations or {},
        examples=examples or {},
        rejected=rejected,
        partitions=files.partitions,
    )
