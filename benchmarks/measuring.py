"""How long something took, and how a script hands its figures to the runner: one JSON line each."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

WORK = Path(__file__).parent / "work"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The median of several runs; ``walls_s`` holds each, in order."""

    wall_s: float
    cpu_s: float
    peak_bytes: int
    walls_s: tuple[float, ...]
    output: str = ""


def process(
    command: Sequence[str | Path],
    *,
    repeat: int = 5,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    timeout_s: float = 600,
) -> Measured:
    """Run a command several times, from start to end; CPU and peak memory include its children."""
    runs = [_once(command, cwd, environment, timeout_s) for _ in range(repeat)]
    return Measured(
        wall_s=statistics.median(run.wall_s for run in runs),
        cpu_s=statistics.median(run.cpu_s for run in runs),
        peak_bytes=max(run.peak_bytes for run in runs),
        walls_s=tuple(run.wall_s for run in runs),
        output=runs[-1].output,
    )


def _once(
    command: Sequence[str | Path],
    cwd: Path | None,
    environment: Mapping[str, str] | None,
    timeout_s: float,
) -> Measured:
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        began = time.perf_counter()
        child = subprocess.Popen(
            [str(word) for word in command],
            cwd=cwd,
            env={**os.environ, **(environment or {})},
            stdout=out,
            stderr=err,
        )
        watchdog = threading.Timer(timeout_s, child.kill)
        watchdog.start()
        _, status, usage = os.wait4(child.pid, 0)
        wall_s = time.perf_counter() - began
        watchdog.cancel()
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        output, errors = out.read().decode(), err.read().decode()
    if child.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))} ended with {child.returncode}\n{errors}")
    return Measured(
        wall_s=wall_s,
        cpu_s=usage.ru_utime + usage.ru_stime,
        peak_bytes=usage.ru_maxrss * 1024,
        walls_s=(wall_s,),
        output=output,
    )


def timed(work: Callable[[], object], *, repeat: int = 5) -> Measured:
    """Call a function several times in this process; CPU includes all threads."""
    walls, cpus = [], []
    for _ in range(repeat):
        began, cpu = time.perf_counter(), time.process_time()
        work()
        walls.append(time.perf_counter() - began)
        cpus.append(time.process_time() - cpu)
    return Measured(
        wall_s=statistics.median(walls),
        cpu_s=statistics.median(cpus),
        peak_bytes=0,
        walls_s=tuple(walls),
    )


def report(row: str, case: str, **figures: object) -> None:
    """Print one line of figures for the runner.

    ``ours``, ``limit`` and ``peer`` are numbers in ``unit`` (peer may be a mapping of names to
    numbers); ``must`` says what is to be reached and ``reached`` whether it was.
    """
    json.dump({"row": row, "case": case, **figures}, sys.stdout)
    sys.stdout.write("\n")
    sys.stdout.flush()
