"""Scans: how a table's columns are found in files that were written under earlier schemas.

Columns are known by id, never by name: a renamed column is read under its old name from old files,
and a column that was dropped and added again reads as NULL from files that hold the dropped one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from headgate.errors import Invalid
from headgate.filesets import DataFile, Scan, ScanGroup
from headgate.lake.column_types import ListOf, MapOf, Path, StructOf, Type, parse, plain
from headgate.lake.operations import Column
from headgate.lake.schemas import arrow_schema
from headgate.lake.storage import Storage
from headgate.names import suggestion

FieldNames = Mapping[Path, Mapping[str, str | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """How columns are found in files: as `ScanGroup` says."""

    columns: Mapping[str, str | None]
    fields: FieldNames
    exact: bool


def mapped(columns: Sequence[Column], written: Sequence[Column]) -> Mapped:
    """Decide how columns are found in files that were written under other columns."""
    if tuple(columns) == tuple(written):
        return Mapped(columns={c.name: c.name for c in columns}, fields={}, exact=True)
    by_id = {column.id: column for column in written}
    names: dict[str, str | None] = {}
    fields: dict[Path, Mapping[str, str | None]] = {}
    exact = True
    for column in columns:
        source = by_id.get(column.id)
        names[column.name] = source.name if source is not None else None
        if source is None or source.name != column.name:
            exact = False
        if source is not None and source.type != column.type:
            exact = exact and plain(source.type) == plain(column.type)
            exact = (
                _map_type((column.name,), parse(column.type), parse(source.type), fields) and exact
            )
    return Mapped(columns=names, fields=fields, exact=exact and not fields)


def selected(columns: Sequence[Column], names: Sequence[str] | None) -> tuple[Column, ...]:
    """Give the named columns, in the order of the names; all for None.

    Raises:
        Invalid: ``unknown-column``.
    """
    if names is None:
        return tuple(columns)
    by_name = {column.name: column for column in columns}
    for name in names:
        if name not in by_name:
            close = suggestion(name, by_name)
            raise Invalid(
                "unknown-column",
                f"The table has no column {name!r}.",
                hint=f"Did you mean {close!r}?" if close else "Columns: " + ", ".join(by_name),
                column=name,
            )
    return tuple(by_name[name] for name in names)


def scan_of(
    storage: Storage,
    columns: Sequence[Column],
    written: Iterable[tuple[Sequence[Column], Sequence[DataFile]]],
) -> Scan:
    """Give the scan of files, each group with the columns it was written under."""
    groups: list[ScanGroup] = []
    rows = size = 0
    for written_columns, files in written:
        if not files:
            continue
        found = mapped(columns, written_columns)
        groups.append(
            ScanGroup(
                paths=tuple(storage.absolute(file.path) for file in files),
                columns=found.columns,
                exact=found.exact,
                fields=found.fields,
            )
        )
        rows += sum(file.rows for file in files)
        size += sum(file.size_bytes for file in files)
    return Scan(
        schema=arrow_schema(columns),
        groups=tuple(groups),
        rows=rows,
        size_bytes=size,
        store=storage.store,
    )


def _map_type(
    path: Path, wanted: Type, source: Type, fields: dict[Path, Mapping[str, str | None]]
) -> bool:
    """Note how nested fields are found; tell whether nothing needs mapping there."""
    match wanted, source:
        case ListOf(element, _), ListOf(old, _):
            return _map_type((*path, "element"), element, old, fields)
        case MapOf(key, value, _, _), MapOf(old_key, old_value, _, _):
            same = _map_type((*path, "key"), key, old_key, fields)
            return _map_type((*path, "value"), value, old_value, fields) and same
        case StructOf(new_fields), StructOf(old_fields):
            by_id = {field.id: field for field in old_fields}
            names: dict[str, str | None] = {}
            same = True
            for field in new_fields:
                found = by_id.get(field.id)
                names[field.name] = found.name if found is not None else None
                if found is not None:
                    same = _map_type((*path, field.name), field.type, found.type, fields) and same
            if any(name != found for name, found in names.items()) or len(names) != len(old_fields):
                fields[path] = names
                return False
            return same
    return True
