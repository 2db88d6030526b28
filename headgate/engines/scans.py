"""A scan as SQL: files of one table, whatever the schemas they were written under."""

from headgate.engines.sql_types import sql_type
from headgate.files import Scan, ScanGroup
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
        columns = ", ".join(
            f"cast(null as {sql_type(field.type)}) as {quote(field.name)}" for field in scan.schema
        )
        return f"select {columns} where false"
    return " union all ".join(_group_query(scan, group) for group in scan.groups)


def _group_query(scan: Scan, group: ScanGroup) -> str:
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
            columns.append(f"cast({quote(there)} as {wanted}) as {name}")
    return f"select {', '.join(columns)} from read_parquet({file_list(group.paths)})"
