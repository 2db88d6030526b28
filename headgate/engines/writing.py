"""Writing rows on DuckDB: each source is computed once, whatever its checks, in bounded memory.

Three ways in:

- what lies in memory and is small is judged and written without a COPY: most tables are small;
- what can be computed while it is written passes one COPY, bad rows leaving on the way;
- what checks must look at as a whole first (keys, references), and can be computed only once, is
kept
  in Parquet before.
"""

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

import pyarrow as pa

from headgate.engines.bindings import Bindings
from headgate.engines.csv_records import refuse_cut_records, refuse_lost_records
from headgate.engines.engine import NativeFiles, Rows, Scan, Sql, WriteTarget, Written
from headgate.engines.failures import explained
from headgate.engines.malformed import Malformed
from headgate.engines.parquet_files import (
    Files,
    copy_rows,
    missing_columns,
    refuse_colliding_names,
    remove_files,
    with_partitions,
    write_table,
)
from headgate.engines.positions import Raw, positioned
from headgate.engines.profiles import Profile
from headgate.engines.queries import Query, query_of, schema_of
from headgate.engines.rejected_rows import MASK
from headgate.engines.rejecting import Rejecting
from headgate.engines.scans import scan_query
from headgate.engines.sql_types import cast
from headgate.errors import Internal, Invalid
from headgate.filesets import ScanGroup
from headgate.masks import ROWS, MaskQuery
from headgate.names import Ids, quote

SMALL_BYTES = 32 * 1024 * 1024
"""Up to this size, a table in memory is judged and written without a COPY."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Rows as a query; ``raw`` maps raw files it reads to where their rejects collect.

    ``verbatim`` has the rows' columns that are raw ones as they came, with those columns' names.
    """

    query: Query
    schema: pa.Schema
    raw: Mapping[str, tuple[NativeFiles, str]] = field(default_factory=dict)
    verbatim: Mapping[str, str] = field(default_factory=dict)


class Writing:
    """Writes of one session."""

    def __init__(self, bindings: Bindings, scratch: Path, ids: Ids) -> None:
        self._bindings = bindings
        self._scratch = scratch
        self._ids = ids
        self._raised: BaseException | None = None

    def write(self, rows: Rows, target: WriteTarget, mask: MaskQuery | None) -> Written:
        """Compute rows once; accepted ones become files, rejected ones come back with masks."""
        refuse_colliding_names(target.schema.names)
        self._bindings.reaching.add(target.store)
        if isinstance(rows, pa.RecordBatchReader):
            rows = self._peeked(rows)
        if isinstance(rows, pa.Table) and _is_small(rows, target):
            return self._write_small(rows, target, mask)
        with self._explained(), self._source(rows) as source:
            if mask is None:
                return self._write_all(source, target)
            refuse_colliding_names(source.schema.names)
            if mask.preparations and not isinstance(rows, (Scan, pa.Table)):
                return self._write_staged(source, target, mask)
            self._prepare(source.query, mask)
            return self._write_masked(source, target, mask)

    # -- the three ways

    def _write_small(self, table: pa.Table, target: WriteTarget, mask: MaskQuery | None) -> Written:
        unique = self._ids.unique()
        if mask is None:
            files = write_table(table, target, unique=unique)
            return written(files, rows_read=table.num_rows)
        refuse_colliding_names(table.schema.names)
        judged = self._judged(table, mask)
        with Rejecting(mask, table.schema, self._scratch) as rejecting:
            files = write_table(rejecting.sift(judged), target, unique=unique)
            return written(files, rows_read=table.num_rows, rejecting=rejecting)

    def _judged(self, table: pa.Table, mask: MaskQuery) -> pa.Table:
        with explained("a contract's mask"):
            name = self._bindings.hide(table)
            try:
                query = Query(text=f"select * from {quote(name)}")
                self._prepare(query, mask)
                text = self._bindings.ready(_masked(query, mask))
                return self._bindings.connection.sql(text).to_arrow_table()
            finally:
                self._bindings.reveal(name)

    def _write_all(self, source: Source, target: WriteTarget) -> Written:
        text = f"select {select_list(source.schema, target.schema)} from ({source.query.text}\n)"
        files, _, malformed = self._scan(text, source, target)
        return written(files, rows_read=files.rows + malformed.rows, malformed=malformed)

    def _write_staged(self, source: Source, target: WriteTarget, mask: MaskQuery) -> Written:
        self._scratch.mkdir(parents=True, exist_ok=True)
        scratch = tempfile.mkdtemp(dir=self._scratch)
        try:
            stage = WriteTarget(directory=scratch, prefix="stage", schema=source.schema)
            files, _, malformed = self._scan(source.query.text, source, stage)
            group = ScanGroup(paths=files.paths, columns={}, exact=True)
            rows = Scan(
                schema=source.schema,
                groups=(group,) if files.paths else (),
                rows=files.rows,
                size_bytes=0,
            )
            staged = Query(text=scan_query(rows))
            self._prepare(staged, mask)
            return self._write_masked(source, target, mask, (staged, malformed))
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _write_masked(
        self,
        source: Source,
        target: WriteTarget,
        mask: MaskQuery,
        staged: tuple[Query, Malformed] | None = None,
    ) -> Written:
        connection = self._bindings.connection
        query = staged[0] if staged else source.query
        with Rejecting(mask, source.schema, self._scratch) as rejecting:
            rejecting.install(connection)
            try:
                # The filter is volatile: DuckDB neither moves it nor runs it twice for a row.
                text = (
                    f"select {select_list(source.schema, target.schema)} "
                    f"from ({_masked(query, mask)}) "
                    f"where {rejecting.predicate()}"
                )
                once = replace(source, query=query, raw={} if staged else source.raw)
                files, profile, malformed = self._scan(text, once, target)
            finally:
                rejecting.remove(connection)
            if staged:
                malformed = staged[1]
            rows_judged = profile.rows_into_filter(rejecting.capture_name)
            result = written(
                files,
                rows_read=rows_judged + malformed.rows,
                rejecting=rejecting,
                malformed=malformed,
            )
        if len(source.raw) != 1:
            return result
        [(name, (native, _))] = source.raw.items()
        if any(part.format != "csv" for part in native.parts):
            return result
        raw = Raw(
            name=name,
            files=native,
            query=source.query,
            staged=staged[0] if staged else None,
            verbatim=source.verbatim,
        )
        return positioned(result, raw, malformed, self._bindings)

    # -- parts

    def _scan(
        self, text: str, source: Source, target: WriteTarget
    ) -> "tuple[Files, Profile, Malformed]":
        """Run a query into files; give them, what DuckDB counted, and what raw files held else.

        Raises:
            Invalid: ``csv-records-lost``, ``csv-quote-open``; the files are gone then.
        """
        connection = self._bindings.connection
        connection.execute("pragma enable_profiling = 'no_output'")
        try:
            files = copy_rows(
                connection,
                text,
                target,
                unique=self._ids.unique(),
                parameters=source.query.parameters,
            )
            profile = Profile(connection.get_profiling_information())
        finally:
            connection.execute("pragma disable_profiling")
        malformed = Malformed.collect(connection, source.raw)
        csv = [
            part
            for native, _ in source.raw.values()
            for part in native.parts
            if part.format == "csv"
        ]
        try:
            refuse_cut_records(malformed)
            if csv:
                refuse_lost_records(csv, read=profile.rows_of_csv() + malformed.rows)
        except Invalid:
            remove_files(files.paths, target)
            raise
        return with_partitions(connection, files, target), profile, malformed

    def _prepare(self, query: Query, mask: MaskQuery) -> None:
        for name, text in mask.preparations.items():
            ready = self._bindings.ready(text)
            self._bindings.connection.execute(
                f"create or replace temp table {quote(name)} as "
                f"with {ROWS} as ({query.text}\n) select * from ({ready}\n)",
                query.parameters_or_none,
            )
        self._bindings.ready(mask.expression)

    @contextmanager
    def _source(self, rows: Rows) -> Iterator[Source]:
        """Give rows as a query; raw files it reads collect what does not parse, for as long."""
        bindings = self._bindings
        if isinstance(rows, (pa.Table, pa.RecordBatchReader)):
            name = bindings.hide(rows)
            try:
                query = Query(text=f"select * from {quote(name)}")
                yield Source(query=query, schema=rows.schema)
            finally:
                bindings.reveal(name)
            return
        with ExitStack() as held:
            if isinstance(rows, NativeFiles):
                name = f"_hg_raw_{self._unique_name()}"
                bindings.add({name: rows})
                held.callback(bindings.drop, name)
                query = Query(text=bindings.ready(f"select * from {name}"))
            else:
                query = query_of(rows, bindings)
            schema = schema_of(bindings.connection, query)
            raw = {
                name: (files, f"_hg_rejects_{self._unique_name()}")
                for name, files in bindings.raw_files(query.text).items()
            }
            for name, (files, rejects) in raw.items():
                held.enter_context(bindings.raw_as(name, files, rejects=rejects))
            verbatim = rows.verbatim if isinstance(rows, Sql) else {}
            yield Source(query=query, schema=schema, raw=raw, verbatim=verbatim)

    def _unique_name(self) -> str:
        return self._ids.unique().replace("-", "_")

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

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Explain what goes wrong in a write; what the user's stream raised comes out as it is."""
        self._raised = None
        try:
            with explained("the rows"):
                yield
        except Exception:
            if self._raised is not None:
                raise self._raised  # noqa: B904 - DuckDB's error is only its echo
            raise


def written(
    files: Files,
    *,
    rows_read: int,
    rejecting: Rejecting | None = None,
    malformed: "Malformed | None" = None,
) -> Written:
    """Give what a write did, having checked that no row is missing and none is there twice.

    Raises:
        Internal: ``rows-lost``.
    """
    rejected = rejecting.rows.table() if rejecting is not None else None
    records = malformed.table() if malformed is not None else None
    out = (rejected.num_rows if rejected else 0) + (records.num_rows if records else 0)
    if files.rows + out != rows_read:
        raise Internal(
            "rows-lost",
            f"{rows_read} rows were read, {files.rows} written and {out} rejected.",
            hint="Nothing was published. Please report this with the step's contract.",
            read=rows_read,
            written=files.rows,
            rejected=out,
        )
    return Written(
        paths=files.paths,
        rows=files.rows,
        rows_read=rows_read,
        violations=rejecting.violations() if rejecting is not None else {},
        examples=rejecting.examples() if rejecting is not None else {},
        rejected=rejected,
        malformed=records,
        partitions=files.partitions,
    )


def _masked(query: Query, mask: MaskQuery) -> str:
    return f"select *, ({mask.expression})::BIGINT as {MASK} from ({query.text}\n) as {ROWS}"


def _is_small(table: pa.Table, target: WriteTarget) -> bool:
    return not target.partition_by and not target.sort_by and table.nbytes <= SMALL_BYTES


def select_list(given: pa.Schema, wanted: pa.Schema) -> str:
    """Give the select list that turns the one schema into the other, by name."""
    missing = [name for name in wanted.names if name not in given.names]
    if missing:
        raise missing_columns(missing, given.names)
    return ", ".join(
        f"{cast(quote(each.name), given.field(each.name).type, each.type)} as {quote(each.name)}"
        for each in wanted
    )
