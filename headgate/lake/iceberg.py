"""Iceberg's files: table metadata, manifest lists and manifests, through PyIceberg's classes.

Each is built once and written once; nothing is copied deeply and no transaction object is involved.
A manifest holds files of one write-time schema, which its own header names (Iceberg spec,
"Manifests"), and the checksums of its files under a key of ours, which other readers pass over.
"""

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import PurePosixPath
from typing import Any, Literal
from uuid import UUID

import msgspec
from pyiceberg.avro.file import AvroFile
from pyiceberg.catalog.noop import NoopCatalog
from pyiceberg.conversions import from_bytes, to_bytes
from pyiceberg.exceptions import ValidationError
from pyiceberg.io import InputFile, InputStream, OutputFile, OutputStream
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
from pyiceberg.partitioning import PartitionField as IcebergPartitionField
from pyiceberg.partitioning import PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import CommitTableResponse, Table
from pyiceberg.table.metadata import TableMetadata, TableMetadataUtil, TableMetadataV2
from pyiceberg.table.snapshots import Operation as SnapshotOperation
from pyiceberg.table.snapshots import Snapshot, SnapshotLogEntry, Summary
from pyiceberg.table.sorting import UNSORTED_SORT_ORDER
from pyiceberg.table.update import TableRequirement, TableUpdate
from pyiceberg.transforms import parse_transform
from pyiceberg.typedef import Record
from pyiceberg.types import (
    BinaryType,
    BooleanType,
    DateType,
    DecimalType,
    DoubleType,
    FixedType,
    FloatType,
    IcebergType,
    IntegerType,
    ListType,
    LongType,
    MapType,
    NestedField,
    PrimitiveType,
    StringType,
    StructType,
    TimestampType,
    TimestamptzType,
    TimeType,
    UUIDType,
)

from headgate.errors import Refused
from headgate.files import DataFile
from headgate.lake import listings
from headgate.lake.bounds import scalar_bounds
from headgate.lake.column_types import (
    Field,
    ListOf,
    MapOf,
    StructOf,
    Type,
    decimal_digits,
    highest_id,
    parse,
    text,
)
from headgate.lake.datafiles import Footer
from headgate.lake.iceberg_io import LakeIO
from headgate.lake.listings import Listing, Manifest
from headgate.lake.operations import Column
from headgate.lake.partitions import PartitionField, partition_fields
from headgate.lake.storage import Storage, metadata_damaged

CHECKSUMS = "headgate.checksums"
_CODEC: Literal["deflate"] = "deflate"
_FIRST_PARTITION_ID = 1000
_PRIMITIVES: Mapping[str, PrimitiveType] = {
    "boolean": BooleanType(),
    "int": IntegerType(),
    "long": LongType(),
    "float": FloatType(),
    "double": DoubleType(),
    "string": StringType(),
    "binary": BinaryType(),
    "date": DateType(),
    "time": TimeType(),
    "timestamp": TimestampType(),
    "timestamptz": TimestamptzType(),
    "uuid": UUIDType(),
}
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - Iceberg's timestamp has no zone


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFile:
    """A data file that enters the table, with what its footer says."""

    file: DataFile
    footer: Footer


# -- schemas and specs


def iceberg_schema(columns: Sequence[Column], schema_id: int) -> Schema:
    """Give columns as PyIceberg's schema; every field optional but map keys."""
    return Schema(
        *(
            NestedField(
                field_id=column.id,
                name=column.name,
                field_type=_iceberg_type(parse(column.type)),
                required=False,
            )
            for column in columns
        ),
        schema_id=schema_id,
    )


def columns_of(schema: Schema) -> tuple[Column, ...]:
    """Give the columns of PyIceberg's schema."""
    return tuple(
        Column(name=field.name, type=text(_type(field.field_type)), id=field.field_id)
        for field in schema.fields
    )


def partition_spec(fields: Sequence[PartitionField], columns: Sequence[Column]) -> PartitionSpec:
    """Give a table's partition spec: the only one it has, numbered 0."""
    ids = {column.name: column.id for column in columns}
    return PartitionSpec(
        *(
            IcebergPartitionField(
                source_id=ids[field.column],
                field_id=_FIRST_PARTITION_ID + number,
                transform=parse_transform(field.iceberg_transform),
                name=field.name,
            )
            for number, field in enumerate(fields)
        ),
        spec_id=0,
    )


def _iceberg_type(type_: Type) -> IcebergType:
    match type_:
        case str():
            return _primitive(type_)
        case ListOf(element, element_id):
            return ListType(
                element_id=element_id, element_type=_iceberg_type(element), element_required=False
            )
        case MapOf(key, value, key_id, value_id):
            return MapType(
                key_id=key_id,
                key_type=_iceberg_type(key),
                value_id=value_id,
                value_type=_iceberg_type(value),
                value_required=False,
            )
        case StructOf(fields):
            return StructType(
                *(
                    NestedField(
                        field_id=f.id,
                        name=f.name,
                        field_type=_iceberg_type(f.type),
                        required=False,
                    )
                    for f in fields
                )
            )


def _primitive(type_: str) -> PrimitiveType:
    known = _PRIMITIVES.get(type_)
    if known is not None:
        return known
    if digits := decimal_digits(type_):
        return DecimalType(*digits)
    return FixedType(int(type_.removeprefix("fixed[").removesuffix("]")))


def _type(type_: IcebergType) -> Type:
    match type_:
        case ListType():
            return ListOf(_type(type_.element_type), type_.element_id)
        case MapType():
            return MapOf(
                _type(type_.key_type), _type(type_.value_type), type_.key_id, type_.value_id
            )
        case StructType():
            return StructOf(
                tuple(Field(f.name, _type(f.field_type), f.field_id) for f in type_.fields)
            )
        case _:
            return str(type_)


# -- bytes in and out


class _Written(io.BytesIO):
    """Keeps its bytes when PyIceberg closes it."""

    def close(self) -> None:
        """Stay open; the bytes are taken afterwards."""


class _MemoryOutput(OutputFile):
    """Collects a file's bytes, to be created in one exclusive write."""

    def __init__(self, location: str) -> None:
        super().__init__(location)
        self.stream = _Written()

    def __len__(self) -> int:
        return self.stream.getbuffer().nbytes

    def exists(self) -> bool:
        """Nothing is there before it is created."""
        return False

    def to_input_file(self) -> InputFile:
        """Give the bytes back."""
        return _MemoryInput(self.location, self.stream.getvalue())

    def create(self, overwrite: bool = False) -> OutputStream:  # noqa: FBT001, FBT002, ARG002
        """Give the buffer."""
        return self.stream


class _MemoryInput(InputFile):
    """A file that was read already."""

    def __init__(self, location: str, content: bytes) -> None:
        super().__init__(location)
        self._content = content

    def __len__(self) -> int:
        return len(self._content)

    def exists(self) -> bool:
        """It was read."""
        return True

    def open(self, seekable: bool = True) -> InputStream:  # noqa: FBT001, FBT002, ARG002
        """Give the bytes."""
        return io.BytesIO(self._content)


# -- manifests


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
    """Where and under what a commit writes its manifests."""

    storage: Storage
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
        path = listings.manifest_path(self.directory, name)
        output = _MemoryOutput(self.storage.absolute(path))
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
        self.storage.create(path, output.stream.getvalue())
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
                partitions=_summaries(described.partitions),
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
            _MemoryInput(path, content),
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


def write_list(
    storage: Storage,
    path: str,
    manifests: Iterable[Manifest],
    *,
    snapshot: int,
    parent: int | None,
    sequence: int,
) -> None:
    """Write a manifest list."""
    directory, _, _ = path.rpartition("/")
    output = _MemoryOutput(storage.absolute(path))
    with write_manifest_list(2, output, snapshot, parent, sequence, _CODEC) as writer:
        writer.add_manifests(
            [manifest_file(manifest, storage, directory) for manifest in manifests]
        )
    storage.create(path, output.stream.getvalue())


def read_listing(storage: Storage, path: str, partition: Sequence[str], *, table: str) -> Listing:
    """Read a table's file list from its Iceberg files.

    Raises:
        Refused: ``delete-files-unsupported``.
        Corrupt: ``metadata-missing``, ``metadata-damaged``.
    """
    metadata = read_metadata(storage, path)
    current = metadata.schema()
    schemas = {current.schema_id: columns_of(current)}
    snapshot = metadata.current_snapshot()
    if snapshot is None:
        return Listing(schemas=schemas)
    list_path = storage.relative(snapshot.manifest_list)
    manifests: list[Manifest] = []
    files: dict[str, tuple[DataFile, ...]] = {}
    for described in read_manifests(storage, list_path):
        contents = read_manifest(storage, described, partition, table=table)
        schemas[contents.schema_id] = contents.columns
        name = PurePosixPath(described.manifest_path).stem
        files[name] = contents.files
        manifests.append(
            Manifest(
                name=name,
                length=described.manifest_length,
                schema=contents.schema_id,
                snapshot=described.added_snapshot_id or 0,
                sequence=described.sequence_number,
                min_sequence=described.min_sequence_number,
                added=(described.added_files_count or 0, described.added_rows_count or 0),
                existing=(described.existing_files_count or 0, described.existing_rows_count or 0),
                partitions=_summaries(described.partitions),
            )
        )
    return Listing(
        manifest_list=list_path, schemas=schemas, manifests=tuple(manifests), files=files
    )


def read_manifests(storage: Storage, path: str) -> list[ManifestFile]:
    """Read a manifest list.

    Raises:
        Corrupt: ``metadata-missing``, ``metadata-damaged``.
    """
    content = storage.read(path)
    try:
        return list(read_manifest_list(_MemoryInput(path, content)))
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


def _summaries(
    found: Sequence[PartitionFieldSummary] | None,
) -> tuple[listings.Summary, ...]:
    return tuple(
        listings.Summary(s.contains_null, s.contains_nan, s.lower_bound, s.upper_bound)
        for s in found or ()
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


# -- table metadata


class _ReadOnly(NoopCatalog):
    """The catalog of a table at a commit."""

    def commit_table(
        self,
        table: Table,
        requirements: tuple[TableRequirement, ...],  # noqa: ARG002 - PyIceberg's signature
        updates: tuple[TableUpdate, ...],  # noqa: ARG002
    ) -> CommitTableResponse:
        """Refuse: a commit never changes."""
        name = ".".join(table.name())
        raise Refused(
            "ref-fixed",
            f"{name} was opened as it is at a commit: nothing can be written to it.",
            readers="Nothing was written.",
            hint="Open the catalog of a branch of your own, or write in a transaction.",
            table=name,
        )


def static_table(storage: Storage, name: str, metadata: str, uuid: str) -> Table:
    """Give a table as PyIceberg reads it, at a commit."""
    return Table(
        identifier=tuple(name.split(".")),
        metadata=metadata_here(storage, metadata, uuid),
        metadata_location=storage.absolute(metadata),
        io=LakeIO(storage),
        catalog=_ReadOnly("headgate"),
    )


def metadata_here(storage: Storage, path: str, uuid: str) -> TableMetadata:
    """Read a table's metadata, with the paths of where the lake is now; the IO finds manifests.

    Raises:
        Corrupt: ``metadata-missing``, ``metadata-damaged``.
    """
    metadata = read_metadata(storage, path)
    data = storage.absolute(f"data/{uuid}")
    if metadata.location == data or not isinstance(metadata, TableMetadataV2):
        return metadata
    properties = metadata.properties | {
        "write.data.path": data,
        "write.metadata.path": storage.absolute(f"metadata/{uuid}"),
    }
    return metadata.model_copy(update={"location": data, "properties": properties})


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotFacts:
    """The snapshot a commit adds."""

    id: int
    sequence: int
    manifest_list: str
    operation: str
    totals: Mapping[str, int]


def read_metadata(storage: Storage, path: str) -> TableMetadata:
    """Read a ``metadata.json``.

    Raises:
        Corrupt: ``metadata-missing``, ``metadata-damaged``.
    """
    content = storage.read(path)
    try:
        return TableMetadataUtil.parse_raw(content.decode())
    except (ValueError, ValidationError) as error:
        raise metadata_damaged(storage.absolute(path), error) from error


def new_metadata(
    storage: Storage,
    before: TableMetadata | None,
    *,
    uuid: str,
    columns: tuple[Column, ...],
    schema_id: int,
    partition: tuple[str, ...],
    snapshot: SnapshotFacts | None,
    keep_snapshot: bool,
    now: datetime,
    table: str,
) -> TableMetadataV2:
    """Build a table's next metadata: its current schema and one snapshot at most.

    ``snapshot`` None keeps the snapshot there was (``keep_snapshot``), or leaves the table empty.
    """
    milliseconds = int(now.timestamp() * 1000)
    schemas = {schema_id: iceberg_schema(columns, schema_id)}
    kept = before.current_snapshot() if before is not None and keep_snapshot else None
    if snapshot is not None:
        previous = before.current_snapshot_id if before is not None else None
        current: Snapshot | None = Snapshot(
            snapshot_id=snapshot.id,
            parent_snapshot_id=previous,
            sequence_number=snapshot.sequence,
            timestamp_ms=milliseconds,
            manifest_list=storage.absolute(snapshot.manifest_list),
            summary=Summary(
                SnapshotOperation(snapshot.operation),
                **{name: str(value) for name, value in snapshot.totals.items()},
            ),
            schema_id=schema_id,
        )
    else:
        current = kept
        if kept is not None and kept.schema_id is not None and before is not None:
            older = before.schema_by_id(kept.schema_id)
            if older is not None:
                schemas.setdefault(kept.schema_id, older)
    fields = partition_fields(partition, columns, table=table)
    data = storage.absolute(f"data/{uuid}")
    properties = dict(before.properties) if before is not None else {}
    properties |= {
        "commit.manifest-merge.enabled": "true",
        "commit.retry.num-retries": "0",
        "gc.enabled": "false",
        "write.data.path": data,
        "write.metadata.delete-after-commit.enabled": "false",
        "write.metadata.path": storage.absolute(f"metadata/{uuid}"),
        "write.metadata.previous-versions-max": "1",
    }
    sequence = before.last_sequence_number if isinstance(before, TableMetadataV2) else 0
    return TableMetadataV2(
        location=data,
        table_uuid=UUID(uuid),
        last_updated_ms=milliseconds,
        last_column_id=max(highest_id(columns), before.last_column_id if before is not None else 0),
        schemas=list(schemas.values()),
        current_schema_id=schema_id,
        partition_specs=[partition_spec(fields, columns)],
        default_spec_id=0,
        last_partition_id=_FIRST_PARTITION_ID - 1 + len(fields),
        sort_orders=[UNSORTED_SORT_ORDER],
        default_sort_order_id=0,
        properties=properties,
        current_snapshot_id=current.snapshot_id if current is not None else None,
        snapshots=[current] if current is not None else [],
        snapshot_log=[
            SnapshotLogEntry(snapshot_id=current.snapshot_id, timestamp_ms=current.timestamp_ms)
        ]
        if current is not None
        else [],
        last_sequence_number=snapshot.sequence if snapshot is not None else sequence,
    )
