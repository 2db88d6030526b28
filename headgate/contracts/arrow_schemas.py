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
from headgate.type_words import type_words

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
    return {field.name: type_words(field.type) for field in schema}
