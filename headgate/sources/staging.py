"""Files of the cache, written so that they are there whole or not at all."""

import errno
import glob
import os
import shutil
import socket
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import get_ident
from typing import IO

from headgate.errors import Unavailable

_PREFIX = "reading-"
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Workplace:
    """A directory for the copies one reader makes: there from the first to the reader's end.

    What a reader that was killed has left is swept by the next one on this machine.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._path: Path | None = None

    @property
    def path(self) -> Path:
        """The directory."""
        if self._path is None:
            self._directory.mkdir(parents=True, exist_ok=True)
            self._sweep()
            prefix = f"{_PREFIX}{socket.gethostname()}-{os.getpid()}-"
            self._path = Path(tempfile.mkdtemp(prefix=prefix, dir=self._directory))
        return self._path

    def holds(self, path: Path) -> bool:
        """Say whether a file is a copy made here."""
        return self._path is not None and path.parent == self._path

    def clear(self, but: Collection[Path] = ()) -> None:
        """Drop the copies, but some."""
        if self._path is not None:
            for path in self._path.iterdir():
                if path not in but:
                    path.unlink(missing_ok=True)

    def close(self) -> None:
        """Drop all of it."""
        if self._path is not None:
            shutil.rmtree(self._path, ignore_errors=True)
            self._path = None

    def _sweep(self) -> None:
        ours = f"{_PREFIX}{socket.gethostname()}-"
        for left in self._directory.glob(f"{glob.escape(ours)}*"):
            pid = left.name.removeprefix(ours).partition("-")[0]
            if pid.isdigit() and not _lives(int(pid)):
                shutil.rmtree(left, ignore_errors=True)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


@contextmanager
def staging(path: Path, shown: str) -> Iterator[IO[bytes]]:
    """Open a file to be written; it gets its name when all is written, and goes if it is not.

    Raises:
        Unavailable: ``disk-full``.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}-{get_ident()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            yield file
        partial.replace(path)
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise Unavailable(
                "disk-full",
                f"There is no room in {path.parent} for {shown}: {error.strerror}.",
                hint="Make room there, and run again: nothing is lost.",
                path=shown,
                directory=str(path.parent),
            ) from error
        raise
    finally:
        partial.unlink(missing_ok=True)
