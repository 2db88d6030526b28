"""Iceberg's manifests and manifest lists, read and written with PyIceberg's classes.

A manifest holds files of one write-time schema, which its own header names (Iceberg spec,
"Manifests"), and the checksums of its files under a key of ours, which other readers pass over.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

import msgspec
from pyiceberg.avro.file import AvroFile
from pyiceberg.conversions import from_bytes, to_bytes
from pyiceberg.manifest import (
    MANIFEST_ENTRY_SCHEMAS,
    DataFileContent,
    FileFormat,
    ManifestContent,
    ManifestEntry,
    ManifestEntryStatus,
    ManifestFile,
    ManifestWriterV2,
    PartitionFieldSummary,
    read_manifest_list,
    write_manifest_list,
)
from pyiceberg.manifest import DataFile as IcebergFile
from pyiceberg.schema import Schema
from pyiceberg.typedef import Record
from pyiceberg.types import (
    DateType,
    IcebergType,
    PrimitiveType,
    TimestampType,
    TimestamptzType,
    TimeType,
)

from headgate.errors import Refused
from headgate.filesets import DataFile
from headgate.lake.bounds import scalar_bounds
from headgate.lake.datafiles import Footer
from headgate.lake.iceberg_bytes import MemoryInput, MemoryOutput
from headgate.lake.iceberg_schemas import columns_of, iceberg_schema, partition_spec
from headgate.lake.listings import Manifest, Summary, manifest_path
from headgate.lake.operations import Column
from headgate.lake.partitions import partition_fields
from headgate.lake.storage import Storage, metadata_damaged

CHECKSUMS = "headgate.checksums"
_CODEC: Literal["deflate"] = "deflate"
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - Iceberg's timestamp has no zone


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFile:
    """A data file that enters the table, with what its footer says."""

    file: DataFile
    footer: Footer


class _Manifests(ManifestWriterV2):
    """PyIceberg's writer, with the files' checksums in the header."""

    checksums: Mapping[str, str] = {}

    @property
    def _meta(self) -> dict[str, str]:
        return {**super()._meta, CHECKSUMS: msgspec.json.encode(self.checksums).decode()}


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestContents:
    """What a manifest says: its entries, with sequence numbers, and its files as we know them."""

    schema_id: int
    columns: tuple[Column, ...]
    entries: tuple[ManifestEntry, ...]
    files: tuple[DataFile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenManifest:
    """A manifest just written, and its files."""

    manifest: Manifest
    files: tuple[DataFile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestTask:
    """Where and under what a commit writes its manifests.

    ``creating`` takes the files: they are created together with the others of the commit.
    """

    storage: Storage
    creating: dict[str, bytes]
    directory: str
    unique: str
    snapshot: int
    sequence: int
    partition: tuple[str, ...]
    table: str

    def write(
        self,
        number: int,
        *,
        schema_id: int,
        columns: tuple[Column, ...],
        new: Sequence[NewFile] = (),
        kept: Sequence[tuple[ManifestEntry, DataFile]] = (),
    ) -> WrittenManifest:
        """Write one manifest of new files and of files that were in the table before."""
        schema = iceberg_schema(columns, schema_id)
        fields = partition_fields(self.partition, columns, table=self.table)
        name = f"{self.unique}-{number}"
        path = manifest_path(self.directory, name)
        output = MemoryOutput(self.storage.absolute(path))
        writer = _Manifests(partition_spec(fields, columns), schema, output, self.snapshot, _CODEC)
        files = (*(item.file for item in new), *(file for _, file in kept))
        writer.checksums = {file.path: file.checksum for file in files}
        types = {
            field.field_id: field.field_type
            for field in schema.fields
            if isinstance(field.field_type, PrimitiveType)
        }
        names = tuple(field.name for field in fields)
        with writer:
            for item in new:
                writer.add_entry(self._added(item, types, names))
            for entry, _ in kept:
                writer.existing(entry)
        described = writer.to_manifest_file()
        self.creating[path] = output.stream.getvalue()
        return WrittenManifest(
            manifest=Manifest(
                name=name,
                length=len(output),
                schema=schema_id,
                snapshot=self.snapshot,
                sequence=self.sequence,
                min_sequence=min(
                    (entry.sequence_number or 0 for entry, _ in kept), default=self.sequence
                ),
                added=(len(new), sum(item.file.rows for item in new)),
                existing=(len(kept), sum(file.rows for _, file in kept)),
                partitions=summaries(described.partitions),
            ),
            files=files,
        )

    def _added(
        self, item: NewFile, types: Mapping[int, PrimitiveType], names: Sequence[str]
    ) -> ManifestEntry:
        footer, file = item.footer, item.file
        return ManifestEntry.from_args(
            _table_format_version=2,
            status=ManifestEntryStatus.ADDED,
            snapshot_id=self.snapshot,
            sequence_number=None,
            file_sequence_number=None,
            data_file=IcebergFile.from_args(
                _table_format_version=2,
                content=DataFileContent.DATA,
                file_path=self.storage.absolute(file.path),
                file_format=FileFormat.PARQUET,
                partition=Record(*(file.partition[name] for name in names)),
                record_count=file.rows,
                file_size_in_bytes=file.size_bytes,
                column_sizes=dict(footer.sizes),
                value_counts=dict(footer.values),
                null_value_counts=dict(footer.nulls),
                nan_value_counts={},
                lower_bounds={i: to_bytes(types[i], v) for i, v in footer.low.items()},
                upper_bounds={i: to_bytes(types[i], v) for i, v in footer.high.items()},
                key_metadata=None,
                split_offsets=None,
                equality_ids=None,
                sort_order_id=None,
            ),
        )


def read_manifest(
    storage: Storage, described: ManifestFile, partition: Sequence[str], *, table: str
) -> ManifestContents:
    """Read a manifest's entries and files.

    Raises:
        Refused: ``delete-files-unsupported``.
        Corrupt: ``metadata-missing``, ``metadata-damaged``.
    """
    path = storage.relative(described.manifest_path)
    if described.content != ManifestContent.DATA:
        raise delete_files(table, path)
    content = storage.read(path)
    try:
        with AvroFile[ManifestEntry](
            MemoryInput(path, content),
            MANIFEST_ENTRY_SCHEMAS[2],
            read_types={-1: ManifestEntry, 2: IcebergFile},
            read_enums={0: ManifestEntryStatus, 101: FileFormat, 134: DataFileContent},
        ) as reader:
            meta = reader.header.meta
            entries = [_numbered(entry, described) for entry in reader]
    except (ValueError, EOFError, KeyError) as error:
        raise metadata_damaged(storage.absolute(path), error) from error
    schema = Schema.model_validate_json(meta["schema"])
    columns = columns_of(schema)
    checksums: dict[str, str] = msgspec.json.decode(meta.get(CHECKSUMS, "{}"))
    names = tuple(field.name for field in partition_fields(partition, columns, table=table))
    live = tuple(e for e in entries if e.status != ManifestEntryStatus.DELETED)
    return ManifestContents(
        schema_id=schema.schema_id,
        columns=columns,
        entries=live,
        files=tuple(_file(storage, e.data_file, schema, names, checksums, table) for e in live),
    )


def manifest_file(manifest: Manifest, storage: Storage, directory: str) -> ManifestFile:
    """Give a manifest as an entry of a manifest list."""
    return ManifestFile.from_args(
        _table_format_version=2,
        manifest_path=storage.absolute(manifest.path(directory)),
        manifest_length=manifest.length,
        partition_spec_id=0,
        content=ManifestContent.DATA,
        sequence_number=manifest.sequence,
        min_sequence_number=manifest.min_sequence,
        added_snapshot_id=manifest.snapshot,
        added_files_count=manifest.added[0],
        existing_files_count=manifest.existing[0],
        deleted_files_count=0,
        added_rows_count=manifest.added[1],
        existing_rows_count=manifest.existing[1],
        deleted_rows_count=0,
        partitions=[
            PartitionFieldSummary(s.has_null, s.has_nan, s.low, s.high) for s in manifest.partitions
        ],
        key_metadata=None,
    )


def manifest_list(
    storage: Storage,
    path: str,
    manifests: Iterable[Manifest],
    *,
    snapshot: int,
    parent: int | None,
    sequence: int,
) -> bytes:
    """Give a manifest list's bytes."""
    directory, _, _ = path.rpartition("/")
    output = MemoryOutput(storage.absolute(path))
    with write_manifest_list(2, output, snapshot, parent, sequence, _CODEC) as writer:
        writer.add_manifests(
            [manifest_file(manifest, storage, directory) for manifest in manifests]
        )
    return output.stream.getvalue()


def read_manifests(storage: Storage, path: str) -> list[ManifestFile]:
    """Read a manifest list.

    Raises:
        Corrupt: ``metadata-missing``, ``metadata-damaged``.
    """
    content = storage.read(path)
    try:
        return list(read_manifest_list(MemoryInput(path, content)))
    except (ValueError, EOFError, KeyError) as error:
        raise metadata_damaged(storage.absolute(path), error) from error


def _numbered(entry: ManifestEntry, manifest: ManifestFile) -> ManifestEntry:
    """Fill in what an entry inherits (Iceberg spec, "Sequence Number Inheritance")."""
    if entry.snapshot_id is None and manifest.added_snapshot_id is not None:
        entry.snapshot_id = manifest.added_snapshot_id
    if entry.sequence_number is None:
        entry.sequence_number = manifest.sequence_number
    if entry.file_sequence_number is None:
        entry.file_sequence_number = manifest.sequence_number
    return entry


def _file(
    storage: Storage,
    found: IcebergFile,
    schema: Schema,
    names: Sequence[str],
    checksums: Mapping[str, str],
    table: str,
) -> DataFile:
    path = storage.relative(found.file_path)
    if found.content != DataFileContent.DATA:
        raise delete_files(table, path)
    bounds: dict[str, tuple[object, object]] = {}
    for field in schema.fields:
        pair = scalar_bounds(
            _value(field.field_type, (found.lower_bounds or {}).get(field.field_id)),
            _value(field.field_type, (found.upper_bounds or {}).get(field.field_id)),
        )
        if pair != (None, None):
            bounds[field.name] = pair
    return DataFile(
        path=path,
        rows=found.record_count,
        size_bytes=found.file_size_in_bytes,
        checksum=checksums.get(path, ""),
        bounds=bounds,
        partition={name: found.partition[i] for i, name in enumerate(names)},
    )


def _value(type_: IcebergType, bound: bytes | None) -> object:
    """Read a bound as Python value; instants come as numbers of their unit."""
    if bound is None or not isinstance(type_, PrimitiveType):
        return None
    value: Any = from_bytes(type_, bound)
    match type_:
        case DateType():
            return date(1970, 1, 1) + timedelta(days=value)
        case TimestampType():
            return _EPOCH + timedelta(microseconds=value)
        case TimestamptzType():
            return (_EPOCH + timedelta(microseconds=value)).replace(tzinfo=UTC)
        case TimeType():
            return (_EPOCH + timedelta(microseconds=value)).time()
        case _:
            found: object = value
            return found


def summaries(
    found: Sequence[PartitionFieldSummary] | None,
) -> tuple[Summary, ...]:
    """Give what PyIceberg says of a manifest's partition values."""
    return tuple(
        Summary(s.contains_null, s.contains_nan, s.lower_bound, s.upper_bound) for s in found or ()
    )


def delete_files(table: str, path: str) -> Refused:
    """Give the error for a table whose rows were deleted by delete files, which we do not read."""
    return Refused(
        "delete-files-unsupported",
        f"Table {table!r} has delete files ({path}): read without them it would show deleted rows.",
        hint="Delete in copy-on-write mode, or rewrite the table.",
        table=table,
        path=path,
    )
