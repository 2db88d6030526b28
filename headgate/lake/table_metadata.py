"""Iceberg's table metadata: read, and built anew for every commit, with one snapshot at most."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from uuid import UUID

from pyiceberg.catalog.noop import NoopCatalog
from pyiceberg.exceptions import ValidationError
from pyiceberg.table import CommitTableResponse, Table
from pyiceberg.table.metadata import TableMetadataUtil, TableMetadataV2
from pyiceberg.table.snapshots import Operation as SnapshotOperation
from pyiceberg.table.snapshots import Snapshot, SnapshotLogEntry, Summary
from pyiceberg.table.update import TableRequirement, TableUpdate

from headgate.errors import Refused
from headgate.filesets import DataFile
from headgate.lake.column_types import highest_id
from headgate.lake.iceberg_io import LakeIO
from headgate.lake.iceberg_schemas import (
    FIRST_PARTITION_ID,
    columns_of,
    iceberg_schema,
    partition_spec,
    sort_order,
)
from headgate.lake.listings import Listing, Manifest
from headgate.lake.manifests import read_manifest, read_manifests, summaries
from headgate.lake.operations import Column
from headgate.lake.partitions import partition_fields
from headgate.lake.storage import Storage, metadata_damaged


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


def metadata_here(storage: Storage, path: str, uuid: str) -> TableMetadataV2:
    """Read a table's metadata, with the paths of where the lake is now; the IO finds manifests.

    Raises:
        Corrupt: ``metadata-missing``, ``metadata-damaged``.
    """
    metadata = read_metadata(storage, path)
    data = storage.absolute(f"data/{uuid}")
    if metadata.location == data:
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


def read_metadata(storage: Storage, path: str) -> TableMetadataV2:
    """Read a ``metadata.json``.

    Raises:
        Corrupt: ``metadata-missing``, ``metadata-damaged``.
    """
    content = storage.read(path)
    try:
        metadata = TableMetadataUtil.parse_raw(content.decode())
    except (ValueError, ValidationError) as error:
        raise metadata_damaged(storage.absolute(path), error) from error
    if not isinstance(metadata, TableMetadataV2):
        strange = ValueError(f"format version {metadata.format_version}, not 2")
        raise metadata_damaged(storage.absolute(path), strange)
    return metadata


def new_metadata(
    storage: Storage,
    before: TableMetadataV2 | None,
    *,
    uuid: str,
    columns: tuple[Column, ...],
    schema_id: int,
    partition: tuple[str, ...],
    sort_by: tuple[str, ...],
    properties: Mapping[str, str],
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
    order = sort_order(sort_by, columns)
    properties = {
        **properties,
        "commit.manifest-merge.enabled": "true",
        "commit.retry.num-retries": "0",
        "gc.enabled": "false",
        "write.data.path": data,
        "write.metadata.delete-after-commit.enabled": "false",
        "write.metadata.path": storage.absolute(f"metadata/{uuid}"),
        "write.metadata.previous-versions-max": "1",
    }
    sequence = before.last_sequence_number if before is not None else 0
    return TableMetadataV2(
        location=data,
        table_uuid=UUID(uuid),
        last_updated_ms=milliseconds,
        last_column_id=max(highest_id(columns), before.last_column_id if before is not None else 0),
        schemas=list(schemas.values()),
        current_schema_id=schema_id,
        partition_specs=[partition_spec(fields, columns)],
        default_spec_id=0,
        last_partition_id=FIRST_PARTITION_ID - 1 + len(fields),
        sort_orders=[order],
        default_sort_order_id=order.order_id,
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
                partitions=summaries(described.partitions),
            )
        )
    return Listing(
        manifest_list=list_path, schemas=schemas, manifests=tuple(manifests), files=files
    )
