"""What PostgreSQL's types become, and how a column of texts is read as one of them.

A type that a table of the lake cannot have stays text, as the database writes it. A value that its
column's type cannot hold (an infinite date, NaN among decimals, a year beyond 9999) is given back
as unread, never as something else.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from headgate.sources.postgres_changes.relations import bad_message

_VARIABLE_HEADER = 4
_MOST_DIGITS = 38

BYTES_OID, NUMERIC_OID = 17, 1700

_ARROW: Final = {
    16: pa.bool_(),
    17: pa.binary(),
    20: pa.int64(),
    21: pa.int32(),
    23: pa.int32(),
    26: pa.int64(),
    700: pa.float32(),
    701: pa.float64(),
    1082: pa.date32(),
    1083: pa.time64("us"),
    1114: pa.timestamp("us"),
    1184: pa.timestamp("us", "UTC"),
}

_WRITTEN: Final = {
    1082: r"^\d{4}-\d\d-\d\d$",
    1083: r"^([01]\d|2[0-3]):\d\d:\d\d(\.\d+)?$",
    1114: r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?$",
    1184: r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?\+00$",
    NUMERIC_OID: r"^-?\d+(\.\d+)?$",
}
"""How values that Arrow can hold are written; the others are infinite, before Christ, or NaN."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A column's type: the built-in type it is one of in the end, and what it is in Arrow."""

    oid: int
    arrow: pa.DataType

    @property
    def is_text(self) -> bool:
        """Whether values are taken as they are written."""
        return bool(pa.types.is_string(self.arrow))


def kind_of(oid: int, modifier: int) -> Kind:
    """Give the kind of a built-in type; one that is not known is text."""
    if oid == NUMERIC_OID and modifier >= _VARIABLE_HEADER:
        packed = modifier - _VARIABLE_HEADER
        precision, scale = packed >> 16, ((packed & 0x7FF) ^ 1024) - 1024
        if 0 <= scale <= precision <= _MOST_DIGITS:
            return Kind(oid=oid, arrow=pa.decimal128(precision, scale))
        return Kind(oid=oid, arrow=pa.string())
    return Kind(oid=oid, arrow=_ARROW.get(oid, pa.string()))


def read_values(text: pa.Array, kind: Kind) -> tuple[pa.Array, NDArray[np.bool_] | None]:
    """Read a column's bytes as its kind; give the values, and which could not be (None: all could).

    Raises:
        Corrupt: ``bad-replication-message``: a text is not UTF-8.
    """
    try:
        written = text.cast(pa.string())
    except pa.ArrowInvalid as error:
        raise bad_message("a text is not written in UTF-8") from error
    if kind.is_text:
        return written, None
    read = _READERS.get(kind.oid, lambda values: values.cast(kind.arrow))
    try:
        return read(written), None
    except pa.ArrowInvalid:
        return _read_each(written, kind, read)


_Read: TypeAlias = Callable[[pa.Array], pa.Array]


def _read_each(written: pa.Array, kind: Kind, read: _Read) -> tuple[pa.Array, NDArray[np.bool_]]:
    """Read what can be read."""
    usual = _WRITTEN.get(kind.oid)
    fits = pc.match_substring_regex(written, usual) if usual else pc.is_valid(written)
    kept = pc.if_else(fits, written, pa.scalar(None, pa.string()))
    try:
        values = read(kept)
    except pa.ArrowInvalid:  # written as usual, and still none, such as a 30th of February
        values = pa.concat_arrays([_one(kept.slice(n, 1), read) for n in range(len(kept))])
    unread = pc.and_(pc.is_valid(written), pc.is_null(values))
    return values, unread.to_numpy(zero_copy_only=False)


def _one(value: pa.Array, read: _Read) -> pa.Array:
    try:
        return read(value)
    except pa.ArrowInvalid:
        return read(pa.nulls(1, pa.string()))


def _truth(written: pa.Array) -> pa.Array:
    return pc.equal(written, "t")


def _clock(written: pa.Array) -> pa.Array:
    instants = pc.binary_join_element_wise(pa.scalar("1970-01-01"), written, " ")
    return instants.cast(pa.timestamp("us")).cast(pa.time64("us"))


def _bytes(written: pa.Array) -> pa.Array:
    r"""Read ``\x0aff``: all digits of the column at once."""
    digits = pc.utf8_slice_codeunits(written, start=2)
    _, offsets, data = digits.buffers()
    bounds = np.frombuffer(offsets, np.int32)[digits.offset : digits.offset + len(digits) + 1]
    found = np.frombuffer(data or b"", np.uint8)[bounds[0] : bounds[-1]] if len(digits) else None
    values = _NIBBLES[found] if found is not None else np.zeros(0, np.uint8)
    joined = (values[0::2] << 4) | values[1::2]
    starts = ((bounds - bounds[0]) // 2).astype(np.int32)
    return pa.BinaryArray.from_buffers(
        pa.binary(),
        len(digits),
        [_validity(digits), pa.py_buffer(starts), pa.py_buffer(joined.astype(np.uint8))],
    )


def _validity(array: pa.Array) -> pa.Buffer | None:
    if not array.null_count:
        return None
    valid = pc.is_valid(array).to_numpy(zero_copy_only=False)
    return pa.py_buffer(np.packbits(valid, bitorder="little"))


_NIBBLES: Final = np.zeros(256, np.uint8)
for _value, _digit in enumerate(b"0123456789abcdef"):
    _NIBBLES[_digit] = _value

_READERS: Final[dict[int, _Read]] = {16: _truth, 1083: _clock, BYTES_OID: _bytes}
