"""Large files, looked at by all cores at once: each takes a range of bytes.

What looks must leave the GIL alone, as hashing and NumPy do. A small file is looked at where one
stands: a thread costs more than a few megabytes.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

LARGE_BYTES = 32 * 1024 * 1024
"""Below that a file is one range."""

_Seen = TypeVar("_Seen")


def look_through(
    path: str | Path, look: Callable[[int, int, int], _Seen], *, multiple_of: int = 1
) -> list[_Seen]:
    """Give what was seen in each range of a file, in the file's order.

    Args:
        path: the file; as large as it is now.
        look: takes a descriptor to be read by position (``os.pread``, no seeking), where its range
            begins and where it ends; called by several threads at once.
        multiple_of: where ranges begin.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        size = os.fstat(descriptor).st_size
        cores = os.cpu_count() or 1
        if size < LARGE_BYTES or cores == 1:
            return [look(descriptor, 0, size)]
        length = -(-size // cores // multiple_of) * multiple_of
        ranges = [(start, min(start + length, size)) for start in range(0, size, length)]
        with ThreadPoolExecutor(len(ranges), "headgate-look") as pool:
            return list(pool.map(lambda place: look(descriptor, *place), ranges))
    finally:
        os.close(descriptor)


def chunks_of(descriptor: int, start: int, end: int, size: int) -> Iterator[bytes]:
    """Give a range of a file in chunks; what was cut off meanwhile is missing."""
    while start < end and (chunk := os.pread(descriptor, min(size, end - start), start)):
        yield chunk
        start += len(chunk)
