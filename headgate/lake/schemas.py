"""Schemas: Arrow's types as the lake stores them, and back.

How Arrow types are stored (everything else is refused by name):

======================================  ===============  ======================================
Arrow                                   stored as        rule
======================================  ===============  ======================================
bool                                    boolean
int8, int16, int32, uint8, uint16       int
int64, uint32                           long
uint64                                  decimal(20, 0)   no 64-bit type of Iceberg's holds it
float16, float32; float64               float; double
decimal of any width, up to 38 digits   decimal(p, s)
string, large string, string view       string
binary, large binary, binary view       binary
fixed size binary                       fixed[n]
date32, date64                          date
time of any unit                        time             nanoseconds are cut to microseconds
timestamp of any unit                   timestamp        nanoseconds are cut to microseconds
timestamp with a time zone              timestamptz      the instant stays, the zone goes
dictionary, run-end encoded             the values' type
list of any kind, map, struct           list, map, struct
arrow.json; arrow.uuid                  string; uuid
======================================  ===============  ======================================

Iceberg knows no duration, no interval and no column without a type.
"""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.types as pt

from headgate.errors import Invalid
from headgate.lake.column_types import (
    Field,
    ListOf,
    MapOf,
    StructOf,
    Type,
    decimal_digits,
    parse,
    text,
)
from headgate.lake.operations import Column
from headgate.lake.schema_changes import UNTYPED

FIELD_ID = b"PARQUET:field_id"

_MAX_DIGITS = 38
_TO_ICEBERG: dict[pa.DataType, str] = {
    pa.null(): UNTYPED,
    pa.bool_(): "boolean",
    pa.int8(): "int",
    pa.int16(): "int",
    pa.int32(): "int",
    pa.uint8(): "int",
    pa.uint16(): "int",
    pa.int64(): "long",
    pa.uint32(): "long",
    pa.uint64(): "decimal(20, 0)",
    pa.float16(): "float",
    pa.float32(): "float",
    pa.float64(): "double",
    pa.string(): "string",
    pa.large_string(): "string",
    pa.string_view(): "string",
    pa.binary(): "binary",
    pa.large_binary(): "binary",
    pa.binary_view(): "binary",
    pa.date32(): "date",
    pa.date64(): "date",
    pa.time32("s"): "time",
    pa.time32("ms"): "time",
    pa.time64("us"): "time",
    pa.time64("ns"): "time",
}
_TO_ARROW: dict[str, pa.DataType] = {
    "boolean": pa.bool_(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "string": pa.string(),
    "binary": pa.binary(),
    "date": pa.date32(),
    "time": pa.time64("us"),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", tz="UTC"),
    "uuid": pa.uuid(),
}


def columns_of(schema: pa.Schema) -> tuple[Column, ...]:
    """Give an Arrow schema's columns as the lake would store them, with the ids the schema carries.

    Columns and nested fields without a field id get id 0.

    Raises:
        Invalid: ``schema-type-unsupported``, naming the column and its type.
    """
    return tuple(
        Column(name=field.name, type=text(_type(field, (field.name,))), id=_field_id(field))
        for field in schema
    )


def arrow_schema(columns: Sequence[Column]) -> pa.Schema:
    """Give the Arrow schema of columns: all optional, each field with its Parquet field id."""
    return pa.schema([_arrow_field(c.name, parse(c.type), c.id) for c in columns])


def _type(field: pa.Field, path: tuple[str, ...]) -> Type:
    type_ = field.type
    known = _TO_ICEBERG.get(type_)
    if known is not None:
        return known
    if pt.is_dictionary(type_) or pt.is_run_end_encoded(type_):
        return _type(field.with_type(type_.value_type), path)
    if pt.is_nested(type_):
        return _nested(type_, path)
    return _parametric(type_, path)


def _parametric(type_: pa.DataType, path: tuple[str, ...]) -> Type:
    if pt.is_timestamp(type_):
        return "timestamptz" if type_.tz else "timestamp"
    if pt.is_decimal(type_) and 0 <= type_.scale <= type_.precision <= _MAX_DIGITS:
        return f"decimal({type_.precision}, {type_.scale})"
    if pt.is_fixed_size_binary(type_):
        return f"fixed[{type_.byte_width}]"
    if isinstance(type_, pa.BaseExtensionType):
        match type_.extension_name:
            case "arrow.json":
                return "string"
            case "arrow.uuid":
                return "uuid"
    raise _unsupported(type_, path)


def _nested(type_: pa.DataType, path: tuple[str, ...]) -> Type:
    if pt.is_map(type_):
        key, value = type_.key_field, type_.item_field
        return MapOf(
            _type(key, (*path, "key")),
            _type(value, (*path, "value")),
            _field_id(key),
            _field_id(value),
        )
    if pt.is_struct(type_) and type_.num_fields:
        return StructOf(
            tuple(Field(f.name, _type(f, (*path, f.name)), _field_id(f)) for f in type_)
        )
    if not pt.is_struct(type_) and not pt.is_union(type_):
        element = type_.value_field
        return ListOf(_type(element, (*path, "element")), _field_id(element))
    raise _unsupported(type_, path)


def _unsupported(type_: pa.DataType, path: tuple[str, ...]) -> Invalid:
    name = ".".join(path)
    hint = "Cast the column to a type that Iceberg tables have."
    if pt.is_duration(type_) or pt.is_interval(type_):
        hint = (
            "Iceberg has no durations: store a number and its unit, such as seconds, in its name."
        )
    elif pt.is_decimal(type_):
        hint = "Iceberg's decimals have up to 38 digits and no negative scale: cast the column."
    return Invalid(
        "schema-type-unsupported",
        f"Column {name!r} has the Arrow type {type_}, which no lake table can hold.",
        hint=hint,
        column=name,
        type=str(type_),
    )


def _field_id(field: pa.Field) -> int:
    metadata = field.metadata
    found = metadata.get(FIELD_ID) if metadata else None
    return int(found) if found else 0


def _arrow_field(name: str, type_: Type, id_: int) -> pa.Field:
    metadata = {FIELD_ID: str(id_).encode()} if id_ else None
    return pa.field(name, _arrow_type(type_), nullable=True, metadata=metadata)


def _arrow_type(type_: Type) -> pa.DataType:
    match type_:
        case str():
            known = _TO_ARROW.get(type_)
            if known is not None:
                return known
            if digits := decimal_digits(type_):
                return pa.decimal128(*digits)
            return pa.binary(int(type_.removeprefix("fixed[").removesuffix("]")))
        case ListOf(element, element_id):
            return pa.list_(_arrow_field("element", element, element_id))
        case MapOf(key, value, key_id, value_id):
            return pa.map_(
                _arrow_field("key", key, key_id).with_nullable(nullable=False),
                _arrow_field("value", value, value_id),
            )
        case StructOf(fields):
            return pa.struct([_arrow_field(f.name, f.type, f.id) for f in fields])
