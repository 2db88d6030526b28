"""Where engines put what does not fit into memory: a directory per process, gone with it.

A process holds a lock on its directory. One that was killed holds none; whoever comes next removes
what it left.
"""

import fcntl
import os
import shutil
from contextlib import suppress
from pathlib import Path

from headgate.names import Ids, RandomIds

_LOCK = "lock"
_START = "spill-"


class SpillDirectory:
    """A directory of this process for what an engine spills.

    Args:
        parent: where such directories are; made where there is none.
        ids: makes its name.
    """

    def __init__(self, parent: Path, ids: Ids | None = None) -> None:
        self.path = parent / f"{_START}{os.getpid()}-{(ids or RandomIds()).unique()}"
        parent.mkdir(parents=True, exist_ok=True)
        sweep(parent)
        making = parent / f".{self.path.name}"
        making.mkdir()
        self._lock = os.open(making / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        making.rename(self.path)  # nobody finds it before it is locked

    def close(self) -> None:
        """Remove it and all in it. Closing twice is no error."""
        if self._lock >= 0:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._lock)
            self._lock = -1


def sweep(parent: Path) -> int:
    """Remove the directories of processes that are gone; give how many bytes that freed."""
    freed = 0
    for path in parent.glob(f"{_START}*"):
        try:
            lock = os.open(path / _LOCK, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            shutil.rmtree(path, ignore_errors=True)  # somebody was killed while removing it
            continue
        except OSError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            for file in path.rglob("*"):
                with suppress(OSError):
                    freed += file.stat().st_size
            shutil.rmtree(path, ignore_errors=True)
        finally:
            os.close(lock)
    return freed
