"""Where a sink's files are: what a place must do, and the directory on a disk."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final, Protocol

from headgate.clock import Clock
from headgate.errors import Unavailable

_PATIENCE: Final = timedelta(seconds=10)
_PAUSE: Final = timedelta(milliseconds=50)


class Place(Protocol):
    """Files by name below one place. A name may have directories before it."""

    def shown(self, name: str) -> str:
        """Give what people call a file."""
        ...

    def locked(self) -> AbstractContextManager[None]:
        """Keep others out for a while, where the place can do that.

        Raises:
            Unavailable: ``sink-busy``.
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

    def __init__(self, directory: Path, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock

    def shown(self, name: str) -> str:
        """Give the path."""
        return str(self._directory / name)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the directory's own lock, which ends with the process; see ``Place.locked``."""
        with _answering(self._directory):
            self._directory.mkdir(parents=True, exist_ok=True)
            handle = os.open(self._directory, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._lock(handle)
            yield
        finally:
            os.close(handle)

    def _lock(self, handle: int) -> None:
        began_s = self._clock.monotonic_s()
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if self._clock.monotonic_s() - began_s > _PATIENCE.total_seconds():
                    raise Unavailable(
                        "sink-busy",
                        f"Another process has been writing to {self._directory} for "
                        f"{_PATIENCE.total_seconds():g} s.",
                        hint="Wait for it; then  headgate deliver",
                        path=str(self._directory),
                    ) from error
                self._clock.sleep(_PAUSE)
            else:
                return

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
