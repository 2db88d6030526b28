"""Rows to a file of a format, batch by batch: no format needs more than a batch in memory.

What a format cannot hold: in CSV nested values are JSON texts and binary values base64; so they are
in Excel, where whole numbers and decimals of more than 15 digits are texts as well (a cell is a
double), and instants are those of UTC, without a zone.
"""

import gzip
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import IO, TypeAlias, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
import pyarrow.types as pt

from headgate.errors import Refused, Unavailable
from headgate.sinks.values_as_text import json_texts

_ROWS_OF_A_SHEET = 1_048_576
_CHARACTERS_OF_A_CELL = 32_767
_DIGITS_OF_A_CELL = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """What is written, and where."""

    file: Path
    reader: pa.RecordBatchReader
    packed: bool
    table: str


_Writer: TypeAlias = Callable[[_Work], int]


def write(file: Path, reader: pa.RecordBatchReader, form: str, *, packed: bool, table: str) -> int:
    """Write all rows; give how many there were.

    Raises:
        Refused: ``excel-too-large``. Invalid: ``sink-value-impossible``.
        Unavailable: ``library-missing``.
    """
    return _WRITERS[form](_Work(file=file, reader=reader, packed=packed, table=table))


def _parquet(work: _Work) -> int:
    schema = _without_ids(work.reader.schema)
    rows = 0
    with pyarrow.parquet.ParquetWriter(work.file, schema, compression="zstd") as writer:
        for batch in work.reader:
            writer.write_batch(pa.record_batch(batch.columns, schema=schema))
            rows += batch.num_rows
    return rows


def _without_ids(schema: pa.Schema) -> pa.Schema:
    """Leave away what only the lake's own files need: field ids."""
    return pa.schema([field.remove_metadata() for field in schema])


def _csv(work: _Work) -> int:
    flat = pa.schema([field.with_type(_flat_type(field.type)) for field in work.reader.schema])
    rows = 0
    with (
        _opened(work.file, packed=work.packed) as target,
        pyarrow.csv.CSVWriter(target, flat) as writer,
    ):
        for batch in work.reader:
            columns = [
                column if kind == column.type else _as_text(column, name)
                for name, column, kind in zip(flat.names, batch.columns, flat.types, strict=True)
            ]
            writer.write_batch(pa.record_batch(columns, schema=flat))
            rows += batch.num_rows
    return rows


def _flat_type(kind: pa.DataType) -> pa.DataType:
    return pa.string() if pt.is_nested(kind) or _is_binary(kind) else kind


def _as_text(column: pa.Array, name: str) -> pa.Array:
    if not _is_binary(column.type):
        return json_texts(column, name)
    values = [None if v is None else b64encode(v).decode() for v in column.to_pylist()]
    return pa.array(values, pa.string())


def _is_binary(kind: pa.DataType) -> bool:
    return bool(pt.is_binary(kind) or pt.is_large_binary(kind) or pt.is_fixed_size_binary(kind))


def _json(work: _Work) -> int:
    """Write one array, a row a line."""
    return _rows_as_json(work, lines=False)


def _jsonl(work: _Work) -> int:
    return _rows_as_json(work, lines=True)


def _rows_as_json(work: _Work, *, lines: bool) -> int:
    between, rows = (b"\n" if lines else b",\n"), 0
    with _opened(work.file, packed=work.packed) as target:
        target.write(b"" if lines else b"[")
        for batch in work.reader:
            struct = pa.StructArray.from_arrays(batch.columns, fields=list(batch.schema))
            texts = [text.encode() for text in json_texts(struct, "a row").to_pylist()]
            if texts:
                target.write(between if rows else b"")
                target.write(between.join(texts))
            rows += batch.num_rows
        target.write((b"\n" if rows else b"") if lines else b"]\n")
    return rows


def _excel(work: _Work) -> int:
    try:
        import xlsxwriter  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise Unavailable(
            "library-missing",
            "A workbook is to be written, and XlsxWriter is not installed.",
            hint="pip install headgate[excel]",
            library="xlsxwriter",
        ) from error
    options = {
        "constant_memory": True,
        "remove_timezone": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "tmpdir": str(work.file.parent),
    }
    rows = 0
    with xlsxwriter.Workbook(str(work.file), options) as book:
        sheet = book.add_worksheet(_sheet_name(work.table))
        formats = {
            "date": book.add_format({"num_format": "yyyy-mm-dd"}),
            "timestamp": book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss.000"}),
            "time": book.add_format({"num_format": "hh:mm:ss"}),
        }
        kinds = [formats.get(_kind(field.type)) for field in work.reader.schema]
        sheet.write_row(0, 0, work.reader.schema.names)
        for batch in work.reader:
            columns = [
                _cells(column, name)
                for name, column in zip(batch.schema.names, batch.columns, strict=True)
            ]
            for row in zip(*columns, strict=True):
                rows += 1
                if rows >= _ROWS_OF_A_SHEET:
                    raise _too_large(work.table, f"more than {_ROWS_OF_A_SHEET - 1:,} rows")
                for place, (value, kind) in enumerate(zip(row, kinds, strict=True)):
                    if value is not None:
                        sheet.write(rows, place, value, kind)
    return rows


def _sheet_name(table: str) -> str:
    return "".join("_" if each in "[]:*?/\\'" else each for each in table)[-31:]


def _kind(kind: pa.DataType) -> str:
    if pt.is_date(kind):
        return "date"
    if pt.is_timestamp(kind):
        return "timestamp"
    return "time" if pt.is_time(kind) else ""


def _cells(column: pa.Array, name: str) -> list[object]:
    """Give a column's values as what a cell can hold."""
    kind = column.type
    if pt.is_nested(kind) or _is_binary(kind):
        column = _as_text(column, name)
    elif pt.is_floating(kind):
        if pc.any(pc.invert(pc.is_finite(column))).as_py():
            return [_number(value) for value in column.to_pylist()]
    elif pt.is_decimal(kind) or pt.is_integer(kind):
        return [_number(value) for value in column.to_pylist()]
    values = cast("list[object]", column.to_pylist())
    if pt.is_string(column.type) or pt.is_large_string(column.type):
        longest = pc.max(pc.utf8_length(column)).as_py() or 0
        if longest > _CHARACTERS_OF_A_CELL:
            raise _too_large(name, f"a text of {longest:,} characters")
    return values


def _number(value: object) -> object:
    if isinstance(value, float):
        return value if value - value == 0 else str(value)  # NaN and the infinities as texts
    if isinstance(value, int | Decimal):
        digits = len(Decimal(value).normalize().as_tuple().digits)
        return str(value) if digits > _DIGITS_OF_A_CELL else value
    return value


def _too_large(what: str, size: str) -> Refused:
    return Refused(
        "excel-too-large",
        f"{what} has {size}, which a sheet of Excel cannot hold.",
        readers="Those of the directory see what was delivered before.",
        hint='Take format="csv" or "parquet", or deliver a table that is an extract.',
    )


@contextmanager
def _opened(file: Path, *, packed: bool) -> Iterator[IO[bytes]]:
    """Open for writing; what is packed has neither name nor time in it: equal rows, equal bytes."""
    with file.open("wb") as plain:
        if not packed:
            yield plain
            return
        with gzip.GzipFile("", "wb", 6, plain, mtime=0) as target:
            yield cast("IO[bytes]", target)


_WRITERS: Mapping[str, _Writer] = {
    "csv": _csv,
    "excel": _excel,
    "json": _json,
    "jsonl": _jsonl,
    "parquet": _parquet,
}
