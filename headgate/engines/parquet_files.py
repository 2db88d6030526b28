"""Writing Parquet: one COPY for what DuckDB computes, PyArrow for what already lies in memory."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import types

from headgate.engines.flat_names import flat_name, hidden_directory
from headgate.engines.sql_types import field_ids, may_lose
from headgate.errors import Invalid, Unavailable
from headgate.filesets import WriteTarget
from headgate.names import literal, quote
from headgate.type_words import type_words

ZSTD_LEVEL = 1
"""Measured: 12 % less CPU than DuckDB's default of 3, and files no larger (decision 008)."""

_NO_SPACE = 28


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """Files that were written, and how many rows they hold."""

    paths: tuple[str, ...]
    rows: int
    partitions: Mapping[str, Mapping[str, object]]


def refuse_colliding_names(names: Iterable[str]) -> None:
    """Check that no two columns differ only in capital letters: SQL takes them for one.

    Raises:
        Invalid: ``ambiguous-column-name``.
    """
    seen: dict[str, str] = {}
    for name in names:
        other = seen.get(name.lower())
        seen[name.lower()] = name
        if other is not None:
            two = f"Two columns are named {name!r}."
            case = f"The columns {other!r} and {name!r} differ only in capital letters."
            raise Invalid(
                "ambiguous-column-name",
                two if other == name else case,
                hint="Rename one of them, as in  select a.id as a_id  or leave it away.",
                columns=[other, name],
            )


def copy_rows(
    connection: duckdb.DuckDBPyConnection,
    query: str,
    target: WriteTarget,
    *,
    unique: str,
    parameters: Mapping[str, object] | None = None,
) -> Files:
    """Run a query into Parquet files of the target's directory; memory stays bounded.

    With ``partition_by`` every file holds rows of one value, which ``with_partitions`` adds: it
    asks more, and what DuckDB counted would be of that. A query without rows leaves no file.
    """
    options = [
        "format parquet",
        "compression zstd",
        f"compression_level {ZSTD_LEVEL}",
        f"parquet_version '{_encodings(target.schema)}'",
        "write_bloom_filter false",
        "return_stats",
    ]
    if ids := field_ids(target.schema):
        options.append(f"field_ids {ids}")
    parts = {f"_hg_part_{i}": sql for i, sql in enumerate(target.partition_by.values())}
    order = ", ".join([*parts, *(quote(name) for name in target.sort_by)] if target.sort_by else [])
    if parts:
        extra = ", ".join(f"{sql} as {name}" for name, sql in parts.items())
        query = f"select *, {extra} from ({query}\n)"
        options += [f"partition_by ({', '.join(parts)})", "write_partition_columns false"]
    elif target.file_size_bytes is not None:
        options.append(f"file_size_bytes {target.file_size_bytes}")
    if order:
        query = f"select * from ({query}\n) order by {order}"
    place = target.directory
    if parts:
        place += "/" + hidden_directory(target.prefix, unique)
    if parts or target.file_size_bytes is not None:
        pattern = f"{target.prefix}-{{i}}-{unique}"
        options += [f"filename_pattern {literal(pattern)}", "overwrite_or_ignore"]
    else:
        place += f"/{target.prefix}-0-{unique}.parquet"
    statement = f"copy ({query}\n) to {literal(place)} ({', '.join(options)})"
    try:
        written = connection.execute(statement, dict(parameters) if parameters else None).fetchall()
    except duckdb.InterruptException:
        remove_files(_finished(target, unique), target)
        raise
    kept = [(str(path), int(rows)) for path, rows, *_ in written if rows]
    remove_files([str(path) for path, rows, *_ in written if not rows], target)
    paths = [path for path, _ in kept]
    if parts:
        paths = _flattened(paths, place, target)
    return Files(paths=tuple(paths), rows=sum(n for _, n in kept), partitions={})


def _finished(target: WriteTarget, unique: str) -> list[str]:
    """Give what a COPY had written when it was stopped: its last file may be whole by then."""
    if target.store is None:
        paths = [str(path) for path in Path(target.directory).iterdir()]
    else:
        inside = flat_name(target.directory)[len(target.store.url) + 1 :]
        paths = [target.store.url_of(stored.path) for stored in target.store.list(inside)]
    return [path for path in paths if path.endswith(f"-{unique}.parquet")]


def remove_files(paths: Iterable[str], target: WriteTarget) -> None:
    """Delete files that were written into a target and are not wanted after all."""
    if target.store is not None:
        target.store.delete(flat_name(path)[len(target.store.url) + 1 :] for path in paths)
        return
    for path in paths:
        Path(path).unlink(missing_ok=True)


def _encodings(schema: pa.Schema) -> str:
    """Give the version of Parquet's encodings: 2, half the work to read, where all can read it.

    Spark reads version 2's encodings of integers and texts since 3.3, but that of floating-point
    numbers only in releases of 2026 (SPARK-56894).
    """
    return "V1" if any(_has_floats(field.type) for field in schema) else "V2"


def _has_floats(kind: pa.DataType) -> bool:
    inner = [kind.field(number).type for number in range(kind.num_fields)]
    return types.is_floating(kind) or any(map(_has_floats, inner))


def _flattened(paths: list[str], place: str, target: WriteTarget) -> list[str]:
    """Move partition files out of DuckDB's directory tree, whose names quote the values."""
    paths = sorted(paths)
    flat = [flat_name(path) for path in paths]
    if target.store is not None:
        return flat  # they got these names when they were opened
    for path, to in zip(paths, flat, strict=True):
        Path(path).rename(to)
    tree = Path(place)
    if tree.exists():
        for directory in sorted((d for d in tree.rglob("*") if d.is_dir()), reverse=True):
            directory.rmdir()
        tree.rmdir()
    return flat


def with_partitions(
    connection: duckdb.DuckDBPyConnection, files: Files, target: WriteTarget
) -> Files:
    """Give the files with the partition each of them belongs to."""
    if not target.partition_by:
        return files
    expressions = ", ".join(target.partition_by.values())
    values: dict[str, dict[str, object]] = {}
    for path in files.paths:
        read = f"select {expressions} from read_parquet({literal(path)}) limit 1"
        [row] = connection.execute(read).fetchall()
        values[path] = dict(zip(target.partition_by, row, strict=True))
    return replace(files, partitions=values)


def write_table(table: pa.Table, target: WriteTarget, *, unique: str) -> Files:
    """Write a table in memory, under exactly the target's schema; no rows, no file.

    Raises:
        Invalid: ``value-does-not-fit``, ``missing-columns``.
        Unavailable: ``disk-full``.
    """
    if not table.num_rows:
        return Files(paths=(), rows=0, partitions={})
    name = f"{target.prefix}-0-{unique}.parquet"
    exact = conformed(table, target.schema)
    if target.store is not None:
        sink = pa.BufferOutputStream()
        _write(exact, sink)
        url = f"{target.directory}/{name}"
        target.store.create(url[len(target.store.url) + 1 :], sink.getvalue().to_pybytes())
        return Files(paths=(url,), rows=table.num_rows, partitions={})
    path = Path(target.directory) / name
    try:
        _write(exact, path)
    except OSError as error:
        path.unlink(missing_ok=True)
        if error.errno == _NO_SPACE or "No space left" in str(error):
            raise Unavailable(
                "disk-full",
                f"No space left on the disk for {path}.",
                hint="Free space.",
                path=str(path),
            ) from error
        raise
    return Files(paths=(str(path),), rows=table.num_rows, partitions={})


def _write(table: pa.Table, to: "Path | pa.BufferOutputStream") -> None:
    pq.write_table(
        table,
        to,
        compression="zstd",
        compression_level=ZSTD_LEVEL,
        store_schema=False,
        row_group_size=122_880,
        write_statistics=_told(table),
    )


def _told(table: pa.Table) -> bool | list[str]:
    """Give the columns whose least and greatest values a file tells; True for all.

    Arrow tells them without NaN, which is the greatest value of all to DuckDB: it would pass over
    the row group when it looks for NaN, or for what is greater than the greatest number.
    """
    silent = {field.name for field in table.schema if _may_hold_nan(table, field)}
    return [name for name in table.column_names if name not in silent] if silent else True


def _may_hold_nan(table: pa.Table, field: pa.Field) -> bool:
    if types.is_floating(field.type):
        return bool(pc.any(pc.is_nan(table.column(field.name))).as_py())
    return _has_floats(field.type)


def conformed(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Give the table under exactly that schema: columns by name, safely cast.

    Raises:
        Invalid: ``value-does-not-fit``, ``missing-columns``.
    """
    missing = [name for name in schema.names if name not in table.column_names]
    if missing:
        raise missing_columns(missing, table.column_names)
    columns = [_cast(table.column(field.name), field) for field in schema]
    return pa.table(columns, schema=schema)


def _cast(column: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    if column.type == field.type:
        return column
    try:
        cast = column.cast(field.type)
        cut = may_lose(column.type, field.type) and not cast.cast(column.type).equals(column)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise Invalid(
            "value-does-not-fit",
            f"A value of {field.name!r} ({type_words(column.type)}) does not fit "
            f"{type_words(field.type)}.",
            hint="Mend the value, or declare a type that holds it.",
            column=field.name,
        ) from error
    if cut:  # Arrow cuts an instant to its day without a word
        raise Invalid(
            "value-does-not-fit",
            f"A value of {field.name!r} ({type_words(column.type)}) is more than a "
            f"{type_words(field.type)}.",
            hint="Cut or round it in the step, or declare a type that holds it.",
            column=field.name,
        )
    return cast


def missing_columns(missing: list[str], given: list[str]) -> Invalid:
    """Say which columns the rows lack."""
    return Invalid(
        "missing-columns",
        f"The rows have no column {', '.join(map(repr, missing))}; they have {', '.join(given)}.",
        columns=missing,
    )
