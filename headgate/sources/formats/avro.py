"""Avro files: typed columns by the schema in the file, a block in memory at a time."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, TypeAlias, cast

import fastavro
import pyarrow as pa
from fastavro.schema import SchemaParseException

from headgate.errors import Corrupt, Invalid
from headgate.sources.formats.json_texts import json_text
from headgate.sources.formats.packing import opened
from headgate.sources.formats.pieces import PIECE_ROWS, Piece
from headgate.sources.formats.raw_file import RawFile

_Make: TypeAlias = Callable[[object], object]
_PLAIN: Mapping[str, pa.DataType] = {
    "boolean": pa.bool_(),
    "bytes": pa.binary(),
    "double": pa.float64(),
    "enum": pa.string(),
    "float": pa.float32(),
    "int": pa.int32(),
    "long": pa.int64(),
    "null": pa.string(),
    "string": pa.string(),
}
_LOGICAL: Mapping[tuple[str, str], pa.DataType] = {
    ("int", "date"): pa.date32(),
    ("int", "time-millis"): pa.time64("us"),
    ("long", "time-micros"): pa.time64("us"),
    ("long", "timestamp-millis"): pa.timestamp("us", tz="UTC"),
    ("long", "timestamp-micros"): pa.timestamp("us", tz="UTC"),
    ("long", "local-timestamp-millis"): pa.timestamp("us"),
    ("long", "local-timestamp-micros"): pa.timestamp("us"),
}
_MOST_DIGITS = 38


@dataclass(frozen=True, slots=True)
class _Kind:
    """A column's type, and how a value of fastavro becomes one of it; None as it is."""

    type: pa.DataType
    make: _Make | None = None


def read(file: RawFile, options: Mapping[str, object], after: int) -> Iterator[Piece]:  # noqa: ARG001
    """Give a file's rows.

    Logical types are dates, times, instants and decimals; a UUID is text. A union of several types,
    a decimal of more than 38 digits and a schema that contains itself become text, as JSON.

    Raises:
        Corrupt: ``file-damaged``.
        Invalid: ``avro-not-rows``.
    """
    with opened(file) as stream:
        yield from _pieces(file, stream, after)


def _pieces(file: RawFile, stream: IO[bytes], after: int) -> Iterator[Piece]:
    done = 0
    rows: list[Mapping[str, object]] = []
    try:
        blocks = fastavro.block_reader(stream)
        columns = _columns(file, blocks.writer_schema)
        for block in blocks:
            if done + block.num_records <= after:
                done += block.num_records
                continue
            for record in block:
                done += 1
                if done <= after:
                    continue
                rows.append(cast("Mapping[str, object]", record))
                if len(rows) == PIECE_ROWS:
                    yield Piece(rows=_table(columns, rows), records=done)
                    rows = []
    except (ValueError, EOFError, IndexError, KeyError, TypeError, SchemaParseException) as error:
        if isinstance(error, Invalid):
            raise
        raise Corrupt(
            "file-damaged",
            f"{file.shown} is no whole Avro file after record {done:,}: {error}",
            hint="Fetch the file again.",
            path=file.shown,
            records=done,
        ) from error
    if rows or done <= after:
        yield Piece(rows=_table(columns, rows), records=done)


def _columns(file: RawFile, schema: object) -> Mapping[str, _Kind]:
    named: dict[str, Mapping[str, object]] = {}
    if not isinstance(schema, dict) or schema.get("type") != "record":
        raise Invalid(
            "avro-not-rows",
            f"{file.shown} holds values that are no records.",
            hint="Have it written with a schema of the type record.",
            path=file.shown,
        )
    _name_all(schema, named)
    return {each["name"]: _kind(each["type"], named, ()) for each in schema["fields"]}


def _table(columns: Mapping[str, _Kind], rows: Sequence[Mapping[str, object]]) -> pa.Table:
    arrays = []
    for name, kind in columns.items():
        values = [row.get(name) for row in rows]
        made = values if kind.make is None else [_made(kind.make, value) for value in values]
        arrays.append(pa.array(made, kind.type))
    return pa.table(arrays, names=list(columns))


def _made(make: _Make, value: object) -> object:
    return None if value is None else make(value)


# -- types


def _name_all(schema: object, named: dict[str, Mapping[str, object]]) -> None:
    """Find the types that have names: fastavro refers to each by its full name."""
    if isinstance(schema, list):
        for each in schema:
            _name_all(each, named)
    elif isinstance(schema, dict):
        if isinstance(schema.get("name"), str) and schema.get("type") in {
            "record",
            "enum",
            "fixed",
        }:
            named[schema["name"]] = schema
        for each in schema.get("fields", ()):
            _name_all(each["type"], named)
        for part in ("type", "items", "values"):
            if isinstance(schema.get(part), (dict, list)):
                _name_all(schema[part], named)


def _kind(
    schema: object, named: Mapping[str, Mapping[str, object]], inside: tuple[str, ...]
) -> _Kind:
    if isinstance(schema, list):
        some = [each for each in schema if each != "null"]
        return _kind(some[0], named, inside) if len(some) == 1 else _Kind(pa.string(), json_text)
    if isinstance(schema, str):
        if schema in _PLAIN:
            return _Kind(_PLAIN[schema])
        schema = named[schema]
    if not isinstance(schema, Mapping):
        return _Kind(pa.string(), json_text)
    if isinstance(schema["type"], (dict, list)):
        return _kind(schema["type"], named, inside)
    return _known_kind(schema, named, inside)


def _known_kind(  # noqa: PLR0911 - a table of types
    schema: Mapping[str, object], named: Mapping[str, Mapping[str, object]], inside: tuple[str, ...]
) -> _Kind:
    name, logical = str(schema["type"]), str(schema.get("logicalType"))
    if logical == "decimal" and name in {"bytes", "fixed"}:
        return _decimal(schema)
    if logical == "uuid":
        return _Kind(pa.string(), str)
    if (name, logical) in _LOGICAL:
        return _Kind(_LOGICAL[name, logical])
    if name == "fixed":
        return _Kind(pa.binary())
    if name == "array":
        return _list(_kind(schema["items"], named, inside))
    if name == "map":
        return _map(_kind(schema["values"], named, inside))
    if name == "record":
        if schema["name"] in inside:
            return _Kind(pa.string(), json_text)
        return _struct(schema, named, (*inside, str(schema["name"])))
    return _Kind(_PLAIN[name]) if name in _PLAIN else _kind(name, named, inside)


def _decimal(schema: Mapping[str, object]) -> _Kind:
    digits, scale = int(str(schema["precision"])), int(str(schema.get("scale", 0)))
    if digits > _MOST_DIGITS:
        return _Kind(pa.string(), lambda value: f"{value:f}")
    return _Kind(pa.decimal128(digits, scale))


def _list(items: _Kind) -> _Kind:
    make = items.make
    if make is None:
        return _Kind(pa.list_(items.type))
    return _Kind(pa.list_(items.type), lambda value: [_made(make, each) for each in value])  # type: ignore[attr-defined]


def _map(values: _Kind) -> _Kind:
    make = values.make
    return _Kind(
        pa.map_(pa.string(), values.type),
        lambda value: [
            (key, each if make is None else _made(make, each))
            for key, each in value.items()  # type: ignore[attr-defined]
        ],
    )


def _struct(
    schema: Mapping[str, object],
    named: Mapping[str, Mapping[str, object]],
    inside: tuple[str, ...],
) -> _Kind:
    fields: Sequence[Mapping[str, object]] = schema["fields"]  # type: ignore[assignment]
    kinds = {str(each["name"]): _kind(each["type"], named, inside) for each in fields}
    kind = pa.struct([(name, kind.type) for name, kind in kinds.items()])
    makes = {name: kind.make for name, kind in kinds.items() if kind.make is not None}
    if not makes:
        return _Kind(kind)

    def make(value: object) -> object:
        record: Mapping[str, object] = value  # type: ignore[assignment]
        changed = {name: _made(made, record.get(name)) for name, made in makes.items()}
        return {**record, **changed}

    return _Kind(kind, make)
