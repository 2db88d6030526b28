"""SIGKILL at any moment: readers see the old state or the new one, and finishing mends all."""

import csv
import random
import signal
import time
from pathlib import Path

import pytest
from killable import Killable
from workplaces import Workplace

KILLED = Killable("killed.py")
LONGEST_S = 0.25


def add_file(root: Path, number: int, rng: random.Random) -> None:
    """Put one more input file there, whole at once."""
    (root / "data").mkdir(exist_ok=True)
    path = root / f"new_{number}.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["key", "value", "file"])
        writer.writerows([rng.randrange(40), rng.randrange(1000), number] for _ in range(50))
    path.rename(root / "data" / f"{number:04}.csv")


def expected(root: Path, files: int) -> dict[str, list[dict[str, object]]]:
    """Compute what the pipeline must give for the first files, without it."""
    rows: list[dict[str, int]] = []
    for number in range(files):
        with (root / "data" / f"{number:04}.csv").open() as file:
            rows += [{k: int(v) for k, v in row.items()} for row in csv.DictReader(file)]
    best: dict[int, int] = {}
    for row in rows:
        best[row["key"]] = max(row["value"], best.get(row["key"], 0))
    total = {"n": len(rows), "sum": sum(row["value"] for row in rows), "keys": len(best)}
    return {
        "rows": sorted((dict(row) for row in rows), key=_order),
        "latest": sorted(({"key": k, "value": v} for k, v in best.items()), key=_order),
        "total": [total],
    }


def _order(row: dict[str, object]) -> list[tuple[bool, str]]:
    return [(value is not None, str(value)) for value in row.values()]


def state(root: Path) -> dict[str, list[dict[str, object]]]:
    """Read what readers of main see now."""
    place = Workplace(root)
    try:
        return {table: place.rows(table) for table in ("rows", "latest", "total")}
    finally:
        place.close()


def kill_at_random(root: Path, kills: int, seed: int) -> int:
    """Kill runs at random moments, finish each, compare; give how many were killed unfinished."""
    rng = random.Random(seed)
    unfinished = 0
    add_file(root, 0, rng)
    _, error = KILLED.start(root, resume=False).communicate(timeout=60)
    assert not error.count("Traceback"), error
    files, kill = 1, 0
    while kill < kills:
        before = expected(root, files)
        add_file(root, files, rng)
        files += 1
        after = expected(root, files)
        for _ in range(3):  # several kills before the run may finish
            kill += 1
            process = KILLED.start(root, resume=rng.random() < 0.5)
            time.sleep(rng.random() * LONGEST_S)
            process.send_signal(signal.SIGKILL)
            out, _ = process.communicate(timeout=60)
            unfinished += "done" not in out
            assert state(root) in (before, after), f"mixed after kill {kill}, seed {seed}"
        last = KILLED.start(root, resume=rng.random() < 0.5)
        out, error = last.communicate(timeout=60)
        assert last.returncode == 0, error
        assert state(root) == after, f"wrong after finishing, kill {kill}, seed {seed}"
    return unfinished


def test_killed_runs_leave_old_or_new_and_finish_right(tmp_path: Path) -> None:
    Workplace(tmp_path).close()
    assert kill_at_random(tmp_path, kills=6, seed=20131) > 0


@pytest.mark.soak
def test_two_hundred_kills(tmp_path: Path) -> None:
    Workplace(tmp_path).close()
    assert kill_at_random(tmp_path, kills=200, seed=7) > 0
