"""Arrow's types in DuckDB's words, and casts between them that never lose a value in silence."""

from collections.abc import Callable

import pyarrow as pa
from pyarrow import types

from headgate.errors import Invalid
from headgate.names import quote

FIELD_ID = b"PARQUET:field_id"

_PLAIN: tuple[tuple[Callable[[pa.DataType], bool], str], ...] = (
    (types.is_boolean, "BOOLEAN"),
    (types.is_int8, "TINYINT"),
    (types.is_int16, "SMALLINT"),
    (types.is_int32, "INTEGER"),
    (types.is_int64, "BIGINT"),
    (types.is_uint8, "UTINYINT"),
    (types.is_uint16, "USMALLINT"),
    (types.is_uint32, "UINTEGER"),
    (types.is_uint64, "UBIGINT"),
    (types.is_float16, "FLOAT"),
    (types.is_float32, "FLOAT"),
    (types.is_float64, "DOUBLE"),
    (types.is_string, "VARCHAR"),
    (types.is_large_string, "VARCHAR"),
    (types.is_string_view, "VARCHAR"),
    (types.is_binary, "BLOB"),
    (types.is_large_binary, "BLOB"),
    (types.is_binary_view, "BLOB"),
    (types.is_fixed_size_binary, "BLOB"),
    (types.is_date, "DATE"),
    (types.is_duration, "INTERVAL"),
    (types.is_interval, "INTERVAL"),
    (types.is_null, "INTEGER"),
)


def sql_type(kind: pa.DataType) -> str:  # noqa: PLR0911 - a table of types
    """Give DuckDB's name of an Arrow type; units of time finer than a microsecond keep theirs.

    Raises:
        Invalid: ``type-not-supported``.
    """
    for matches, name in _PLAIN:
        if matches(kind):
            return name
    if isinstance(kind, pa.BaseExtensionType):
        named = kind.extension_name
        return "UUID" if named == "arrow.uuid" else sql_type(kind.storage_type)
    if types.is_decimal(kind):
        return f"DECIMAL({kind.precision}, {kind.scale})"
    if types.is_timestamp(kind):
        if kind.tz is not None:
            return "TIMESTAMP WITH TIME ZONE"
        return "TIMESTAMP_NS" if kind.unit == "ns" else "TIMESTAMP"
    if types.is_time(kind):
        return "TIME_NS" if kind.unit == "ns" else "TIME"
    if types.is_dictionary(kind):
        return sql_type(kind.value_type)
    if types.is_run_end_encoded(kind):
        return sql_type(kind.value_type)
    return _nested_type(kind)


def _nested_type(kind: pa.DataType) -> str:
    if types.is_fixed_size_list(kind):
        return f"{sql_type(kind.value_type)}[{kind.list_size}]"
    if (
        types.is_list(kind)
        or types.is_large_list(kind)
        or types.is_list_view(kind)
        or types.is_large_list_view(kind)
    ):
        return f"{sql_type(kind.value_type)}[]"
    if types.is_struct(kind):
        inner = ", ".join(f"{quote(field.name)} {sql_type(field.type)}" for field in kind)
        return f"STRUCT({inner})"
    if types.is_map(kind):
        return f"MAP({sql_type(kind.key_type)}, {sql_type(kind.item_type)})"
    raise Invalid(
        "type-not-supported",
        f"Columns of the Arrow type {kind} cannot be stored.",
        hint="Cast the column first, for example to text.",
        type=str(kind),
    )


_WIDE = pa.decimal128(38, 0)


def cast(expression: str, given: pa.DataType, wanted: pa.DataType) -> str:
    """Give SQL that turns one type into another.

    Where DuckDB would round or cut (a fraction to an integer, a scale to a smaller one, an instant
    to a date), the SQL raises on the first value that is not representable.
    """
    target = sql_type(wanted)
    if given.equals(_WIDE):  # a HUGEINT looks like this, and Parquet would make it a DOUBLE
        return f"cast({expression} as {target})"
    if target == sql_type(given) and not types.is_null(given):
        return expression
    plain = f"cast({expression} as {target})"
    if not may_lose(given, wanted):
        return plain
    back = f"cast({plain} as {sql_type(given)})"
    complaint = f"'a value does not fit {target} without loss: ' || cast({expression} as VARCHAR)"
    return (
        f"case when {back} is distinct from {expression} then error({complaint}) else {plain} end"
    )


def may_lose(given: pa.DataType, wanted: pa.DataType) -> bool:
    """Say whether a cast from one type to another may round or cut."""
    if types.is_floating(given) or types.is_decimal(given):
        return bool(types.is_integer(wanted) or types.is_decimal(wanted))
    if types.is_timestamp(given):
        finer = given.unit == "ns" and types.is_timestamp(wanted) and wanted.unit != "ns"
        return bool(finer or types.is_date(wanted) or types.is_time(wanted))
    return False


def field_ids(schema: pa.Schema) -> str:
    """Give the FIELD_IDS of a COPY: every field's id, nested ones too; empty without any id."""
    parts = [part for field in schema if (part := _ids_of(field))]
    return "{" + ", ".join(parts) + "}" if parts else ""


def _ids_of(field: pa.Field, name: str | None = None) -> str:
    own = (field.metadata or {}).get(FIELD_ID)
    inner = [part for child, label in _children(field.type) if (part := _ids_of(child, label))]
    if own is None and not inner:
        return ""
    label = quote(field.name if name is None else name)
    if not inner:
        return f"{label}: {int(own or b'0')}"
    parts = [f"__duckdb_field_id: {int(own)}", *inner] if own is not None else inner
    return f"{label}: {{{', '.join(parts)}}}"


def _children(kind: pa.DataType) -> list[tuple[pa.Field, str]]:
    if types.is_struct(kind):
        return [(field, field.name) for field in kind]
    if types.is_map(kind):
        return [(kind.key_field, "key"), (kind.item_field, "value")]
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return [(kind.value_field, "element")]
    return []
