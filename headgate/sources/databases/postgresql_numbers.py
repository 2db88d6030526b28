"""PostgreSQL's numerics made decimals of the form in which the server sends them, column-wise.

A numeric is sent as four 16-bit words (how many digits, the weight of the first one, the sign, the
scale it is shown with) and its digits to the base of 10,000. To send it so costs the server far
less than a multiplication and a cast to int8, and NaN and infinity have signs of their own: no SQL
needs to look for them.
"""

from collections.abc import Callable
from functools import partial
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from headgate.errors import Internal
from headgate.sources.databases.decimals import from_digits

NOT_FINITE: Final = "NaN or infinity"

Words: TypeAlias = npt.NDArray[np.int16]
Numbers: TypeAlias = npt.NDArray[np.int32]
Whole: TypeAlias = npt.NDArray[np.int64]
Flags: TypeAlias = npt.NDArray[np.bool_]

_HEADER: Final = 4
_PLACES: Final = 4
_BASE: Final = 10**_PLACES
_NEGATIVE: Final = 0x4000
_SPECIAL: Final = 0xC000


class Unfit(Exception):  # noqa: N818 - said of a value
    """A value is not what its column can carry; the text says what it is."""


def from_sent(type_: pa.DataType, *, none: bool) -> Callable[[pa.ChunkedArray], pa.ChunkedArray]:
    """Give what makes decimals, of up to 18 digits, of the bytes of ``numeric_send``.

    What is not finite becomes NULL where ``none``. What else the type does not hold is refused, as
    a number that is not finite else is: nothing is rounded.

    Raises:
        Unfit: when decimals are made.
        Internal: ``numeric-form-unknown``, likewise.
    """
    return partial(_decimals, type_, none)


def misfit(type_: pa.DataType) -> str:
    """Say what does not fit a decimal."""
    return f"a number that does not fit decimal({type_.precision}, {type_.scale})"


def _decimals(type_: pa.DataType, none: bool, column: pa.ChunkedArray) -> pa.ChunkedArray:  # noqa: FBT001
    return pa.chunked_array([_decimal(chunk, type_, none=none) for chunk in column.chunks], type_)


def _decimal(chunk: pa.Array, type_: pa.DataType, *, none: bool) -> pa.Array:
    there = pc.is_valid(chunk).to_numpy(zero_copy_only=False) if chunk.null_count else None
    words, first, lengths = _words(chunk)
    digits, weight, sign = (words[first + word].astype(np.int32) & 0xFFFF for word in range(3))
    weight = weight.astype(np.int16).astype(np.int32)  # it alone may be negative
    if there is not None:  # where a NULL is are the words of the value behind it
        digits, weight, sign = digits * there, weight * there, sign * there
    _refuse_other_forms(digits, lengths, there)
    special = sign & _SPECIAL == _SPECIAL
    if special.any():
        if not none:
            raise Unfit(NOT_FINITE)
        there = ~special if there is None else there & ~special
    whole = _whole(words, first + _HEADER, digits, weight, type_)
    np.negative(whole, out=whole, where=sign == _NEGATIVE)
    return from_digits(type_, whole, there)


def _words(chunk: pa.Array) -> tuple[Words, Numbers, Numbers]:
    """Give all words, and of each value the place of its first one and how many bytes it has.

    Some words more stand at the end, so that no look goes beyond.
    """
    _, places, data = chunk.buffers()
    offsets = np.frombuffer(places, np.int32)[chunk.offset : chunk.offset + len(chunk) + 1]
    begin, end = int(offsets[0]), int(offsets[-1])
    words = np.zeros((end - begin) // 2 + _HEADER + 1, np.int16)
    if data is not None and end > begin:
        sent = np.frombuffer(data, np.uint8)[begin : end - (end - begin) % 2]
        words[: len(sent) // 2] = sent.view(">i2")
    return words, (offsets[:-1] - begin) >> 1, np.diff(offsets)


def _refuse_other_forms(digits: Numbers, lengths: Numbers, there: Flags | None) -> None:
    expected = (digits + _HEADER) * 2
    if there is not None:
        expected *= there
    if not np.array_equal(expected, lengths):
        raise Internal(
            "numeric-form-unknown",
            "The server sent a numeric in a form that is not known.",
            hint="Cast the column to text in a query. Please report this with the server's "
            "version.",
        )


def _whole(
    words: Words, first: Numbers, digits: Numbers, weight: Numbers, type_: pa.DataType
) -> Whole:
    """Give values without their point and sign: the sum of what their digits stand for.

    Raises:
        Unfit: where that does not fit the type.
    """
    whole = np.zeros(len(digits), np.int64)
    counted = digits > 0
    if not counted.any():
        return whole
    highest = int(weight[counted].max())
    lowest = int((weight - digits)[counted].min()) + 1
    # Neither the first digit nor the last one is ever zero.
    if not (
        highest * _PLACES + type_.scale < type_.precision
        and (lowest + 1) * _PLACES + type_.scale > 0
    ):
        raise Unfit(misfit(type_))
    for place in range(lowest, highest + 1):
        behind = weight - place
        has = behind.view(np.uint32) < digits.view(np.uint32)  # and not before the first
        digit = words[(first + behind) * has] * has
        power = place * _PLACES + type_.scale
        unit = 10 ** abs(power)
        if power < 0:
            digit, fits = digit // unit, not (digit % unit).any()
            unit = 1
        else:
            fits = digit.max() < min(_BASE, 10 ** (type_.precision - power))
        if not fits:
            raise Unfit(misfit(type_))
        whole += digit * np.int64(unit)
    return whole
