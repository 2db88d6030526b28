"""Tables: what a write needs before it begins, what a table is after it, and how it is read.

Nothing here moves a branch: a table's new state is an `Entry`, which becomes visible when a commit
holds it. Metadata, manifests and data files are only ever added.

Arrow takes 0.1 s to import and PyIceberg 0.7 s; runs that find nothing to do come by here and need
neither. Therefore both, and the files of this room that use them, are imported where they are first
needed.
"""
# ruff: noqa: PLC0415

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from headgate.clock import Clock, SystemClock
from headgate.digests import digest, file_checksum
from headgate.errors import Conflict, Corrupt, Internal, Invalid
from headgate.files import DataFile, Scan, WriteTarget
from headgate.lake.column_types import plain
from headgate.lake.contents import content_chain
from headgate.lake.entries import Entry, TableBody
from headgate.lake.listings import (
    Listing,
    Manifest,
    decoded,
    encoded,
    listing_path,
    metadata_path,
)
from headgate.lake.manifest_merging import Size, merge_groups
from headgate.lake.operations import Column, Create, Operation
from headgate.lake.partitions import PartitionField, partition_expression, partition_fields
from headgate.lake.recent import Recent
from headgate.lake.schema_changes import (
    added_rows_plan,
    replaced_columns,
    widens,
    written_columns,
)
from headgate.lake.storage import Storage, data_file_damaged, data_file_missing
from headgate.lake.table_states import FileExchange, TableState, state_after, state_of
from headgate.names import Ids

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.manifest import ManifestEntry
    from pyiceberg.table import Table as IcebergTable

    from headgate.lake.datafiles import Footer
    from headgate.lake.iceberg import ManifestTask, NewFile, WrittenManifest

WriteMode: TypeAlias = Literal["append", "replace", "upsert"]

_CACHED_FILES = 50_000
_CACHED_FOOTERS = 2_000


class Allocation(Protocol):
    """The part of the metastore that tables need."""

    def allocate(self, table: str, names: Sequence[str], *, at_least: int = 1) -> Mapping[str, int]:
        """Give each name its number within ``table``, the same for ever."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WritePlan:
    """How a step's rows get into a table.

    ``columns`` are those of the files to write: what the rows have, as the table has it.
    ``operations`` come before the operation that adds the rows.
    """

    target: WriteTarget
    columns: tuple[Column, ...]
    operations: tuple[Operation, ...]
    uuid: str
    partition: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A file of a table that is not what was written; ``what`` is the code of the error.

    ``data-file-missing``, ``data-file-damaged``, ``metadata-missing`` or ``metadata-damaged``.
    """

    path: str
    what: str
    message: str


@dataclass(frozen=True, slots=True)
class _Piece:
    """Files that may go into one manifest: of an older manifest without some, or new ones."""

    schema: int
    columns: tuple[Column, ...]
    manifest: Manifest | None = None
    without: frozenset[str] = frozenset()
    new: tuple["NewFile", ...] = ()

    @property
    def files(self) -> int:
        there = self.manifest.files - len(self.without) if self.manifest is not None else 0
        return there + len(self.new)


class Tables:
    """The tables of the lake at a location. Safe between threads; keeps nothing but caches.

    Args:
        location: the lake's directory.
        metastore: where column and schema ids are allocated, lake-wide.
        ids: makes the unique parts of names.
        clock: gives snapshots their time.
    """

    def __init__(
        self,
        location: Path,
        metastore: Allocation,
        ids: Ids,
        *,
        clock: Clock | None = None,
    ) -> None:
        self._storage = Storage(Path(location))
        self._allocation = metastore
        self._ids = ids
        self._clock = clock or SystemClock()
        self._listings: Recent[Listing] = Recent(_CACHED_FILES)
        self._footers: Recent[Footer] = Recent(_CACHED_FOOTERS)
        self._schema_ids: Recent[int] = Recent(_CACHED_FOOTERS)
        self._schemas_of: Recent[Mapping[str, int]] = Recent(_CACHED_FILES)

    # -- paths

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
        mode: WriteMode,
        prefix: str,
        partition: Sequence[str] = (),
        sort_by: Sequence[str] = (),
        key_columns: Sequence[str] = (),
        staged_input: bool = False,
    ) -> WritePlan:
        """Decide where rows go, under which schema, and what must be done to the table first.

        A table that is not there is created: the operations begin with ``Create``, and for
        ``append`` and ``upsert`` go on with an ``AddColumn`` per column (a ``Replace`` carries its
        schema itself). The target has what the rows have, in the table's order, with its ids and
        types; columns of the table that the rows lack are not in the files and read as NULL.
        ``staged_input`` says that the files are an operation's input and not the table's own: they
        are not divided by partition.

        Raises:
            Invalid: ``schema-...``: what does not fit, with the column and both types;
                ``partition-...``.
        """
        from headgate.lake.schemas import arrow_schema as to_arrow
        from headgate.lake.schemas import columns_of

        incoming = columns_of(arrow_schema)
        _check_keys(key_columns, incoming, table)
        body = before.table if before is not None else None
        operations: list[Operation] = []
        if body is None:
            uuid, fields = self._ids.unique(), tuple(partition)
            operations.append(Create(uuid=uuid, partition=fields))
        else:
            uuid, fields = body.uuid, body.partition
            _check_partition(partition, fields, table)
        existing = body.schema if body is not None else ()
        epochs = body.drop_epochs if body is not None else {}
        allocate = partial(self._allocation.allocate, uuid)
        if mode == "replace":
            columns = replaced_columns(
                existing, incoming, table=table, drop_epochs=epochs, allocate=allocate
            )
        else:
            plan = added_rows_plan(
                existing, incoming, table=table, drop_epochs=epochs, allocate=allocate
            )
            columns = plan.columns
            operations += plan.operations
        partitions = partition_fields(fields, columns, table=table)
        _check_divides(partitions, incoming, table)
        if mode != "replace":
            columns = written_columns(columns, incoming)
        if staged_input:
            partitions = ()
        types = {column.name: plain(column.type) for column in columns}
        return WritePlan(
            target=WriteTarget(
                directory=self._storage.absolute(self._storage.data_directory(uuid)),
                prefix=prefix,
                schema=to_arrow(columns),
                partition_by={
                    field.name: partition_expression(field, types[field.column])
                    for field in partitions
                },
                sort_by=tuple(sort_by),
            ),
            columns=columns,
            operations=tuple(operations),
            uuid=uuid,
            partition=fields,
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
        from headgate.lake.datafiles import check_columns, read_files

        relatives = [self._storage.relative(path) for path in paths]
        found = read_files(paths, relatives, always_bounded=key_columns) if paths else []
        for (file, footer), path in zip(found, paths, strict=True):
            check_columns(path, footer.columns, columns)
            self._footers.put(file.path, replace(footer, columns=tuple(columns)))
        return tuple(file for file, _ in found)

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
            new_body = self._written(state, body, table)
        else:
            new_body = body
        new_body = _with(
            new_body,
            key_columns=state.key_columns,
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
        listing = self._listing(entry)
        return self._scan(
            entry,
            columns,
            (
                (listing.schemas[manifest.schema], self._manifest_files(entry, listing, manifest))
                for manifest in listing.manifests
            ),
        )

    def scan_files(
        self, entry: Entry, files: Iterable[DataFile], *, columns: Sequence[str] | None = None
    ) -> Scan:
        """Give a scan of these files only, under the entry's schema.

        They may be files the table no longer lists (rows that were appended before a compaction).
        """
        listing = self._listing(entry)
        schema_of = self._schemas_by_path(entry, listing)
        groups: dict[tuple[Column, ...], list[DataFile]] = {}
        for file in files:
            schema = schema_of.get(file.path)
            written = (
                listing.schemas[schema]
                if schema is not None
                else self._footer(file, _body(entry).schema).columns
            )
            groups.setdefault(written, []).append(file)
        return self._scan(entry, columns, groups.items())

    def scan_staged(self, files: Iterable[DataFile], columns: Sequence[Column]) -> Scan:
        """Give a scan of files that are in no table yet, written under ``columns``."""
        from headgate.lake.scanning import scan_of

        return scan_of(self._storage, columns, [(columns, tuple(files))])

    def files(self, entry: Entry) -> tuple[DataFile, ...]:
        """Give a table's files, their bounds under the names the columns have now."""
        listing = self._listing(entry)
        schema = _body(entry).schema
        found: list[DataFile] = []
        for manifest in listing.manifests:
            files = self._manifest_files(entry, listing, manifest)
            names = _renamed(listing.schemas[manifest.schema], schema)
            found += files if names is None else (_with_names(file, names) for file in files)
        return tuple(found)

    def iceberg(self, name: str, entry: Entry) -> "IcebergTable":
        """Give a table as PyIceberg sees it; read only."""
        body = _body(entry)
        found: IcebergTable = self._iceberg().static_table(
            self._storage, name, body.metadata, body.uuid
        )
        return found

    def new_paths(self, entry: Entry, base: Entry | None) -> tuple[str, ...]:
        """Give the files reachable from an entry and not from a base: what publication must sync.

        Data files, manifests, the manifest list, the metadata; relative. The staged input of
        upserts and deletions is reachable from the commit's record, not from here.
        """
        body = _body(entry)
        base_body = base.table if base is not None else None
        if base_body is not None and base_body.metadata == body.metadata:
            return ()
        listing = self._listing(entry)
        old = self._listing(base) if base is not None and base_body is not None else Listing()
        known = {manifest.name: manifest for manifest in old.manifests}
        new = [m for m in listing.manifests if known.pop(m.name, None) is None]
        gone: set[str] = set()
        if base is not None:
            gone = {f.path for m in known.values() for f in self._manifest_files(base, old, m)}
        paths = [
            file.path
            for manifest in new
            for file in self._manifest_files(entry, listing, manifest)
            if file.path not in gone
        ]
        paths += (manifest.path(_metadata_directory(body.uuid)) for manifest in new)
        if listing.manifest_list is not None and listing.manifest_list != old.manifest_list:
            paths.append(listing.manifest_list)
        return (*paths, body.metadata)

    def verify(self, entry: Entry, *, checksums: bool = True) -> list[Problem]:
        """Compare every file of a table with what was written; give what is wrong, file by file.

        With ``checksums`` every byte is read, else only lengths are compared.
        """
        problems: list[Problem] = []
        try:
            listing = self._iceberg().read_listing(
                self._storage, _body(entry).metadata, _body(entry).partition, table=""
            )
        except Corrupt as error:
            path = str(error.facts.get("path", _body(entry).metadata))
            return [Problem(path=path, what=error.code, message=error.message)]
        for manifest in listing.manifests:
            for file in listing.files[manifest.name]:
                problem = self._problem(file, checksums=checksums)
                if problem is not None:
                    problems.append(problem)
        return problems

    def forget(self) -> None:
        """Drop the caches; nothing is lost."""
        self._listings.clear()
        self._footers.clear()
        self._schema_ids.clear()
        self._schemas_of.clear()

    # -- writing metadata

    def _written(self, state: TableState, body: TableBody | None, table: str) -> TableBody:
        iceberg = self._iceberg()
        base = Listing()
        metadata = None
        if body is not None:
            base = self._listing_of(body)
            metadata = iceberg.read_metadata(self._storage, body.metadata)
        schema_id = (
            metadata.current_schema_id
            if metadata is not None and body is not None and body.schema == state.columns
            else self._schema_id(state.uuid, state.columns)
        )
        kept = () if state.fresh else base.manifests
        files_change = bool(state.added or state.removed or (state.fresh and base.manifests))
        sequence = metadata.last_sequence_number + 1 if metadata is not None else 1
        unique = self._ids.unique()
        directory = self._storage.metadata_directory(state.uuid)
        path = metadata_path(directory, sequence, unique)
        task = iceberg.ManifestTask(
            storage=self._storage,
            directory=directory,
            unique=unique,
            snapshot=_snapshot_id(unique),
            sequence=sequence,
            partition=state.partition,
            table=table,
        )
        removed, counts = self._removed(base, kept, state, body, table)
        pieces = self._pieces(base, kept, removed, state, schema_id, table)
        manifests, written = self._manifests(task, pieces, body)
        schemas = {piece.schema: piece.columns for piece in pieces} | {schema_id: state.columns}
        list_path = base.manifest_list
        snapshot = None
        if files_change:
            list_path = f"{directory}/{unique}-list.avro" if manifests else None
            if list_path is not None:
                iceberg.write_list(
                    self._storage,
                    list_path,
                    manifests,
                    snapshot=task.snapshot,
                    parent=metadata.current_snapshot_id if metadata is not None else None,
                    sequence=sequence,
                )
                snapshot = iceberg.SnapshotFacts(
                    id=task.snapshot,
                    sequence=sequence,
                    manifest_list=list_path,
                    operation=state.kind,
                    totals=_totals(state, counts, removed),
                )
        new = iceberg.new_metadata(
            self._storage,
            metadata,
            uuid=state.uuid,
            columns=state.columns,
            schema_id=schema_id,
            partition=state.partition,
            snapshot=snapshot,
            keep_snapshot=not files_change,
            now=self._clock.now(),
            table=table,
        )
        listing = Listing(
            manifest_list=list_path,
            schemas=schemas,
            manifests=manifests,
            files={item.manifest.name: item.files for item in written},
        )
        self._storage.create(path, new.model_dump_json().encode())
        self._storage.create(listing_path(path), encoded(listing))
        self._remember(listing_path(path), listing)
        return TableBody(
            uuid=state.uuid,
            metadata=path,
            schema=state.columns,
            rows=counts.rows,
            size_bytes=counts.size_bytes,
            files=counts.files,
            partition=state.partition,
            drop_epochs=dict(state.drop_epochs),
        )

    def _removed(
        self,
        base: Listing,
        kept: Sequence[Manifest],
        state: TableState,
        body: TableBody | None,
        table: str,
    ) -> tuple[dict[str, dict[str, DataFile]], "_Counts"]:
        """Find the removed files, by manifest; and count what the table has then."""
        removed: dict[str, dict[str, DataFile]] = {}
        wanted = set(state.removed)
        for manifest in kept:
            if not wanted:
                break
            files = self._files_of(base, manifest, state.uuid, state.partition)
            hit = {file.path: file for file in files if file.path in wanted}
            if hit:
                removed[manifest.name] = hit
                wanted -= hit.keys()
        if wanted:
            raise Internal(
                "file-not-in-table",
                f"Table {table!r} has no file {min(wanted)} that could be removed.",
                path=min(wanted),
            )
        counts = _Counts()
        if body is not None and not state.fresh:
            counts = _Counts(rows=body.rows, size_bytes=body.size_bytes, files=body.files)
        for files_by_path in removed.values():
            counts = counts.less(files_by_path.values())
        return removed, counts.more(state.added.values())

    def _pieces(
        self,
        base: Listing,
        kept: Sequence[Manifest],
        removed: Mapping[str, Mapping[str, DataFile]],
        state: TableState,
        schema_id: int,
        table: str,
    ) -> list[_Piece]:
        pieces = [
            _Piece(
                manifest.schema,
                base.schemas[manifest.schema],
                manifest,
                frozenset(removed.get(manifest.name, ())),
            )
            for manifest in kept
        ]
        pieces = [piece for piece in pieces if piece.files]
        groups: dict[tuple[Column, ...], list[NewFile]] = {}
        new_file = self._iceberg().NewFile
        for file in state.added.values():
            footer = self._footer(file, state.columns, *base.schemas.values())
            _check_file(file, footer.columns, state.columns, table)
            complete = self._with_partition(file, footer, state, table)
            groups.setdefault(footer.columns, []).append(new_file(file=complete, footer=footer))
        known = {columns: number for number, columns in base.schemas.items()}
        known[state.columns] = schema_id
        for columns, files in groups.items():
            number = known.get(columns)
            if number is None:
                number = self._schema_id(state.uuid, columns)
            pieces.append(_Piece(number, columns, new=tuple(files)))
        return pieces

    def _manifests(
        self, task: "ManifestTask", pieces: Sequence[_Piece], body: TableBody | None
    ) -> tuple[tuple[Manifest, ...], list["WrittenManifest"]]:
        manifests: list[Manifest] = []
        written: list[WrittenManifest] = []
        iceberg = self._iceberg()
        for group in merge_groups([Size(piece.schema, piece.files) for piece in pieces]):
            members = [pieces[position] for position in group]
            first = members[0]
            if len(members) == 1 and first.manifest is not None and not first.without:
                manifests.append(first.manifest)
                continue
            kept: list[tuple[ManifestEntry, DataFile]] = []
            for piece in members:
                if piece.manifest is None:
                    continue
                contents = iceberg.read_manifest(
                    self._storage,
                    iceberg.manifest_file(piece.manifest, self._storage, task.directory),
                    body.partition if body is not None else (),
                    table=task.table,
                )
                kept += (
                    (entry, file)
                    for entry, file in zip(contents.entries, contents.files, strict=True)
                    if file.path not in piece.without
                )
            done = task.write(
                len(written),
                schema_id=first.schema,
                columns=first.columns,
                new=[file for piece in members for file in piece.new],
                kept=kept,
            )
            manifests.append(done.manifest)
            written.append(done)
        return tuple(manifests), written

    def _with_partition(
        self, file: DataFile, footer: "Footer", state: TableState, table: str
    ) -> DataFile:
        if not state.partition:
            return file
        from headgate.lake.datafiles import partition_of

        fields = partition_fields(state.partition, footer.columns, table=table)
        if file.partition.keys() == {field.name for field in fields}:
            return file
        return replace(file, partition=partition_of(self.absolute(file.path), fields, footer))

    def _schemas_by_path(self, entry: Entry, listing: Listing) -> Mapping[str, int]:
        path = _body(entry).metadata
        found = self._schemas_of.get(path)
        if found is None:
            found = {
                file.path: manifest.schema
                for manifest in listing.manifests
                for file in self._manifest_files(entry, listing, manifest)
            }
            self._schemas_of.put(path, found, weight=1 + len(found))
        return found

    def _footer(self, file: DataFile, *known: tuple[Column, ...]) -> "Footer":
        """Give a file's footer; its columns as a known schema has them, if they are the same."""
        found = self._footers.get(file.path)
        if found is None:
            from headgate.lake.datafiles import read_footer, same_columns

            found = read_footer(self.absolute(file.path), always_bounded=file.bounds)
            for columns in known:
                if same_columns(found.columns, columns):
                    found = replace(found, columns=columns)
                    break
            self._footers.put(file.path, found)
        return found

    def _schema_id(self, uuid: str, columns: Sequence[Column]) -> int:
        name = "schema:" + digest(*(f"{c.id} {c.name} {c.type}" for c in columns))
        found = self._schema_ids.get(uuid + name)
        if found is None:
            found = self._allocation.allocate(f"{uuid}/schemas", (name,))[name]
            self._schema_ids.put(uuid + name, found)
        return found

    # -- reading metadata

    def _scan(
        self,
        entry: Entry,
        names: Sequence[str] | None,
        written: Iterable[tuple[Sequence[Column], Sequence[DataFile]]],
    ) -> Scan:
        from headgate.lake.scanning import scan_of, selected

        groups: dict[tuple[Column, ...], list[DataFile]] = {}
        for columns, files in written:
            groups.setdefault(tuple(columns), []).extend(files)
        return scan_of(self._storage, selected(_body(entry).schema, names), groups.items())

    def _listing(self, entry: Entry) -> Listing:
        return self._listing_of(_body(entry))

    def _listing_of(self, body: TableBody) -> Listing:
        path = listing_path(body.metadata)
        found = self._stored_listing(path)
        if found is None:
            found = self._iceberg().read_listing(
                self._storage, body.metadata, body.partition, table=body.uuid
            )
            self._remember(path, found)
        return found

    def _manifest_files(
        self, entry: Entry, listing: Listing, manifest: Manifest
    ) -> tuple[DataFile, ...]:
        return self._files_of(listing, manifest, _body(entry).uuid, _body(entry).partition)

    def _files_of(
        self, listing: Listing, manifest: Manifest, uuid: str, partition: Sequence[str]
    ) -> tuple[DataFile, ...]:
        files = listing.files.get(manifest.name)
        directory = _metadata_directory(uuid)
        if files is None:
            holder = self._stored_listing(manifest.listing(directory))
            files = holder.files.get(manifest.name) if holder is not None else None
        if files is None:
            iceberg = self._iceberg()
            described = iceberg.manifest_file(manifest, self._storage, directory)
            contents = iceberg.read_manifest(self._storage, described, partition, table=uuid)
            files = contents.files
        return files

    def _stored_listing(self, path: str) -> Listing | None:
        found = self._listings.get(path)
        if found is None:
            try:
                found = decoded(Path(self.absolute(path)).read_bytes())
            except FileNotFoundError:
                return None
            if found is not None:
                self._remember(path, found)
        return found

    def _remember(self, path: str, listing: Listing) -> None:
        weight = 1 + len(listing.manifests) + sum(map(len, listing.files.values()))
        self._listings.put(path, listing, weight=weight)

    def _problem(self, file: DataFile, *, checksums: bool) -> Problem | None:
        path = self.absolute(file.path)
        reason = None
        try:
            size = Path(path).stat().st_size
            if size != file.size_bytes:
                reason = f"it has {size} bytes, {file.size_bytes} were written"
            elif checksums and file.checksum and file_checksum(path) != file.checksum:
                reason = "its bytes are others than were written"
        except FileNotFoundError:
            error = data_file_missing(path)
            return Problem(path=path, what=error.code, message=error.message)
        except OSError as error:
            reason = str(error)
        if reason is None:
            return None
        damaged = data_file_damaged(path, reason)
        return Problem(
            path=path, what=damaged.code, message=f"{damaged.message.rstrip('.')}: {reason}."
        )

    def _iceberg(self) -> ModuleType:
        from headgate.lake import iceberg

        return iceberg


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counts:
    rows: int = 0
    size_bytes: int = 0
    files: int = 0

    def more(self, files: Iterable[DataFile], sign: int = 1) -> "_Counts":
        rows, size, count = self.rows, self.size_bytes, self.files
        for file in files:
            rows += sign * file.rows
            size += sign * file.size_bytes
            count += sign
        return _Counts(rows=rows, size_bytes=size, files=count)

    def less(self, files: Iterable[DataFile]) -> "_Counts":
        return self.more(files, -1)


def _totals(
    state: TableState, counts: _Counts, removed: Mapping[str, Mapping[str, DataFile]]
) -> dict[str, int]:
    added = _Counts().more(state.added.values())
    totals = {
        "added-data-files": added.files,
        "added-records": added.rows,
        "added-files-size": added.size_bytes,
        "total-data-files": counts.files,
        "total-records": counts.rows,
        "total-files-size": counts.size_bytes,
        "total-delete-files": 0,
        "total-position-deletes": 0,
        "total-equality-deletes": 0,
    }
    gone = _Counts()
    for files in removed.values():
        gone = gone.more(files.values())
    if gone.files:
        totals |= {
            "deleted-data-files": gone.files,
            "deleted-records": gone.rows,
            "removed-files-size": gone.size_bytes,
        }
    return totals


def _differs(state: TableState, body: TableBody) -> bool:
    return (
        state.fresh
        or bool(state.added or state.removed)
        or state.columns != body.schema
        or dict(state.drop_epochs) != body.drop_epochs
    )


def _with(body: TableBody, *, key_columns: tuple[str, ...], owner: str | None) -> TableBody:
    if body.key_columns == key_columns and body.owner == owner:
        return body
    return TableBody(
        uuid=body.uuid,
        metadata=body.metadata,
        schema=body.schema,
        rows=body.rows,
        size_bytes=body.size_bytes,
        files=body.files,
        owner=owner,
        key_columns=key_columns,
        partition=body.partition,
        drop_epochs=body.drop_epochs,
    )


def _metadata_directory(uuid: str) -> str:
    return f"metadata/{uuid}"


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


def _snapshot_id(unique: str) -> int:
    return int(digest(unique)[:15], 16)


def _check_keys(key_columns: Sequence[str], incoming: Sequence[Column], table: str) -> None:
    names = {column.name for column in incoming}
    for key in key_columns:
        if key not in names:
            raise Invalid(
                "schema-key-missing",
                f"The rows for table {table!r} lack the key column {key!r}.",
                hint="Return the key column, or declare another key. Columns: " + ", ".join(names),
                table=table,
                column=key,
            )


def _check_divides(
    partition: Sequence[PartitionField], incoming: Sequence[Column], table: str
) -> None:
    names = {column.name for column in incoming}
    for field in partition:
        if field.column not in names:
            raise Invalid(
                "partition-column-missing",
                f"The rows for table {table!r} lack {field.column!r}, which it is partitioned by.",
                hint="Return the column, NULL where it has no value.",
                table=table,
                column=field.column,
            )


def _check_partition(wanted: Sequence[str], there: Sequence[str], table: str) -> None:
    if wanted and tuple(wanted) != tuple(there):
        raise Invalid(
            "partition-differs",
            f"Table {table!r} is partitioned by ({', '.join(there) or 'nothing'}), not by"
            f" ({', '.join(wanted)}).",
            hint="Drop the table first, or write another one: a table keeps its partition.",
            table=table,
        )


def _check_file(
    file: DataFile, found: Sequence[Column], columns: Sequence[Column], table: str
) -> None:
    """Check that a file's columns, by id, have types that the table's can hold."""
    by_id = {column.id: column for column in columns}
    for column in found:
        known = by_id.get(column.id)
        if known is None or known.type == column.type:
            continue
        if plain(known.type).split("<")[0] == plain(column.type).split("<")[0]:
            continue
        if not widens(plain(column.type), plain(known.type)):
            raise Conflict(
                "column-differs",
                f"File {file.path} has {plain(column.type)} in column {known.name!r}, where table"
                f" {table!r} has {plain(known.type)}.",
                hint="Run the step again on the new schema.",
                table=table,
                column=known.name,
            )
