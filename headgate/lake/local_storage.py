"""Storage in a directory of this machine."""

import errno
import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from headgate.digests import file_checksum
from headgate.errors import Unavailable
from headgate.lake.durability import FileSync, sync
from headgate.lake.storage import (
    data_directory,
    inside,
    metadata_damaged,
    metadata_directory,
    metadata_missing,
    outside,
)
from headgate.stores import Stored

if TYPE_CHECKING:
    from headgate.stores import Bucket

_FULL = (errno.ENOSPC, errno.EDQUOT)


class LocalStorage:
    """A lake's directory. As `Storage` says."""

    store: "Bucket | None" = None

    def __init__(self, location: Path | str) -> None:
        self._root = Path(location).absolute()
        self.location = str(self._root)
        self._prefix = f"{self.location}/"

    def __reduce__(self) -> tuple[object, ...]:
        """Travel to another process."""
        return LocalStorage, (self.location,)

    def absolute(self, path: str) -> str:
        """Give the absolute path."""
        return self._prefix + path

    def relative(self, path: str) -> str:
        """Give a file's path relative to the lake's location."""
        path = path.removeprefix("file://")
        if path.startswith(self._prefix):
            return path[len(self._prefix) :]
        found = inside(path)
        if found is None:
            raise outside(path, self.location)
        return found

    def make_data_directory(self, uuid: str) -> str:
        """Give the directory of a table's data files; make it if it is not there."""
        return self._directory(data_directory(uuid))

    def make_metadata_directory(self, uuid: str) -> str:
        """Give the directory of a table's metadata; make it if it is not there."""
        return self._directory(metadata_directory(uuid))

    def create(self, path: str, content: bytes) -> None:
        """Write a new file. It is not synced."""
        place = Path(self.absolute(path))
        try:
            with place.open("xb") as file:
                file.write(content)
        except OSError as error:
            if error.errno not in _FULL:
                raise
            place.unlink(missing_ok=True)
            raise Unavailable(
                "disk-full",
                f"No space left on the disk for {place}.",
                hint="Free space.",
                path=str(place),
            ) from error

    def create_all(self, files: Mapping[str, bytes]) -> None:
        """Write new files, one after the other."""
        for path, content in files.items():
            self.create(path, content)

    def put(self, path: str, content: bytes) -> None:
        """Write a file that may be there already."""
        place = Path(self.absolute(path))
        making = place.with_name(f".{place.name}.{os.getpid()}.making")
        try:
            making.write_bytes(content)
            making.replace(place)
        finally:
            making.unlink(missing_ok=True)

    def read(self, path: str) -> bytes:
        """Give the bytes of a file of metadata."""
        place = self.absolute(path)
        try:
            return Path(place).read_bytes()
        except FileNotFoundError as error:
            raise metadata_missing(place) from error
        except OSError as error:
            raise metadata_damaged(place, error) from error

    def find(self, path: str) -> bytes | None:
        """Give the bytes of a file that need not be there."""
        try:
            return Path(self.absolute(path)).read_bytes()
        except FileNotFoundError:
            return None

    def open(self, path: str) -> BinaryIO:
        """Open a file to read parts of it."""
        return Path(self.absolute(path)).open("rb")

    def size(self, path: str, *, fresh: bool = False) -> int:  # noqa: ARG002 - always fresh
        """Give a file's size in bytes."""
        return Path(self.absolute(path)).stat().st_size

    def checksum(self, path: str, *, fresh: bool = False) -> str:  # noqa: ARG002 - always fresh
        """Give the digest of a file's bytes. Costs one read of the file."""
        return file_checksum(self.absolute(path))

    def sync(self, paths: Iterable[str], *, by: FileSync | None = None) -> None:
        """Put files on the disk, and every directory up to the lake's own."""
        sync(paths, location=self._root, by=by)

    def list(self, prefix: str = "") -> Iterator[Stored]:
        """Give the files below a directory."""
        left = [self._prefix + prefix if prefix else self.location]
        while left:
            try:
                found = list(os.scandir(left.pop()))
            except (FileNotFoundError, NotADirectoryError):
                continue
            for entry in found:
                if entry.is_dir(follow_symlinks=False):
                    left.append(entry.path)
                    continue
                try:
                    facts = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue  # gone meanwhile
                yield Stored(
                    path=entry.path[len(self._prefix) :],
                    size_bytes=facts.st_size,
                    modified=datetime.fromtimestamp(facts.st_mtime, UTC),
                )

    def forget(self) -> None:
        """Do nothing: nothing is remembered."""

    def delete(self, paths: Iterable[str]) -> None:
        """Delete files; their directories stay."""
        for path in paths:
            Path(self.absolute(path)).unlink(missing_ok=True)

    def _directory(self, directory: str) -> str:
        Path(self.absolute(directory)).mkdir(parents=True, exist_ok=True)
        return directory
