"""Data files: what their own footers say, checked against the schema they were to be written under.

Ids, names and types in the file must be the expected ones: a file with foreign ids would read as
NULL in every row, and nobody would notice.
"""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from decimal import Decimal
from typing import TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.types as pt

from headgate.errors import Invalid
from headgate.filesets import DataFile
from headgate.lake.bounds import TEXT_LIMIT, cut_above, cut_below, scalar_bounds
from headgate.lake.column_types import fields, path_text
from headgate.lake.operations import Column
from headgate.lake.partitions import PartitionField, partition_value
from headgate.lake.schemas import columns_of
from headgate.lake.storage import Storage, data_file_damaged, data_file_missing
from headgate.recent import Recent

Value: TypeAlias = bool | int | float | str | Decimal | date | datetime | time
"""A bound as Python value, of the column's own type."""

BOUNDED_COLUMNS = 32
"""How many columns, from the first, get bounds; key and partition columns get them anyway."""

_BOUNDED = ("boolean", "int", "long", "float", "double", "string", "date", "time", "timestamp")
_THREADS = 2
_SAME_BYTES = {("uuid", "fixed[16]")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Footer:
    """What a file's footer says of its columns. The mappings are by field id.

    ``low`` and ``high`` are bounds: cut texts, rounded outward; no NaN.
    """

    columns: tuple[Column, ...]
    rows: int
    size_bytes: int
    values: Mapping[int, int]
    nulls: Mapping[int, int]
    sizes: Mapping[int, int]
    low: Mapping[int, Value]
    high: Mapping[int, Value]


def read_footer(
    storage: Storage, relative: str, *, always_bounded: Iterable[str] = (), strict: bool = False
) -> Footer:
    """Read a Parquet file's footer; ``strict`` checks units of time, too.

    Raises:
        Invalid: ``file-schema-differs``.
        Corrupt: ``data-file-missing``, ``data-file-damaged``.
    """
    path = storage.absolute(relative)
    metadata, size = _metadata(storage, relative)
    schema = metadata.schema.to_arrow_schema()
    if strict:
        check_units(path, schema)
    columns = columns_of(schema)
    wanted = {*always_bounded, *(column.name for column in columns[:BOUNDED_COLUMNS])}
    positions = {
        metadata.schema.column(i).path: i
        for i in range(metadata.num_columns)
        if metadata.schema.column(i).max_repetition_level == 0
    }
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    values, nulls, sizes = {}, {}, {}
    low: dict[int, Value] = {}
    high: dict[int, Value] = {}
    for column in columns:
        position = positions.get(column.name)
        if position is None or "<" in column.type:
            continue
        chunks = [group.column(position) for group in groups]
        statistics = [chunk.statistics for chunk in chunks]
        sizes[column.id] = sum(chunk.total_compressed_size for chunk in chunks)
        values[column.id] = metadata.num_rows
        if all(s is not None and s.has_null_count for s in statistics):
            nulls[column.id] = sum(s.null_count for s in statistics)
        if column.name in wanted and column.type.startswith((*_BOUNDED, "decimal")):
            least, greatest = _bounds(statistics, chunks)
            if least is not None:
                low[column.id] = least
            if greatest is not None:
                high[column.id] = greatest
    return Footer(
        columns=columns,
        rows=metadata.num_rows,
        size_bytes=size,
        values=values,
        nulls=nulls,
        sizes=sizes,
        low=low,
        high=high,
    )


def data_file(storage: Storage, relative: str, footer: Footer) -> DataFile:
    """Give the value of a file whose footer was read. May cost one read of the file."""
    return DataFile(
        path=relative,
        rows=footer.rows,
        size_bytes=footer.size_bytes,
        checksum=storage.checksum(relative),
        bounds=footer_bounds(footer),
    )


def footer_bounds(footer: Footer) -> dict[str, tuple[object, object]]:
    """Give a footer's bounds by column name, as JSON scalars."""
    result: dict[str, tuple[object, object]] = {}
    for column in footer.columns:
        least, greatest = footer.low.get(column.id), footer.high.get(column.id)
        if least is not None or greatest is not None:
            bounds = scalar_bounds(least, greatest)
            if bounds != (None, None):
                result[column.name] = bounds
    return result


def read_files(
    storage: Storage, relatives: Sequence[str], *, always_bounded: Iterable[str] = ()
) -> list[tuple[DataFile, Footer]]:
    """Read several files' footers and checksums, in order, a few at a time."""

    def read(relative: str) -> tuple[DataFile, Footer]:
        footer = read_footer(storage, relative, always_bounded=always_bounded, strict=True)
        return data_file(storage, relative, footer), footer

    if len(relatives) == 1:
        return [read(relatives[0])]
    with ThreadPoolExecutor(_THREADS, "headgate-collect") as threads:
        return list(threads.map(read, relatives))


def check_units(path: str, schema: pa.Schema) -> None:
    """Check that a file's times and instants are in microseconds, as Iceberg's readers take them.

    Raises:
        Invalid: ``file-schema-differs``.
    """
    fields_left = list(schema)
    while fields_left:
        field = fields_left.pop()
        type_ = field.type
        if (pt.is_timestamp(type_) or pt.is_time(type_)) and type_.unit != "us":
            raise _differs(path, f"has {type_} in column {field.name}", column=field.name)
        if pt.is_nested(type_):
            fields_left += (type_.field(number) for number in range(type_.num_fields))


def same_columns(found: Sequence[Column], expected: Sequence[Column]) -> bool:
    """Tell whether a file has exactly these columns, in any order."""
    have, want = dict(_by_path(found)), dict(_by_path(expected))
    return have.keys() == want.keys() and all(
        have[path][0] == id_ and _same_type(have[path][1], type_)
        for path, (id_, type_) in want.items()
    )


def partition_of(
    storage: Storage, relative: str, partition: Sequence[PartitionField], footer: Footer
) -> dict[str, object]:
    """Read a file's partition values from its rows; all rows must have the same.

    Raises:
        Invalid: ``partition-mixed``.
    """
    values: dict[str, object] = {}
    ids = {column.name: column.id for column in footer.columns}
    for field in partition:
        id_ = ids[field.column]
        least, greatest = footer.low.get(id_), footer.high.get(id_)
        if footer.nulls.get(id_) == footer.rows:
            found: set[object] = {None}
        elif footer.nulls.get(id_) == 0 and _exact(least) and _exact(greatest):
            found = {partition_value(field, least), partition_value(field, greatest)}
        else:
            with storage.open(relative) as file:
                column = pq.read_table(file, columns=[field.column])[field.column]
            found = {partition_value(field, v) for v in column.unique().to_pylist()}
        if len(found) != 1:
            raise Invalid(
                "partition-mixed",
                f"The Parquet file {storage.absolute(relative)} holds rows of {len(found)} values"
                f" of {field.name}.",
                hint="Write one file or more per partition value.",
                path=storage.absolute(relative),
                field=field.name,
            )
        values[field.name] = found.pop()
    return values


def check_columns(path: str, found: Sequence[Column], expected: Sequence[Column]) -> None:
    """Check that a file has exactly the expected columns: ids, names and types, in any order.

    Raises:
        Invalid: ``file-without-ids``, ``file-schema-differs``.
    """
    if same_columns(found, expected):
        return
    have, want = dict(_by_path(found)), dict(_by_path(expected))
    for name, (id_, type_) in want.items():
        there = have.get(name)
        if there is None:
            raise _differs(path, f"has no column {name}", column=name)
        if there[0] == 0 and id_:
            raise Invalid(
                "file-without-ids",
                f"The Parquet file {path} carries no field id for column {name}.",
                hint="Write files with the field ids of the write target's schema.",
                path=path,
                column=name,
            )
        if not _same_type(there[1], type_):
            raise _differs(path, f"has {there[1]} in column {name}, not {type_}", column=name)
        if there[0] != id_:
            raise _differs(path, f"has id {there[0]} for column {name}, not {id_}", column=name)
    for name in have.keys() - want.keys():
        raise _differs(path, f"has a column {name} that the table lacks", column=name)


def _by_path(columns: Sequence[Column]) -> Iterable[tuple[str, tuple[int, str]]]:
    for path, id_, type_ in fields(columns):
        yield path_text(path), (id_, type_ if isinstance(type_, str) else type(type_).__name__)


def _same_type(found: str, expected: str) -> bool:
    return found == expected or (expected, found) in _SAME_BYTES


def _exact(bound: Value | None) -> bool:
    """Tell whether a bound is a value of the file: texts may have been cut."""
    return bound is not None and (not isinstance(bound, str) or len(bound) < TEXT_LIMIT)


def _differs(path: str, how: str, *, column: str) -> Invalid:
    return Invalid(
        "file-schema-differs",
        f"The Parquet file {path} {how}.",
        hint="Write files under exactly the write target's schema.",
        path=path,
        column=column,
    )


def _metadata(storage: Storage, relative: str) -> tuple[pq.FileMetaData, int]:
    path = storage.absolute(relative)
    try:
        size = storage.size(relative)
        if storage.store is None:  # Arrow opens a path faster than it reads through Python
            return pq.read_metadata(path), size
        with storage.open(relative) as file:
            return pq.read_metadata(file), size
    except FileNotFoundError as error:
        raise data_file_missing(path) from error
    except (pa.ArrowInvalid, OSError) as error:
        raise data_file_damaged(path, str(error)) from error


def _bounds(
    statistics: Sequence[pq.Statistics | None], chunks: Sequence[pq.ColumnChunkMetaData]
) -> tuple[Value | None, Value | None]:
    least: Value | None = None
    greatest: Value | None = None
    for found, chunk in zip(statistics, chunks, strict=True):
        if found is not None and found.has_null_count and found.null_count == chunk.num_values:
            continue  # only NULLs: no value to bound
        if found is None or not found.has_min_max:
            return None, None
        try:
            low, high = found.min, found.max
        except (ValueError, OverflowError, pa.ArrowException):
            return None, None  # years that Python lacks, text cut within a character
        if low is None or high is None or low != low or high != high:  # noqa: PLR0124 - NaN
            return None, None
        least = low if least is None or low < least else least
        greatest = high if greatest is None or high > greatest else greatest
    if isinstance(least, str) and isinstance(greatest, str):
        return cut_below(least), cut_above(greatest)
    if not isinstance(least, Value) or not isinstance(greatest, Value):
        return None, None
    return least, greatest


class Footers:
    """Footers of files, those read last kept in a cache. Safe between threads."""

    def __init__(self, storage: Storage, recent: Recent[Footer]) -> None:
        self._storage = storage
        self._recent = recent

    def collect(
        self, paths: Sequence[str], columns: Sequence[Column], *, always_bounded: Iterable[str]
    ) -> tuple[DataFile, ...]:
        """Read files that were just written, and check them against the columns they must have."""
        relatives = [self._storage.relative(path) for path in paths]
        found: list[tuple[DataFile, Footer]] = []
        if paths:
            found = read_files(self._storage, relatives, always_bounded=always_bounded)
        for (file, footer), path in zip(found, paths, strict=True):
            check_columns(path, footer.columns, columns)
            self._recent.put(file.path, replace(footer, columns=tuple(columns)))
        return tuple(file for file, _ in found)

    def footer(self, file: DataFile, *known: tuple[Column, ...]) -> Footer:
        """Give a file's footer; its columns as a known schema has them, if they are the same."""
        found = self._recent.get(file.path)
        if found is None:
            found = read_footer(self._storage, file.path, always_bounded=file.bounds)
            for columns in known:
                if same_columns(found.columns, columns):
                    found = replace(found, columns=columns)
                    break
            self._recent.put(file.path, found)
        return found
