"""What kind of column an Arrow field is: the words in which databases say what they make of it."""

from typing import Literal, TypeAlias

import pyarrow as pa
import pyarrow.types as pt

Word: TypeAlias = Literal[
    "boolean",
    "int",
    "long",
    "float",
    "double",
    "decimal",
    "string",
    "binary",
    "date",
    "time",
    "timestamp",
    "timestamptz",
    "uuid",
    "list",
    "nested",
]
"""``list``: of plain values. ``nested``: structs, maps, lists of lists or of these."""

_WORDS: dict[pa.DataType, Word] = {
    pa.bool_(): "boolean",
    pa.int32(): "int",
    pa.int64(): "long",
    pa.float32(): "float",
    pa.float64(): "double",
    pa.string(): "string",
    pa.binary(): "binary",
    pa.date32(): "date",
    pa.time64("us"): "time",
    pa.timestamp("us"): "timestamp",
    pa.timestamp("us", tz="UTC"): "timestamptz",
    pa.uuid(): "uuid",
}


def word(type_: pa.DataType) -> Word:
    """Give the word for a type as lakes have them (``headgate.lake`` maps all others to these)."""
    if found := _WORDS.get(type_):
        return found
    if pt.is_decimal(type_):
        return "decimal"
    if pt.is_fixed_size_binary(type_):
        return "binary"
    if pt.is_list(type_) and not pt.is_nested(type_.value_type):
        return "list"
    return "nested"
