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


_WHOLE_DIGITS: dict[Word, int] = {"int": 10, "long": 19}


def holds_digits(type_: pa.DataType, precision: int, scale: int) -> bool:
    """Whether an exact number of so many digits, ``scale`` behind the point, holds all of ours."""
    kind = word(type_)
    if kind == "decimal":
        whole, behind = type_.precision - type_.scale, type_.scale
    elif kind in _WHOLE_DIGITS:
        whole, behind = _WHOLE_DIGITS[kind], 0
    else:
        return False
    return bool(scale >= behind and precision - scale >= whole)
