"""SIGKILL at every boundary of a run, then the run again: the contents are those of no kill."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from workplaces import Workplace

SERVER = Path(__file__).with_name("killed_at_boundaries.py")
TABLES = ("orders", "prices", "total", "each", "_quarantine.orders")
MOST = 200


class Killer:
    """Runs jobs in children that die at a boundary."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(SERVER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
        )

    def __call__(self, job: str, root: Path, last: int) -> str:
        """Do a job; say whether it was ``killed`` or ``done``."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{job} {root} {last}\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()

    def close(self) -> None:
        """End the server."""
        self._process.communicate(timeout=60)


@pytest.fixture(scope="module")
def killer() -> Iterator[Killer]:
    """A server of children."""
    found = Killer()
    yield found
    found.close()


def contents(root: Path) -> dict[str, list[tuple[object, ...]]]:
    """Give what readers see, without what differs from run to run."""
    place = Workplace(root)
    found = {}
    for table in TABLES:
        rows = place.rows(table)
        if table.startswith("_quarantine."):
            keys = ("payload", "position", "checks", "attempt")
            rows = [{key: str(row[key]) for key in keys} for row in rows]
        found[table] = sorted((tuple(row.values()) for row in rows), key=str)
    assert place.hall.open_runs() == ()
    place.close()
    return found


def kill_everywhere(
    killer: Killer, job: str, before: Path, scratch: Path, *, begin: int, step: int
) -> int:
    """Kill a job at each ``step``-th boundary, finish it, compare; give how often it was killed."""
    whole = scratch / "whole"
    shutil.copytree(before, whole)
    assert killer(job, whole, 0) == "done"
    wanted = contents(whole)
    for kills, last in enumerate(range(begin, MOST, step)):
        root = scratch / f"at_{last}"
        shutil.copytree(before, root)
        ended = killer(job, root, last)
        if ended == "done":
            assert contents(root) == wanted
            return kills
        assert ended == "killed"
        assert killer(job, root, 0) == "done"
        assert contents(root) == wanted, f"killed at {last}"
        shutil.rmtree(root)
    raise AssertionError("the job never ended")


@pytest.mark.in_one_directory
@pytest.mark.parametrize(
    ("job", "begin", "step"),
    [
        ("ingest", 9, 18),
        ("replay", 6, 9),
        pytest.param("ingest", 1, 1, marks=pytest.mark.soak),
        pytest.param("replay", 1, 1, marks=pytest.mark.soak),
    ],
)
def test_a_kill_at_any_boundary_leaves_what_no_kill_leaves(
    killer: Killer, tmp_path: Path, job: str, begin: int, step: int
) -> None:
    before = tmp_path / "before"
    before.mkdir()
    Workplace(before).close()
    if job == "replay":
        assert killer("ingest", before, 0) == "done"
    kills = kill_everywhere(killer, job, before, tmp_path, begin=begin, step=step)
    assert kills > 1
