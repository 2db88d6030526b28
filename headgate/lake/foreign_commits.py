"""Foreign commits: what an Iceberg client did to a table, as the lake's own operations."""

from collections.abc import Mapping

from pyiceberg.exceptions import CommitFailedException
from pyiceberg.partitioning import PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table.metadata import TableMetadata

from headgate.errors import Refused
from headgate.filesets import DataFile
from headgate.lake.column_types import plain
from headgate.lake.entries import Entry
from headgate.lake.iceberg_schemas import columns_of
from headgate.lake.lake import Lake
from headgate.lake.manifests import read_manifest, read_manifests
from headgate.lake.operations import AddColumn, Append, ChangeSchema, Column, Operation, Replace
from headgate.lake.schema_changes import allocated

_KEPT_TRANSFORMS = ("identity", "year", "month", "day", "hour")
_OUR_PROPERTIES = (
    "commit.manifest-merge.enabled",
    "commit.retry.num-retries",
    "gc.enabled",
    "write.data.path",
    "write.metadata.delete-after-commit.enabled",
    "write.metadata.path",
    "write.metadata.previous-versions-max",
)


def foreign_operations(
    lake: Lake, name: str, entry: Entry, before: TableMetadata, wanted: TableMetadata
) -> tuple[Operation, ...]:
    """Give what turns one metadata into the other as operations; its new files are checked.

    Files that only came are an ``Append``; where files went, the table is replaced by what it has
    now. New columns get the lake's ids.

    Raises:
        CommitFailedException: rows were written under ids that mean other columns elsewhere.
        Refused: ``catalog-change-unsupported``, ``delete-files-unsupported``.
    """
    body = entry.table
    if body is None or wanted == before:
        return ()
    if wanted.spec().fields != before.spec().fields:
        raise unsupported(name, "another partition")
    if wanted.sort_order() != before.sort_order():
        raise unsupported(name, "a sort order")
    if _theirs(wanted.properties) != _theirs(before.properties):
        raise unsupported(name, "table properties")
    added, removed, kept = _file_difference(lake, name, entry, wanted)
    columns, operations = _schema_operations(lake, name, entry, wanted, rows=bool(added))
    files = lake.tables.collect([lake.tables.absolute(path) for path in added], columns)
    if removed:
        names = {column.name for column in columns}
        sort_by = body.sort_by if names.issuperset(body.sort_by) else ()
        return (*operations, Replace(files=(*kept, *files), schema=columns, sort_by=sort_by))
    if files:
        return (*operations, Append(files=files))
    return tuple(operations)


def _file_difference(
    lake: Lake, name: str, entry: Entry, wanted: TableMetadata
) -> tuple[list[str], list[str], tuple[DataFile, ...]]:
    there = {file.path: file for file in lake.tables.files(entry)}
    snapshot = wanted.current_snapshot()
    now: set[str] = set()
    if snapshot is not None:
        storage = lake.storage
        listing = read_manifests(storage, storage.relative(snapshot.manifest_list))
        for described in listing:
            contents = read_manifest(storage, described, (), table=name)
            now |= {file.path for file in contents.files}
    added = sorted(now - there.keys())
    removed = sorted(there.keys() - now)
    kept = tuple(file for path, file in there.items() if path in now)
    return added, removed, kept


def _schema_operations(
    lake: Lake, name: str, entry: Entry, wanted: TableMetadata, *, rows: bool
) -> tuple[tuple[Column, ...], list[Operation]]:
    body = entry.table
    if body is None:
        return (), []
    before, after = body.schema, columns_of(wanted.schema())
    if before == after:
        return before, []
    known = {column.id for column in before}
    own = allocated(
        tuple(
            column
            if column.id in known
            else Column(name=column.name, type=plain(column.type), id=0)
            for column in after
        ),
        before,
        body.drop_epochs,
        lambda names: lake.metastore.allocate(body.uuid, names),
    )
    if rows and own != after:
        raise CommitFailedException(
            f"The ids chosen for new columns of {name} are taken on another branch: "
            "add the columns first, then write the rows"
        )
    if own[: len(before)] == before:
        return own, [AddColumn(column=column) for column in own[len(before) :]]
    return own, [ChangeSchema(columns=own, what="changed by an Iceberg client")]


def partition_texts(spec: PartitionSpec, schema: Schema, name: str) -> tuple[str, ...]:
    """Give a partition spec as the texts we know it by.

    Raises:
        Refused: ``catalog-change-unsupported``.
    """
    texts = []
    for field in spec.fields:
        column = schema.find_column_name(field.source_id) or ""
        transform = str(field.transform)
        if transform == "identity":
            texts.append(column)
        elif transform in _KEPT_TRANSFORMS:
            texts.append(f"{transform}({column})")
        elif transform.startswith("truncate["):
            texts.append(f"truncate({transform[9:-1]}, {column})")
        else:
            raise unsupported(name, f"a partition by {transform}")
    return tuple(texts)


def unsupported(name: str, what: str) -> Refused:
    """Give the error for what an Iceberg client may not do to a lake."""
    return Refused(
        "catalog-change-unsupported",
        f"{name}: the lake's Iceberg catalog does not take {what}.",
        hint="Create the table, then write rows or change columns; or use headgate's own API.",
        name=name,
    )


def _theirs(properties: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in properties.items() if key not in _OUR_PROPERTIES}
