"""An object as a file that is read at any place."""

import io
import os
import threading
from typing import Protocol


class _Home(Protocol):
    def size(self, key: str, *, fresh: bool = False) -> int: ...

    def read_range(self, key: str, start: int, length: int) -> bytes: ...


class ObjectReader(io.RawIOBase):
    """Reads an object by ranges; each read is one request.

    Threads that share it have a position each: DuckDB sets the position and reads in two calls, on
    one file from many threads.
    """

    def __init__(self, home: _Home, key: str) -> None:
        super().__init__()
        self._home = home
        self._key = key
        self._size = home.size(key)
        self._here = threading.local()

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Give this thread's position."""
        position: int = getattr(self._here, "position", 0)
        return position

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Set this thread's position."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self.tell(), os.SEEK_END: self._size}[whence]
        self._here.position = max(0, start + offset)
        return self.tell()

    def read(self, size: int | None = -1, /) -> bytes:
        """Give up to so many bytes; fewer only at the end."""
        position = self.tell()
        left = max(0, self._size - position)
        wanted = left if size is None or size < 0 else min(size, left)
        found = self._home.read_range(self._key, position, wanted)
        self._here.position = position + len(found)
        return found

    def readall(self) -> bytes:
        """Give what is left."""
        return self.read()

    def readinto(self, buffer: "bytearray | memoryview", /) -> int:  # type: ignore[override]
        """Fill a buffer."""
        found = self.read(len(buffer))
        buffer[: len(found)] = found
        return len(found)
