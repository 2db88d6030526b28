"""Foreign commits: what an Iceberg client did to a table, as the lake's own operations."""

from collections.abc import Mapping

from pyiceberg.exceptions import CommitFailedException
from pyiceberg.partitioning import PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.sorting import SortDirection, SortOrder

from headgate.errors import Refused
from headgate.filesets import DataFile
from headgate.lake.column_types import plain
from headgate.lake.entries import Entry
from headgate.lake.iceberg_schemas import columns_of
from headgate.lake.lake import Lake
from headgate.lake.manifests import read_manifest, read_manifests
from headgate.lake.operations import (
    AddColumn,
    Append,
    ChangeSchema,
    Column,
    Operation,
    Replace,
    SetProperties,
)
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
    now. New columns get the lake's ids. Properties and the sort order come last.

    Raises:
        CommitFailedException: rows were written under ids that mean other columns elsewhere.
        Refused: ``catalog-change-unsupported``, ``delete-files-unsupported``.
    """
    body = entry.table
    if body is None or wanted == before:
        return ()
    if wanted.spec().fields != before.spec().fields:
        raise unsupported(name, "another partition")
    said = _properties_set(before, wanted, name)
    added, removed, kept = _file_difference(lake, name, entry, wanted)
    columns, operations = _schema_operations(lake, name, entry, wanted, rows=bool(added))
    files = [
        file
        for under in dict.fromkeys(added.values())
        for file in lake.tables.collect(
            [lake.tables.absolute(path) for path in added if added[path] == under], under
        )
    ]
    if removed:
        names = {column.name for column in columns}
        sort_by = body.sort_by if names.issuperset(body.sort_by) else ()
        operations.append(Replace(files=(*kept, *files), schema=columns, sort_by=sort_by))
    elif files:
        operations.append(Append(files=tuple(files)))
    return (*operations, *said)


def _properties_set(
    before: TableMetadata, wanted: TableMetadata, name: str
) -> tuple[SetProperties, ...]:
    old, new = _theirs(before.properties), _theirs(wanted.properties)
    updates = {key: value for key, value in new.items() if old.get(key) != value}
    removals = tuple(sorted(old.keys() - new.keys()))
    sort_by = None
    if wanted.sort_order().fields != before.sort_order().fields:
        sort_by = sort_columns(wanted.sort_order(), wanted.schema(), name)
    if not updates and not removals and sort_by is None:
        return ()
    return (SetProperties(updates=updates, removals=removals, sort_by=sort_by),)


def sort_columns(order: SortOrder, schema: Schema, name: str) -> tuple[str, ...]:
    """Give a sort order as the columns we sort by: ascending, whatever is said of NULL.

    Raises:
        Refused: ``catalog-change-unsupported``.
    """
    names = []
    for field in order.fields:
        column = schema.find_column_name(field.source_id)
        plainly = str(field.transform) == "identity" and field.direction is SortDirection.ASC
        if column is None or not plainly:
            raise unsupported(name, f"the sort order {field}")
        names.append(column)
    return tuple(names)


def texts(properties: Mapping[str, object]) -> dict[str, str]:
    """Give properties as texts, as PyIceberg keeps them, without those that are the lake's own."""
    made = {key: str(value) for key, value in properties.items() if value is not None}
    return _theirs(made)


def _file_difference(
    lake: Lake, name: str, entry: Entry, wanted: TableMetadata
) -> tuple[Mapping[str, tuple[Column, ...]], list[str], tuple[DataFile, ...]]:
    """Give the new files with the columns they were written under, those gone, and those kept."""
    there = {file.path: file for file in lake.tables.files(entry)}
    snapshot = wanted.current_snapshot()
    now: dict[str, tuple[Column, ...]] = {}
    if snapshot is not None:
        storage = lake.storage
        listing = read_manifests(storage, storage.relative(snapshot.manifest_list))
        for described in listing:
            contents = read_manifest(storage, described, (), table=name)
            now |= {file.path: contents.columns for file in contents.files}
    added = {path: now[path] for path in sorted(now.keys() - there.keys())}
    removed = sorted(there.keys() - now.keys())
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
