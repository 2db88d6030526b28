"""Who holds locks on a file, as far as the system tells: Linux lists them in ``/proc/locks``."""

import os
from collections.abc import Iterable
from pathlib import Path

_LOCKS = Path("/proc/locks")


def holders(paths: Iterable[Path], locks: Path = _LOCKS) -> tuple[str, ...]:
    """Name the processes that hold a lock for writing on one of these files: ``1234 (sqlite3 x)``.

    Nothing where the system does not tell.
    """
    try:
        lines = locks.read_text().splitlines()
    except OSError:
        return ()
    wanted = {inode for path in paths if (inode := _inode(path)) is not None}
    return tuple(dict.fromkeys(_named(pid) for pid, inode in _held(lines) if inode in wanted))


def _held(lines: Iterable[str]) -> Iterable[tuple[int, int]]:
    """Give the process and the inode of every lock for writing that is held (proc_locks(5))."""
    for line in lines:
        match line.split()[1:]:
            case [_, _, "WRITE", pid, place, *_] if pid.isdigit():
                yield int(pid), int(place.rpartition(":")[2])


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:
        return None


def _named(pid: int) -> str:
    if pid == os.getpid():
        return f"{pid} (this one)"
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return str(pid)
    return f"{pid} ({' '.join(words).strip()[:60]})"
