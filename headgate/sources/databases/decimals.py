"""Decimals that travel as whole numbers or as text, made of them without a detour by Python."""

from collections.abc import Callable
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

MOST_DIGITS = 38
WHOLE_DIGITS = 18
"""Up to this many digits a decimal is a 64-bit whole number with a point in it."""


def from_digits(
    type_: pa.DataType, whole: npt.NDArray[np.int64], there: npt.NDArray[np.bool_] | None
) -> pa.Array:
    """Make decimals of 64-bit whole numbers by their bits; NULL where one is not ``there``."""
    wide = np.empty((len(whole), 2), dtype=np.int64)
    wide[:, 0] = whole
    wide[:, 1] = whole >> 63
    validity = None
    if there is not None:
        validity = pa.py_buffer(np.packbits(there, bitorder="little"))
    return pa.Array.from_buffers(type_, len(whole), [validity, pa.py_buffer(wide)])


def from_text(type_: pa.DataType) -> Callable[[pa.ChunkedArray], pa.ChunkedArray]:
    """Give what makes decimals of text; a digit that does not fit is an error, never rounded."""
    return lambda column: column.cast(pa.string()).cast(type_)


def digits_of(value: Decimal) -> int:
    """Give a decimal's digits without its point. Python's own arithmetic rounds to 28 of them."""
    return int(f"{value:f}".replace(".", ""))


def with_point(digits: int, scale: int) -> Decimal:
    """Give the decimal of these digits, all of them, so many behind its point."""
    return Decimal(f"{digits}e-{scale}")
