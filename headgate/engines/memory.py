"""One budget of memory for every process that computes for a project on this machine.

Engines that do not know of each other each take most of the machine. Here every process notes in a
common directory what it may take, in a file it holds a lock on for as long as it lives; a process
that died holds none. Whoever begins a unit of work looks how many there are: alone it may take the
whole budget, of several each takes its part as soon as the others have given back theirs. Nobody
waits; a process that comes while another has taken all begins with little.
"""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from headgate.names import Ids, RandomIds

LEAST_BYTES = 256 << 20
"""What a process may take however many there are."""

_OVERHEAD_BYTES = 256 << 20
_OVERHEAD_SHARE = 0.2
_THREAD_BYTES = 128 << 20
_UNLIMITED = 1 << 60
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_BINARY = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(i?)B\Z", re.IGNORECASE)
_END = ".share"


def size_in_bytes(text: str, *, whole: int) -> int:
    """Read a size like ``4GB`` or ``512MiB``, or a share of the whole like ``60%``.

    Raises:
        ValueError: it is neither.
    """
    if text.endswith("%"):
        return int(whole * float(text[:-1]) / 100)
    found = _SIZE.match(text.strip())
    if found is None:
        raise ValueError(text)
    number, unit, binary = found.groups()
    units = _BINARY if binary and unit else _UNITS
    return int(float(number) * units[unit.upper()])


def machine_memory(root: Path = Path("/")) -> int:
    """Give how much memory this process may ever have: the machine's, or its cgroup's limit.

    Linux: cgroups(7), both versions; limits of the groups above hold, too.
    """
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for file in _limit_files(root):
        try:
            text = file.read_text().strip()
        except OSError:
            continue
        if text.isdecimal() and 0 < int(text) < _UNLIMITED:
            found.append(int(text))
    return min(found)


def _limit_files(root: Path) -> Iterator[Path]:
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    groups = root / "sys/fs/cgroup"
    for line in lines:
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            home, name = groups, "memory.max"
        elif "memory" in controllers.split(","):
            home, name = groups / "memory", "memory.limit_in_bytes"
        else:
            continue
        inside = Path(path.lstrip("/"))
        for each in (inside, *inside.parents):
            yield home / each / name


def engine_bytes(share: int) -> int:
    """Give what of a process's share an engine may take: the rest is the process itself.

    An engine's own limit leaves out what its libraries and buffers take: some 100 MB in DuckDB.
    """
    return max(share - max(int(share * _OVERHEAD_SHARE), _OVERHEAD_BYTES), share // 2)


def fitting_threads(limit: int, cores: int) -> int:
    """Give how many threads can work with so much memory: each holds buffers of its own."""
    return max(1, min(cores, limit // _THREAD_BYTES))


class Budget:
    """A part in a common budget of memory. Safe between threads and processes; close it.

    Args:
        total: the budget in bytes, the same in all processes.
        directory: where processes note what they take; made where there is none.
        ids: makes the name of this one's note.
    """

    def __init__(self, total: int, directory: Path, ids: Ids | None = None) -> None:
        self.total = total
        self._directory = directory
        self._lock = Lock()
        directory.mkdir(parents=True, exist_ok=True)
        self._ledger = os.open(directory / "ledger", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        name = f"{os.getpid()}-{(ids or RandomIds()).unique()}{_END}"
        self._path = directory / name
        with self._alone():  # nobody may find the note before it is locked
            self._note = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            fcntl.flock(self._note, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._share = 0

    def share(self) -> int:
        """Give what this process may take from now on, in bytes, and note it."""
        with self._lock, self._alone():
            others = [taken for path in self._notes() if (taken := _taken(path)) is not None]
            part = self.total // (len(others) + 1)
            free = self.total - sum(others)
            share = max(min(part, free), min(LEAST_BYTES, part))
            self._write(share)
            return share

    def keep(self, share: int) -> None:
        """Note that this process takes so much still: it could not give back what was due."""
        with self._lock, self._alone():
            self._write(share)

    def close(self) -> None:
        """Give the part back. Closing twice is no error."""
        with self._lock:
            if self._note >= 0:
                self._path.unlink(missing_ok=True)
                os.close(self._note)
                os.close(self._ledger)
                self._note = self._ledger = -1

    def _write(self, share: int) -> None:
        if share != self._share:
            os.pwrite(self._note, b"%-20d" % share, 0)
            self._share = share

    def _notes(self) -> Iterator[Path]:
        return (path for path in self._directory.glob(f"*{_END}") if path != self._path)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        fcntl.flock(self._ledger, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._ledger, fcntl.LOCK_UN)


def _taken(path: Path) -> int | None:
    """Give what another process has noted; None where it is gone, and then its note, too."""
    try:
        note = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(note, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return int(os.pread(note, 20, 0) or b"0")
    else:
        path.unlink(missing_ok=True)
        return None
    finally:
        os.close(note)
