"""The contract's table as an Arrow schema, and what a real schema lacks."""

import pyarrow as pa

from headgate.contracts.specs import ContractSpec
from headgate.contracts.types import (
    BINARY,
    BOOL,
    DATE,
    LOCAL_TIMESTAMP,
    STRING,
    TIME,
    UTC_TIMESTAMP,
    ColumnType,
    DecimalType,
    FloatType,
    IntType,
    ListType,
    PlainType,
    StructType,
)

_PLAIN = {
    STRING: pa.string(),
    BOOL: pa.bool_(),
    DATE: pa.date32(),
    TIME: pa.time64("us"),
    UTC_TIMESTAMP: pa.timestamp("us", tz="UTC"),
    LOCAL_TIMESTAMP: pa.timestamp("us"),
    BINARY: pa.binary(),
}


def arrow_schema(spec: ContractSpec) -> pa.Schema:
    """Give the declared columns as an Arrow schema, in order; every field may be null."""
    return pa.schema([pa.field(name, arrow_type(kind)) for name, kind in spec.kinds.items()])


def arrow_type(kind: ColumnType) -> pa.DataType:
    """Give a column type in Arrow."""
    match kind:
        case IntType(bits=bits):
            return pa.int64() if bits == 64 else pa.int32()  # noqa: PLR2004 - as the type says
        case FloatType(bits=bits):
            return pa.float64() if bits == 64 else pa.float32()  # noqa: PLR2004
        case DecimalType(precision=precision, scale=scale):
            return pa.decimal128(precision, scale)
        case ListType(element=element):
            return pa.list_(arrow_type(element))
        case StructType(fields=fields):
            return pa.struct([pa.field(name, arrow_type(inner)) for name, inner in fields])
        case PlainType():
            return _PLAIN[kind]


def type_texts(schema: pa.Schema) -> dict[str, str]:
    """Give an Arrow schema as column names and type texts, as ``questions`` and ``judge`` take it.

    What has no text here comes as Arrow calls it.
    """
    return {field.name: type_text(field.type) for field in schema}


def type_text(kind: pa.DataType) -> str:  # noqa: PLR0911 - a table of types
    """Give the text of an Arrow type."""
    types = pa.types
    if types.is_dictionary(kind):
        return type_text(kind.value_type)
    if types.is_large_string(kind) or types.is_string_view(kind):
        return str(STRING)
    if types.is_large_binary(kind) or types.is_binary_view(kind):
        return str(BINARY)
    if types.is_integer(kind):
        return "int" if kind.bit_width < 64 and kind != pa.uint32() else "long"  # noqa: PLR2004
    if types.is_floating(kind):
        return "double" if kind.bit_width == 64 else "float"  # noqa: PLR2004
    if types.is_decimal(kind):
        return f"decimal({kind.precision}, {kind.scale})"
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return f"list<{type_text(kind.value_type)}>"
    if types.is_struct(kind):
        return f"struct<{', '.join(f'{f.name}: {type_text(f.type)}' for f in kind)}>"
    if types.is_timestamp(kind):
        return str(UTC_TIMESTAMP if kind.tz is not None else LOCAL_TIMESTAMP)
    for plain, arrow in _PLAIN.items():
        if kind == arrow:
            return str(plain)
    return str(kind)
