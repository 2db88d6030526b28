"""Writing a table's next state: manifests, manifest list, metadata and listing, once per commit."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from pyiceberg.manifest import ManifestEntry

from headgate.clock import Clock
from headgate.digests import digest
from headgate.errors import Conflict, Internal
from headgate.filesets import DataFile
from headgate.lake.allocation import Allocation
from headgate.lake.column_types import plain
from headgate.lake.datafiles import Footer, Footers, footer_bounds, partition_of
from headgate.lake.entries import TableBody
from headgate.lake.file_lists import FileLists
from headgate.lake.listings import Listing, Manifest, encoded, listing_path, metadata_path
from headgate.lake.manifest_merging import Size, merge_groups
from headgate.lake.manifests import (
    ManifestTask,
    NewFile,
    WrittenManifest,
    manifest_file,
    manifest_list,
    read_manifest,
)
from headgate.lake.operations import Column
from headgate.lake.partitions import partition_fields
from headgate.lake.schema_changes import widens
from headgate.lake.storage import Storage
from headgate.lake.table_metadata import SnapshotFacts, new_metadata, read_metadata
from headgate.lake.table_states import TableState
from headgate.names import Ids
from headgate.recent import Recent


@dataclass(frozen=True, slots=True)
class _Piece:
    """Files that may go into one manifest: of an older manifest without some, or new ones."""

    schema: int
    columns: tuple[Column, ...]
    manifest: Manifest | None = None
    without: frozenset[str] = frozenset()
    new: tuple[NewFile, ...] = ()

    @property
    def files(self) -> int:
        there = self.manifest.files - len(self.without) if self.manifest is not None else 0
        return there + len(self.new)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableWriter:
    """Writes tables of one lake. Keeps nothing but caches."""

    storage: Storage
    lists: FileLists
    footers: Footers
    schema_ids: Recent[int]
    allocation: Allocation
    ids: Ids
    clock: Clock

    def write(self, state: TableState, body: TableBody | None, table: str) -> TableBody:
        """Write a table's state down, as the successor of what it was; None for a new table."""
        base = Listing()
        metadata = None
        if body is not None:
            base = self.lists.listing(body)
            metadata = read_metadata(self.storage, body.metadata)
        schema_id = (
            metadata.current_schema_id
            if metadata is not None and body is not None and body.schema == state.columns
            else self._schema_id(state.uuid, state.columns)
        )
        kept = () if state.fresh else base.manifests
        files_change = bool(state.added or state.removed or (state.fresh and base.manifests))
        sequence = metadata.last_sequence_number + 1 if metadata is not None else 1
        unique = self.ids.unique()
        directory = self.storage.make_metadata_directory(state.uuid)
        path = metadata_path(directory, sequence, unique)
        creating: dict[str, bytes] = {}
        task = ManifestTask(
            storage=self.storage,
            creating=creating,
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
                creating[list_path] = manifest_list(
                    self.storage,
                    list_path,
                    manifests,
                    snapshot=task.snapshot,
                    parent=metadata.current_snapshot_id if metadata is not None else None,
                    sequence=sequence,
                )
                snapshot = SnapshotFacts(
                    id=task.snapshot,
                    sequence=sequence,
                    manifest_list=list_path,
                    operation=state.kind,
                    totals=_totals(state, counts, removed),
                )
        new = new_metadata(
            self.storage,
            metadata,
            uuid=state.uuid,
            columns=state.columns,
            schema_id=schema_id,
            partition=state.partition,
            sort_by=state.sort_by,
            properties=state.properties,
            snapshot=snapshot,
            keep_snapshot=not files_change,
            now=self.clock.now(),
            table=table,
        )
        listing = Listing(
            manifest_list=list_path,
            schemas=schemas,
            manifests=manifests,
            files={item.manifest.name: item.files for item in written},
        )
        creating[path] = new.model_dump_json().encode()
        creating[listing_path(path)] = encoded(listing)
        self.storage.create_all(creating)
        self.lists.remember(listing_path(path), listing)
        return TableBody(
            uuid=state.uuid,
            metadata=path,
            schema=state.columns,
            rows=counts.rows,
            size_bytes=counts.size_bytes,
            files=counts.files,
            partition=state.partition,
            drop_epochs=dict(state.drop_epochs),
            properties=dict(state.properties),
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
            files = self.lists.files(base, manifest, state.uuid, state.partition)
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
        for file in state.added.values():
            footer = self.footers.footer(file, state.columns, *base.schemas.values())
            _check_file(file, footer.columns, state.columns, table)
            complete = self._with_partition(
                replace(file, bounds=footer_bounds(footer)), footer, state, table
            )
            groups.setdefault(footer.columns, []).append(NewFile(file=complete, footer=footer))
        known = {columns: number for number, columns in base.schemas.items()}
        known[state.columns] = schema_id
        for columns, files in groups.items():
            number = known.get(columns)
            if number is None:
                number = self._schema_id(state.uuid, columns)
            pieces.append(_Piece(number, columns, new=tuple(files)))
        return pieces

    def _manifests(
        self, task: ManifestTask, pieces: Sequence[_Piece], body: TableBody | None
    ) -> tuple[tuple[Manifest, ...], list[WrittenManifest]]:
        manifests: list[Manifest] = []
        written: list[WrittenManifest] = []
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
                contents = read_manifest(
                    self.storage,
                    manifest_file(piece.manifest, self.storage, task.directory),
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
        self, file: DataFile, footer: Footer, state: TableState, table: str
    ) -> DataFile:
        if not state.partition:
            return file
        fields = partition_fields(state.partition, footer.columns, table=table)
        if file.partition.keys() == {field.name for field in fields}:
            return file
        return replace(file, partition=partition_of(self.storage, file.path, fields, footer))

    def _schema_id(self, uuid: str, columns: Sequence[Column]) -> int:
        name = "schema:" + digest(*(f"{c.id} {c.name} {c.type}" for c in columns))
        found = self.schema_ids.get(uuid + name)
        if found is None:
            found = self.allocation.allocate(f"{uuid}/schemas", (name,))[name]
            self.schema_ids.put(uuid + name, found)
        return found


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


def _snapshot_id(unique: str) -> int:
    return int(digest(unique)[:15], 16)


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
