"""Runs a command under a real cap of memory: a cgroup of its own, of version 1 or 2.

Whoever takes more than the cap is killed by the system. That takes root; without it, only the peak
is measured.
"""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a command ended; ``peak_bytes`` is the most that one of its processes held at once."""

    status: int
    wall_s: float
    peak_bytes: int
    is_capped: bool
    errors: str

    @property
    def is_killed(self) -> bool:
        """Whether the system killed it."""
        return self.status == -signal.SIGKILL


def run_capped(
    command: Sequence[str | Path],
    cap_bytes: int,
    *,
    cwd: Path,
    environment: Mapping[str, str],
    timeout_s: float = 900,
) -> Ended:
    """Run a command to its end, or until it has taken more memory than the cap."""
    group = _group(cap_bytes)

    def enter() -> None:
        if group is not None:
            (group / "cgroup.procs").write_text(str(os.getpid()))

    began = time.perf_counter()
    with (cwd / "errors.txt").open("w+") as errors:
        child = subprocess.Popen(
            [str(word) for word in command],
            cwd=cwd,
            env={**os.environ, **environment},
            stdout=subprocess.DEVNULL,
            stderr=errors,
            preexec_fn=enter,  # noqa: PLW1509 - no other thread runs here
        )
        try:
            _, status, usage = _waited(child.pid, timeout_s)
        finally:
            _remove(group)
        child.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0)
        said = errors.read()
    return Ended(
        status=child.returncode,
        wall_s=time.perf_counter() - began,
        peak_bytes=usage.ru_maxrss * 1024,
        is_capped=group is not None,
        errors=said,
    )


def _waited(pid: int, timeout_s: float) -> tuple[int, int, "os.struct_rusage"]:  # type: ignore[name-defined]
    limit = time.monotonic() + timeout_s
    while True:
        found, status, usage = os.wait4(pid, os.WNOHANG)
        if found:
            return found, status, usage
        if time.monotonic() > limit:
            os.kill(pid, signal.SIGKILL)
            return os.wait4(pid, 0)
        time.sleep(0.05)


def _group(cap_bytes: int) -> Path | None:
    """Make a cgroup; None where that is not allowed."""
    name = f"headgate-benchmark-{os.getpid()}"
    for home, limit in (
        (_ROOT / "memory", "memory.limit_in_bytes"),
        (_ROOT, "memory.max"),
    ):
        if not (home / "cgroup.procs").exists():
            continue
        group = home / name
        try:
            group.mkdir()
            (group / limit).write_text(str(cap_bytes))
        except OSError:
            _remove(group)
            continue
        return group
    return None


def _remove(group: Path | None) -> None:
    for _ in range(100):
        with suppress(FileNotFoundError):
            if group is None:
                return
            try:
                group.rmdir()
            except OSError:
                time.sleep(0.05)
                continue
        return
