"""Tables: what one is after a write, how it is read, which files it needs.

Nothing here moves a branch: a table's new state is an `Entry`, which becomes visible when a commit
holds it. Metadata, manifests and data files are only ever added.

Arrow takes 0.1 s to import and PyIceberg 0.7 s; runs that find nothing to do come by here and need
neither. Therefore both, and the files of this room that use them, are imported where they are first
needed.
"""
# ruff: noqa: PLC0415

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from headgate.clock import Clock, SystemClock
from headgate.errors import Internal
from headgate.filesets import DataFile, Scan
from headgate.lake.allocation import Allocation
from headgate.lake.contents import content_chain
from headgate.lake.entries import Entry, TableBody
from headgate.lake.file_lists import FileLists
from headgate.lake.listings import Listing, Manifest, listing_path
from headgate.lake.loading import LOADING
from headgate.lake.operations import Column, Operation
from headgate.lake.storage import Storage, metadata_directory
from headgate.lake.table_states import FileExchange, TableState, state_after, state_of
from headgate.names import Ids
from headgate.recent import Recent

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.table import Table as IcebergTable

    from headgate.lake.datafiles import Footer, Footers
    from headgate.lake.erased_files import StoredRows
    from headgate.lake.file_problems import Problem
    from headgate.lake.table_writing import TableWriter
    from headgate.lake.write_plans import WriteMode, WritePlan
    from headgate.stores import Bucket

_CACHED_FOOTERS = 2_000


class Tables:
    """The tables of the lake at a location. Safe between threads; keeps nothing but caches.

    Args:
        storage: where the lake's files are.
        metastore: where column and schema ids are allocated, lake-wide.
        ids: makes the unique parts of names.
        clock: gives snapshots their time.
    """

    def __init__(
        self,
        storage: Storage,
        metastore: Allocation,
        ids: Ids,
        *,
        clock: Clock | None = None,
    ) -> None:
        self._storage = storage
        self._allocation = metastore
        self._ids = ids
        self._clock = clock or SystemClock()
        self._lists = FileLists(self._storage)
        self._recent_footers: Recent[Footer] = Recent(_CACHED_FOOTERS)
        self._schema_ids: Recent[int] = Recent(_CACHED_FOOTERS)

    # -- paths

    @property
    def store(self) -> "Bucket | None":
        """The object store that the files are in; None: a directory."""
        return self._storage.store

    def absolute(self, path: str) -> str:
        """Give the absolute path of a path relative to the lake's location."""
        return self._storage.absolute(path)

    def relative(self, path: str) -> str:
        """Give a file's path relative to the lake's location.

        Raises:
            Invalid: ``outside-the-lake``.
        """
        return self._storage.relative(path)

    # -- before a write

    def plan_write(
        self,
        before: Entry | None,
        arrow_schema: "pa.Schema",
        *,
        table: str,
        mode: "WriteMode",
        prefix: str,
        partition: Sequence[str] = (),
        sort_by: Sequence[str] = (),
        key_columns: Sequence[str] = (),
        staged_input: bool = False,
    ) -> "WritePlan":
        """Decide where rows go, under which schema, and what must be done to the table first.

        A table that is not there is created: the operations begin with ``Create``, and for
        ``append`` and ``upsert`` go on with an ``AddColumn`` per column (a ``Replace`` carries its
        schema itself). The target has what the rows have, in the table's order, with its ids and
        types; columns of the table that the rows lack are not in the files and read as NULL. Rows
        are sorted by ``sort_by``, or by what the table is sorted by where that is empty.
        ``staged_input`` says that the files are an operation's input and not the table's own: they
        are not divided by partition.

        Raises:
            Invalid: ``schema-...``: what does not fit, with the column and both types;
                ``partition-...``; ``sort-unknown-column``.
        """
        from headgate.lake.write_plans import WritePlanner

        return WritePlanner(self._storage, self._allocation, self._ids).plan(
            before,
            arrow_schema,
            table=table,
            mode=mode,
            prefix=prefix,
            partition=partition,
            sort_by=sort_by,
            key_columns=key_columns,
            staged_input=staged_input,
        )

    def collect(
        self,
        paths: Sequence[str],
        columns: Sequence[Column],
        *,
        key_columns: Sequence[str] = (),
    ) -> tuple[DataFile, ...]:
        """Give the values of files an engine wrote, read from them and checked against ``columns``.

        Every key column gets bounds, and of the others the first 32. Costs one read of each file.

        Raises:
            Invalid: ``file-without-ids``, ``file-schema-differs``, ``outside-the-lake``.
            Corrupt: ``data-file-missing``, ``data-file-damaged``.
        """
        return self._footers().collect(paths, columns, always_bounded=key_columns)

    # -- a write

    def apply(
        self,
        before: Entry | None,
        operations: Sequence[Operation],
        *,
        owner: str | None = None,
        exchanges: Mapping[int, FileExchange] | None = None,
        table: str = "",
    ) -> Entry:
        """Apply operations to a table and give its new entry; writes Iceberg metadata once.

        ``exchanges`` says, by an operation's position, which files an ``Upsert`` or a ``Delete``
        takes out and puts in. The entry's content is the chain of `content_after` over the
        operations; taint and stale marks stay as they were. Operations that change nothing (an
        append of no rows, a column that is there) write nothing. Nothing is synced.

        Raises:
            Conflict: ``column-differs``. AlreadyExists: ``table-exists``.
            Invalid: ``file-schema-differs``, ``partition-mixed``, ``partition-column-fixed``.
            Corrupt: ``data-file-missing``, ``data-file-damaged``.
        """
        table = table or (before.table.uuid if before is not None and before.table else "")
        state = state_after(state_of(before), operations, exchanges or {}, table=table)
        body = before.table if before is not None else None
        if body is not None and body.uuid != state.uuid:
            body = None
        content = content_chain(before.content if before is not None else None, operations)
        if content is None:
            raise Internal("table-not-created", f"No operation leaves a table {table!r}.")
        if body is None or _differs(state, body):
            new_body = self._writer().write(state, body, table)
        else:
            new_body = body
        new_body = _with(
            new_body,
            key_columns=state.key_columns,
            sort_by=state.sort_by,
            owner=owner or (body.owner if body is not None else None),
        )
        return Entry(
            kind="table",
            content=content,
            table=new_body,
            taint=before.taint if before is not None else (),
            stale=before.stale if before is not None else (),
        )

    # -- reading

    def scan(self, entry: Entry, *, columns: Sequence[str] | None = None) -> Scan:
        """Give a table's whole content, ready for any engine; with ``columns``, those only."""
        listing = self._lists.listing(_body(entry))
        return self._scan(
            entry,
            columns,
            (
                (listing.schemas[manifest.schema], self._files_of(entry, listing, manifest))
                for manifest in listing.manifests
            ),
        )

    def scan_files(
        self, entry: Entry, files: Iterable[DataFile], *, columns: Sequence[str] | None = None
    ) -> Scan:
        """Give a scan of these files only, under the entry's schema.

        They may be files the table no longer lists (rows that were appended before a compaction).
        """
        listing = self._lists.listing(_body(entry))
        schema_of = self._lists.schemas_by_path(_body(entry))
        groups: dict[tuple[Column, ...], list[DataFile]] = {}
        for file in files:
            schema = schema_of.get(file.path)
            written = (
                listing.schemas[schema]
                if schema is not None
                else self._footers().footer(file, _body(entry).schema).columns
            )
            groups.setdefault(written, []).append(file)
        return self._scan(entry, columns, groups.items())

    def scan_staged(self, files: Iterable[DataFile], columns: Sequence[Column]) -> Scan:
        """Give a scan of files that are in no table yet, written under ``columns``."""
        with LOADING:
            from headgate.lake.scanning import scan_of

        return scan_of(self._storage, columns, [(columns, tuple(files))])

    def files(self, entry: Entry) -> tuple[DataFile, ...]:
        """Give a table's files, their bounds under the names the columns have now."""
        listing = self._lists.listing(_body(entry))
        schema = _body(entry).schema
        found: list[DataFile] = []
        for manifest in listing.manifests:
            files = self._files_of(entry, listing, manifest)
            names = _renamed(listing.schemas[manifest.schema], schema)
            found += files if names is None else (_with_names(file, names) for file in files)
        return tuple(found)

    def iceberg(self, name: str, entry: Entry) -> "IcebergTable":
        """Give a table as PyIceberg sees it; read only."""
        with LOADING:
            from headgate.lake.table_metadata import static_table

        body = _body(entry)
        return static_table(self._storage, name, body.metadata, body.uuid)

    def new_paths(self, entry: Entry, base: Entry | None) -> tuple[str, ...]:
        """Give the files reachable from an entry and not from a base: what publication must sync.

        Data files, manifests, the manifest list, the metadata; relative. The staged input of
        upserts and deletions is reachable from the commit's record, not from here.
        """
        body = _body(entry)
        base_body = base.table if base is not None else None
        if base_body is not None and base_body.metadata == body.metadata:
            return ()
        listing = self._lists.listing(_body(entry))
        old = self._lists.listing(base_body) if base_body is not None else Listing()
        known = {manifest.name: manifest for manifest in old.manifests}
        new = [m for m in listing.manifests if known.pop(m.name, None) is None]
        gone: set[str] = set()
        if base is not None:
            gone = {f.path for m in known.values() for f in self._files_of(base, old, m)}
        paths = [
            file.path
            for manifest in new
            for file in self._files_of(entry, listing, manifest)
            if file.path not in gone
        ]
        paths += (manifest.path(metadata_directory(body.uuid)) for manifest in new)
        if listing.manifest_list is not None and listing.manifest_list != old.manifest_list:
            paths.append(listing.manifest_list)
        return (*paths, body.metadata)

    def referred(self, entry: Entry, is_new: Callable[[str], bool]) -> None:
        """Tell every file a table needs: metadata, lists, manifests, data files; relative.

        ``is_new`` is told each, perhaps of many tables, and says whether that was news. What lies
        behind a metadata file or a manifest that was none is not looked at again.

        Raises:
            Corrupt: ``metadata-missing``, ``metadata-damaged``.
        """
        body = _body(entry)
        if not is_new(body.metadata):
            return
        directory = metadata_directory(body.uuid)
        is_new(listing_path(body.metadata))
        listing = self._lists.listing(body)
        if listing.manifest_list is not None:
            is_new(listing.manifest_list)
        for manifest in listing.manifests:
            if is_new(manifest.path(directory)):
                is_new(manifest.listing(directory))
                for file in self._files_of(entry, listing, manifest):
                    is_new(file.path)

    def verify(self, entry: Entry, *, checksums: bool = True) -> "list[Problem]":
        """Compare every file of a table with what was written; give what is wrong, file by file.

        With ``checksums`` every byte is read, else only lengths are compared.
        """
        from headgate.lake.file_problems import file_problems

        return list(file_problems(self._storage, _body(entry), checksums=checksums))

    # -- erasing

    def stored_rows(self, path: str, columns: Sequence[Column]) -> "StoredRows":
        """Open a data file, whoever refers to it, to look through its rows.

        Raises:
            Corrupt: ``data-file-missing``, ``data-file-damaged``.
        """
        with LOADING:
            from headgate.lake.erased_files import StoredRows

        return StoredRows(self._storage, path, columns)

    def put_instead(self, of: str, content: bytes) -> DataFile:
        """Write a data file that takes the place of another, beside it; give its value."""
        with LOADING:
            from headgate.lake.datafiles import data_file, read_footer

        directory, _, _ = of.rpartition("/")
        path = f"{directory}/kept-{self._ids.unique()}.parquet"
        self._storage.create(path, content)
        return data_file(self._storage, path, read_footer(self._storage, path))

    def exchanged(
        self,
        entry: Entry,
        exchange: Mapping[str, DataFile | None],
        base: Entry | None,
        *,
        table: str,
    ) -> Entry:
        """Give a version of a table with files exchanged for others; its content stays.

        Writes all of its metadata anew, as the successor of ``base``, a version that was written
        so before: nothing of the old metadata is referred to.
        """
        with LOADING:
            from headgate.lake.datafiles import read_footer

        body = _body(entry)
        listing = self._lists.listing(body)
        files: dict[str, DataFile] = {}
        for manifest in listing.manifests:
            for old in self._files_of(entry, listing, manifest):
                file = exchange.get(old.path, old)
                if file is None:
                    continue
                file = replace(file, partition=old.partition)
                files[file.path] = file
                footer = read_footer(self._storage, file.path, always_bounded=old.bounds)
                columns = listing.schemas[manifest.schema]
                self._recent_footers.put(file.path, replace(footer, columns=columns))
        there: set[str] = set()
        if base is not None:
            was = self._lists.listing(_body(base))
            there = {f.path for m in was.manifests for f in self._files_of(base, was, m)}
        state = state_of(entry)
        if state is None:
            raise Internal("not-a-table", f"{table} is no table.")
        state = replace(
            state,
            fresh=base is None,
            removed=frozenset(there - files.keys()),
            added={path: file for path, file in files.items() if path not in there},
            kind="overwrite",
        )
        made = self._writer().write(state, _body(base) if base is not None else None, table)
        now = msgspec.structs.replace(
            body,
            metadata=made.metadata,
            rows=made.rows,
            size_bytes=made.size_bytes,
            files=made.files,
        )
        return msgspec.structs.replace(entry, table=now)

    def forget(self) -> None:
        """Drop the caches; nothing is lost."""
        self._storage.forget()
        self._lists.forget()
        self._recent_footers.clear()
        self._schema_ids.clear()

    # -- parts

    def _files_of(self, entry: Entry, listing: Listing, manifest: Manifest) -> tuple[DataFile, ...]:
        body = _body(entry)
        return self._lists.files(listing, manifest, body.uuid, body.partition)

    def _footers(self) -> "Footers":
        with LOADING:
            from headgate.lake.datafiles import Footers

        return Footers(self._storage, self._recent_footers)

    def _writer(self) -> "TableWriter":
        with LOADING:
            from headgate.lake.table_writing import TableWriter

        return TableWriter(
            storage=self._storage,
            lists=self._lists,
            footers=self._footers(),
            schema_ids=self._schema_ids,
            allocation=self._allocation,
            ids=self._ids,
            clock=self._clock,
        )

    def _scan(
        self,
        entry: Entry,
        names: Sequence[str] | None,
        written: Iterable[tuple[Sequence[Column], Sequence[DataFile]]],
    ) -> Scan:
        with LOADING:
            from headgate.lake.scanning import scan_of, selected

        groups: dict[tuple[Column, ...], list[DataFile]] = {}
        for columns, files in written:
            groups.setdefault(tuple(columns), []).extend(files)
        return scan_of(self._storage, selected(_body(entry).schema, names), groups.items())


def _differs(state: TableState, body: TableBody) -> bool:
    return (
        state.fresh
        or bool(state.added or state.removed)
        or state.columns != body.schema
        or dict(state.drop_epochs) != body.drop_epochs
        or state.sort_by != body.sort_by
        or dict(state.properties) != body.properties
    )


def _with(
    body: TableBody, *, key_columns: tuple[str, ...], sort_by: tuple[str, ...], owner: str | None
) -> TableBody:
    known = (body.key_columns, body.sort_by, body.owner)
    if known == (key_columns, sort_by, owner):
        return body
    return msgspec.structs.replace(body, key_columns=key_columns, sort_by=sort_by, owner=owner)


def _body(entry: Entry) -> TableBody:
    if entry.table is None:
        raise Internal("not-a-table", f"A {entry.kind} was taken for a table.")
    return entry.table


def _renamed(written: Sequence[Column], now: Sequence[Column]) -> dict[str, str] | None:
    """Give today's names of columns by the names files have for them; None where none differs."""
    if tuple(written) == tuple(now):
        return None
    names = {column.id: column.name for column in now}
    return {column.name: names[column.id] for column in written if column.id in names}


def _with_names(file: DataFile, names: Mapping[str, str]) -> DataFile:
    return replace(file, bounds={names[n]: b for n, b in file.bounds.items() if n in names})
