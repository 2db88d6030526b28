"""Uploads: objects written piece by piece, in bounded memory, that appear whole or not at all."""

import hashlib
from errno import EEXIST
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

import obstore
from obstore.exceptions import BaseError

from headgate.errors import HeadgateError
from headgate.stores.failures import failed
from headgate.stores.options import StoreOptions

if TYPE_CHECKING:
    from obstore.store import S3Store

PART_BYTES = 8 * 1024 * 1024
"""A part of a multipart upload; an object may have 10,000 of them."""

_PARTS_AT_ONCE = 4
_TAIL_BYTES = 512 * 1024
"""The end of a Parquet file is its footer, and is read next."""


class _Home(Protocol):
    options: StoreOptions

    def create(self, key: str, content: bytes) -> None: ...

    def size(self, key: str, *, fresh: bool = False) -> int: ...

    def remember(self, key: str, size: int, sha256: str, tail: bytes) -> None: ...

    def url_of(self, key: str) -> str: ...


class Upload:
    """A file to write to. Nothing is visible before `finish`, and nothing after `abandon`.

    Small objects are created in one conditional request. Larger ones go up in parts while they are
    written, and the name is looked at before: no client can make the last request of a multipart
    upload conditional, and names end with a UUID.
    """

    mode = "wb"

    def __init__(self, home: _Home, store: "S3Store", start: str, key: str) -> None:
        self.key = key
        self.size_bytes = 0
        self.is_open = True
        self._home = home
        self._store = store
        self._start = start
        self._head = bytearray()
        self._tail = b""
        self._hasher = hashlib.sha256()
        self._writer: obstore.WritableFile | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.finish()
        else:
            self.abandon()

    def write(self, piece: "bytes | bytearray | memoryview") -> int:
        """Add bytes."""
        content = bytes(piece)
        self._hasher.update(content)
        self.size_bytes += len(content)
        joined = content if len(content) >= _TAIL_BYTES else self._tail + content
        self._tail = joined[-_TAIL_BYTES:]
        if self._writer is None and len(self._head) + len(content) <= PART_BYTES:
            self._head += content
            return len(content)
        try:
            self._parts().write(content)
        except (BaseError, OSError) as error:
            self.abandon()
            raise self._failed(error) from error
        return len(content)

    @property
    def tail(self) -> bytes:
        """The last bytes that were written."""
        return self._tail

    def finish(self) -> None:
        """Make the object appear, durable. Finishing twice is no error.

        Raises:
            FileExistsError: there is another object of that name.
        """
        if not self.is_open:
            return
        self.is_open = False
        if self._writer is None:
            self._home.create(self.key, bytes(self._head))
            return
        try:
            self._writer.close()
        except (BaseError, OSError) as error:
            raise self._failed(error) from error
        self._home.remember(self.key, self.size_bytes, self._hasher.hexdigest(), self._tail)

    def abandon(self) -> None:
        """Leave nothing; the parts that went up are given back to the store."""
        if not self.is_open:
            return
        self.is_open = False
        self._head.clear()
        if self._writer is None:
            return
        stop = InterruptedError("the upload was abandoned")
        try:
            self._writer.__exit__(InterruptedError, stop, None)
        except (BaseError, OSError):  # parts stay, invisible, until the bucket's own rule ends them
            return

    def _parts(self) -> "obstore.WritableFile":
        if self._writer is None:
            try:
                self._home.size(self.key, fresh=True)
            except FileNotFoundError:
                pass
            else:
                there = self._home.url_of(self.key)
                raise FileExistsError(EEXIST, "there is such an object", there)
            self._writer = obstore.open_writer(
                self._store,
                self._start + self.key,
                buffer_size=PART_BYTES,
                max_concurrency=_PARTS_AT_ONCE,
            )
            self._writer.write(bytes(self._head))
            self._head.clear()
        return self._writer

    def _failed(self, error: Exception) -> Exception:
        if isinstance(error, (HeadgateError, FileExistsError)):
            return error
        url = self._home.url_of(self.key)
        return failed("writing", url, error, endpoint=self._home.options.endpoint)
