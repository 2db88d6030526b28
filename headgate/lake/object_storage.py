"""Storage in an object store.

An object is durable when the store has acknowledged it, and every write waits for that: what a
commit refers to was acknowledged before the commit was made, and syncing has nothing to do.
"""

import io
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO

from headgate.lake.durability import FileSync
from headgate.lake.storage import (
    data_directory,
    inside,
    metadata_directory,
    metadata_missing,
    outside,
)
from headgate.stores import Bucket, ObjectReader, Stored

_AT_ONCE = 8


class ObjectStorage:
    """A lake's part of a bucket. As `Storage` says."""

    def __init__(self, store: Bucket) -> None:
        self.store: Bucket | None = store
        self._bucket = store
        self.location = store.url
        self._prefix = f"{store.url}/"

    def __reduce__(self) -> tuple[object, ...]:
        """Travel to another process."""
        return ObjectStorage, (self._bucket,)

    def absolute(self, path: str) -> str:
        """Give a file's URL."""
        return self._prefix + path

    def relative(self, path: str) -> str:
        """Give a file's path relative to the lake's location."""
        for start in (self._prefix, self._prefix.replace("s3://", "s3a://", 1)):
            if path.startswith(start):
                return path[len(start) :]
        found = inside(path)
        if found is None:
            raise outside(path, self.location)
        return found

    def make_data_directory(self, uuid: str) -> str:
        """Give the directory of a table's data files."""
        return data_directory(uuid)

    def make_metadata_directory(self, uuid: str) -> str:
        """Give the directory of a table's metadata."""
        return metadata_directory(uuid)

    def create(self, path: str, content: bytes) -> None:
        """Create an object."""
        self._bucket.create(path, content)

    def create_all(self, files: Mapping[str, bytes]) -> None:
        """Create objects at once: each costs a round trip."""
        if len(files) > 1:
            with ThreadPoolExecutor(min(_AT_ONCE, len(files)), "headgate-create") as threads:
                list(threads.map(self.create, files.keys(), files.values()))
            return
        for path, content in files.items():
            self.create(path, content)

    def put(self, path: str, content: bytes) -> None:
        """Write an object that may be there already."""
        self._bucket.put(path, content)

    def read(self, path: str) -> bytes:
        """Give the bytes of an object of metadata."""
        try:
            return self._bucket.read(path)
        except FileNotFoundError as error:
            raise metadata_missing(self.absolute(path)) from error

    def find(self, path: str) -> bytes | None:
        """Give the bytes of an object that need not be there."""
        try:
            return self._bucket.read(path)
        except FileNotFoundError:
            return None

    def open(self, path: str) -> BinaryIO:
        """Open an object to read parts of it, each in a request of its own."""
        return io.BufferedReader(ObjectReader(self._bucket, path))

    def size(self, path: str, *, fresh: bool = False) -> int:
        """Give an object's size in bytes."""
        return self._bucket.size(path, fresh=fresh)

    def checksum(self, path: str, *, fresh: bool = False) -> str:
        """Give the digest of an object's bytes."""
        return self._bucket.checksum(path, fresh=fresh)

    def sync(self, paths: Iterable[str], *, by: FileSync | None = None) -> None:
        """Do nothing: what was acknowledged is durable."""

    def list(self, prefix: str = "") -> Iterator[Stored]:
        """Give the objects below a prefix."""
        return self._bucket.list(prefix)

    def forget(self) -> None:
        """Drop what is remembered of objects."""
        self._bucket.forget()

    def delete(self, paths: Iterable[str]) -> None:
        """Delete objects."""
        self._bucket.delete(paths)
