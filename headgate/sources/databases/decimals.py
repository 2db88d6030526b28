"""Decimals that travel as whole numbers or as text, made of them without a detour by Python."""

from collections.abc import Callable
from decimal import Decimal
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

MOST_DIGITS = 38
WHOLE_DIGITS = 18
"""Up to this many digits a decimal is a 64-bit whole number with a point in it."""


def from_whole(type_: pa.DataType) -> Callable[[pa.ChunkedArray], pa.ChunkedArray]:
    """Give what makes decimals of their digits as 64-bit whole numbers, by their bits alone."""
    return partial(_wide, type_)


def from_text(type_: pa.DataType) -> Callable[[pa.ChunkedArray], pa.ChunkedArray]:
    """Give what makes decimals of text; a digit that does not fit is an error, never rounded."""
    return lambda column: column.cast(pa.string()).cast(type_)


def digits_of(value: Decimal) -> int:
    """Give a decimal's digits without its point. Python's own arithmetic rounds to 28 of them."""
    return int(f"{value:f}".replace(".", ""))


def with_point(digits: int, scale: int) -> Decimal:
    """Give the decimal of these digits, all of them, so many behind its point."""
    return Decimal(f"{digits}e-{scale}")


def _wide(type_: pa.DataType, column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pa.chunked_array([_widened(chunk, type_) for chunk in column.chunks], type_)


def _widened(chunk: pa.Array, type_: pa.DataType) -> pa.Array:
    rows = len(chunk)
    digits = np.frombuffer(chunk.buffers()[1], dtype=np.int64, count=rows + chunk.offset)
    wide = np.empty((rows, 2), dtype=np.int64)
    wide[:, 0] = digits[chunk.offset :]
    wide[:, 1] = wide[:, 0] >> 63
    validity = pc.is_valid(chunk).buffers()[1] if chunk.null_count else None
    return pa.Array.from_buffers(type_, rows, [validity, pa.py_buffer(wide)], chunk.null_count)
