"""Where a sink's files are: what a place must do, and the directory on a disk."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from headgate.errors import Conflict, Unavailable


class Place(Protocol):
    """Files by name below one place. A name may have directories before it."""

    def shown(self, name: str) -> str:
        """Give what people call a file."""
        ...

    def locked(self, name: str) -> AbstractContextManager[None]:
        """Keep others out for a while, where the place can do that.

        Raises:
            Conflict: ``sink-elsewhere``: another one delivers.
        """
        ...

    def staging(self, name: str) -> AbstractContextManager[Path]:
        """Give an empty directory for files on their way, locked by the caller.

        What is left in it goes, now or when the next one asks.
        """
        ...

    def put(self, file: Path, name: str) -> None:
        """Put a staged file in its place, whole; durable when it returns."""
        ...

    def write(self, name: str, content: bytes) -> None:
        """Write a small file, whole; durable when it returns."""
        ...

    def read(self, name: str) -> bytes | None:
        """Give a small file's bytes, None where there is none."""
        ...

    def delete(self, name: str) -> None:
        """Delete a file; one that is not there is no error."""
        ...


class DirectoryPlace:
    """A directory, made when the first file comes."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def shown(self, name: str) -> str:
        """Give the path."""
        return str(self._directory / name)

    @contextmanager
    def locked(self, name: str) -> Iterator[None]:
        """Hold a lock that ends with the process; see ``Place.locked``."""
        with _answering(self._directory):
            self._directory.mkdir(parents=True, exist_ok=True)
            file = os.open(self._directory / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise Conflict(
                    "sink-elsewhere",
                    f"Another process delivers to {self._directory}.",
                    hint="It will have delivered what there is.",
                    path=str(self._directory),
                ) from error
            yield
        finally:
            os.close(file)

    @contextmanager
    def staging(self, name: str) -> Iterator[Path]:
        """Give a directory on the same disk, so that a rename is all that is left to do."""
        directory = self._directory / name
        with _answering(self._directory):
            if directory.exists():  # of a process that was killed
                shutil.rmtree(directory)
            directory.mkdir(parents=True)
        try:
            with _answering(self._directory):
                yield directory
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def put(self, file: Path, name: str) -> None:
        """Sync the file and rename it."""
        with _answering(self._directory):
            target = self._directory / name
            target.parent.mkdir(parents=True, exist_ok=True)
            _sync(file)
            file.replace(target)
            _sync(target.parent)

    def write(self, name: str, content: bytes) -> None:
        """Write beside and rename."""
        with _answering(self._directory):
            self._directory.mkdir(parents=True, exist_ok=True)
            file = self._directory / f"{name}.new"
            file.write_bytes(content)
            self.put(file, name)

    def read(self, name: str) -> bytes | None:
        """Give a file's bytes."""
        with _answering(self._directory):
            try:
                return (self._directory / name).read_bytes()
            except FileNotFoundError:
                return None

    def delete(self, name: str) -> None:
        """Unlink."""
        with _answering(self._directory):
            (self._directory / name).unlink(missing_ok=True)


@contextmanager
def _answering(directory: Path) -> Iterator[None]:
    """Say of what a disk refuses which directory it was about."""
    try:
        yield
    except OSError as error:
        raise Unavailable(
            "sink-unreachable",
            f"{error.filename or directory} cannot be written or read: {error.strerror}.",
            readers="Those of the directory see what was delivered before.",
            hint="Look at the disk and at the rights on it; then  headgate deliver",
            path=str(error.filename or directory),
        ) from error


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
