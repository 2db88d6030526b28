"""Rows on stdout as a table, CSV, JSON, JSON lines or Parquet: streamed, in bounded memory."""

from collections.abc import Iterator, Mapping
from itertools import islice

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from headgate.cli.tables import aligned
from headgate.cli.terminal import Terminal
from headgate.errors import Refused

FORMATS = ("table", "csv", "json", "jsonl", "parquet")


def write_rows(
    reader: pa.RecordBatchReader, form: str, terminal: Terminal, *, limit: int | None
) -> bool:
    """Write rows as they are computed; say whether some were left out because of ``limit``.

    Raises:
        Refused: ``bytes-on-terminal``.
    """
    if form == "parquet" and terminal.out_is_live:
        raise Refused(
            "bytes-on-terminal",
            "Parquet is not for reading on a terminal.",
            hint="Send it to a file:  headgate sql ... --format parquet > rows.parquet",
        )
    batches = _Limited(reader, limit)
    if form == "table":
        _write_table(reader.schema, batches, terminal)
    elif form == "csv":
        _write_csv(reader.schema, batches, terminal)
    elif form == "parquet":
        with pyarrow.parquet.ParquetWriter(terminal.bytes(), reader.schema) as writer:
            for batch in batches:
                writer.write_batch(batch)
    else:
        _write_json(batches, terminal, lines=form == "jsonl")
    return batches.cut


def rejected_rows(reader: pa.RecordBatchReader) -> pa.RecordBatchReader:
    """Give of rows in quarantine what people look for: where, why, and the row as it came."""
    schema = pa.schema([(name, pa.string()) for name in ("position", "because", "row")])
    batches = (
        pa.record_batch(
            [
                batch.column("position"),
                pc.binary_join(batch.column("checks"), "; "),
                batch.column("payload"),
            ],
            schema=schema,
        )
        for batch in reader
    )
    return pa.RecordBatchReader.from_batches(schema, batches)


class _Limited:
    """Batches of at most ``limit`` rows together; ``cut`` says at the end if there was more."""

    def __init__(self, reader: pa.RecordBatchReader, limit: int | None) -> None:
        self._reader = reader
        self._limit = limit
        self.cut = False

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        left = self._limit
        for batch in self._reader:
            if left is None or batch.num_rows <= left:
                left = None if left is None else left - batch.num_rows
                yield batch
            else:
                self.cut = True
                yield batch.slice(0, left)
                return


def _write_table(schema: pa.Schema, batches: _Limited, terminal: Terminal) -> None:
    numbers = [field.name for field in schema if _is_number(field.type)]
    rows = (row for batch in batches for row in _tuples(batch))
    width = terminal.width if terminal.out_is_live else None
    lines = aligned(schema.names, rows, right=numbers, width=width, more=terminal.marks.more)
    for header in islice(lines, 1):
        terminal.data(terminal.style_data(header, "strong"))
    for line in lines:
        terminal.data(line)


def _write_csv(schema: pa.Schema, batches: _Limited, terminal: Terminal) -> None:
    flat = pa.schema([field.with_type(_csv_type(field.type)) for field in schema])
    with pyarrow.csv.CSVWriter(terminal.bytes(), flat) as writer:
        for batch in batches:
            columns = [
                column
                if kind == column.type
                else pa.array([_text(value) for value in column.to_pylist()], pa.string())
                for column, kind in zip(batch.columns, flat.types, strict=True)
            ]
            writer.write_batch(pa.record_batch(columns, schema=flat))


def _write_json(batches: _Limited, terminal: Terminal, *, lines: bool) -> None:
    encode = msgspec.json.Encoder(enc_hook=str, decimal_format="string").encode
    divider = "" if lines else "["
    for row in (row for batch in batches for row in _mappings(batch)):
        text = encode(row).decode()
        terminal.out.write(text + "\n" if lines else f"{divider}{text}")
        divider = ",\n "
    if not lines:
        terminal.data("[]" if divider == "[" else "]")


def _tuples(batch: pa.RecordBatch) -> Iterator[tuple[object, ...]]:
    return zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _mappings(batch: pa.RecordBatch) -> Iterator[Mapping[str, object]]:
    names = batch.schema.names
    return (dict(zip(names, row, strict=True)) for row in _tuples(batch))


def _csv_type(kind: pa.DataType) -> pa.DataType:
    return pa.string() if pa.types.is_nested(kind) or pa.types.is_binary(kind) else kind


def _text(value: object) -> str | None:
    if value is None:
        return None
    return (
        value.hex()
        if isinstance(value, bytes)
        else msgspec.json.encode(value, enc_hook=str).decode()
    )


def _is_number(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    )
