"""A scan as SQL: files of one table, whatever the schemas they were written under."""

import pyarrow as pa
from pyarrow import types

from headgate.engines.sql_types import sql_type
from headgate.filesets import FILE_NUMBER, ROW_NUMBER, Scan, ScanGroup
from headgate.names import literal, quote


def file_list(paths: tuple[str, ...]) -> str:
    """Give paths as SQL's list; none of them is taken for a pattern.

    DuckDB takes ``*``, ``?`` and ``[`` in a path for a glob, and knows no escape but a class of
    one.
    """
    return "[" + ", ".join(literal(_escaped(path)) for path in paths) + "]"


def _escaped(path: str) -> str:
    if not any(mark in path for mark in "*?["):
        return path
    return "".join(f"[{mark}]" if mark in "*?[" else mark for mark in path)


def scan_query(scan: Scan) -> str:
    """Give the SELECT that yields a scan's rows under its schema.

    Columns that were renamed, added or widened since a file was written are mapped and cast.
    """
    if not scan.groups:
        kinds = {field.name: sql_type(field.type) for field in scan.schema}
        kinds |= {FILE_NUMBER: "BIGINT", ROW_NUMBER: "BIGINT"} if scan.numbered else {}
        columns = ", ".join(f"cast(null as {kind}) as {quote(n)}" for n, kind in kinds.items())
        return f"select {columns} where false"
    queries, first = [], 0
    for group in scan.groups:
        queries.append(_group_query(scan, group, first))
        first += len(group.paths)
    return " union all ".join(queries)


def _group_query(scan: Scan, group: ScanGroup, first: int) -> str:
    columns = []
    for field in scan.schema:
        there = field.name if group.exact else group.columns.get(field.name)
        wanted = sql_type(field.type)
        name = quote(field.name)
        if group.exact:
            columns.append(name)
        elif there is None:
            columns.append(f"cast(null as {wanted}) as {name}")
        else:
            found = _found(quote(there), field.type, (field.name,), group)
            columns.append(f"cast({found} as {wanted}) as {name}")
    if scan.numbered:
        columns.append(f"file_index::bigint + {first} as {FILE_NUMBER}")
        columns.append(f"file_row_number as {ROW_NUMBER}")
    return f"select {', '.join(columns)} from read_parquet({file_list(group.paths)})"


def _found(expression: str, kind: pa.DataType, path: tuple[str, ...], group: ScanGroup) -> str:
    """Give SQL that puts nested fields where the scan has them; NULL stays NULL at every depth."""
    if not any(inner[: len(path)] == path for inner in group.fields):
        return expression
    if types.is_struct(kind):
        names = group.fields.get(path)
        parts = []
        for field in kind:
            there = field.name if names is None else names.get(field.name)
            if there is None:
                value = f"cast(null as {sql_type(field.type)})"
            else:
                inside = f"struct_extract({expression}, {literal(there)})"
                value = _found(inside, field.type, (*path, field.name), group)
            parts.append(f"{quote(field.name)} := {value}")
        packed = f"struct_pack({', '.join(parts)})"
        return f"case when {expression} is null then null else {packed} end"
    one = f"_hg_{len(path)}"
    if types.is_map(kind):
        key = _found(f"{one}.key", kind.key_type, (*path, "key"), group)
        value = _found(f"{one}.value", kind.item_type, (*path, "value"), group)
        entry = f"struct_pack(key := {key}, value := {value})"
        return f"map_from_entries(list_transform(map_entries({expression}), lambda {one}: {entry}))"
    element = _found(one, kind.value_type, (*path, "element"), group)
    return f"list_transform({expression}, lambda {one}: {element})"
