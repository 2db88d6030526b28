"""Numbers between Arrow and NumPy by their buffers: Arrow's own way there imports pandas."""

from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Number = TypeVar("Number", np.int64, np.uint64)


def numbers(array: "pa.Array | pa.ChunkedArray", kind: type[Number]) -> npt.NDArray[Number]:
    """Give the values of an array of 8-byte integers that has no NULL; no copy is made."""
    whole = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    if not len(whole):
        return np.empty(0, dtype=kind)
    values = np.frombuffer(whole.buffers()[1], dtype=kind)
    return values[whole.offset : whole.offset + len(whole)]


def booleans(values: npt.NDArray[np.bool_]) -> pa.Array:
    """Give booleans as an Arrow array."""
    packed = pa.py_buffer(np.packbits(values, bitorder="little"))
    return pa.Array.from_buffers(pa.bool_(), len(values), [None, packed])


def integers(values: npt.NDArray[np.int64]) -> pa.Array:
    """Give integers as an Arrow array."""
    buffer = pa.py_buffer(np.ascontiguousarray(values, dtype=np.int64))
    return pa.Array.from_buffers(pa.int64(), len(values), [None, buffer])
