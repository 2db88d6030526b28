"""The gate before an SQLite file: one writer at a time, of whatever process.

SQLite 3.7.0 to 3.51.2 can lose committed pages ("the WAL-reset bug"): while one
connection checkpoints a log that was already checkpointed whole, another commits and thereby
starts the log anew; the first then marks frames of the new log as copied that never were. Two
things must meet: a checkpoint, and a commit beside it. Here they cannot: every write transaction,
of whatever process, holds an exclusive ``flock`` on a file beside the database; no connection
checkpoints by itself; the holder of the gate checkpoints after its own transaction, before it lets
the next one in. (A connection that closes last checkpoints too, but only under SQLite's own
exclusive lock on the database.) The gate is held with a fixed SQLite as well, so that there is one
way to write. Programs that write to the file past headgate are outside of it.
"""

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from headgate.clock import SystemClock

_FIRST_PAUSE = timedelta(microseconds=100)
_LONGEST_PAUSE = timedelta(milliseconds=5)


class Gate:
    """An exclusive lock between threads and processes, given back when its holder dies."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None
        self._thread = threading.Lock()
        # Locks of the operating system pass in real time, whatever clock the lake lives by.
        self._clock = SystemClock()

    def enter(self, patience: timedelta) -> bool:
        """Wait for the lock; False where patience ended first."""
        limit_s = patience.total_seconds()
        began_s = self._clock.monotonic_s()
        if not self._thread.acquire(timeout=limit_s):
            return False
        try:
            if self._file is None:
                self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            pause = _FIRST_PAUSE
            while not _locked(self._file):
                if self._clock.monotonic_s() - began_s >= limit_s:
                    self._thread.release()
                    return False
                self._clock.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
        except BaseException:
            self.leave()
            raise
        return True

    def leave(self) -> None:
        """Let the next one in."""
        if self._file is not None:
            fcntl.flock(self._file, fcntl.LOCK_UN)
        self._thread.release()

    @contextmanager
    def closing(self) -> Iterator[None]:
        """Wait for the threads that are in or before the gate, and close its file in the end."""
        with self._thread:
            yield
            self.abandon()

    def abandon(self) -> None:
        """Close the file, whoever holds the lock."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
