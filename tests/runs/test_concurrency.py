"""Many processes write one table: everything is published, and nobody is asked to retry."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

from workplaces import Workplace

WRITERS = Path(__file__).with_name("writers.py")
ROWS = 50


def start(root: Path, *arguments: object) -> "subprocess.Popen[str]":
    """Start a writer."""
    return subprocess.Popen(
        [sys.executable, str(WRITERS), str(root), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
    )


def finish(writers: "list[subprocess.Popen[str]]") -> None:
    """Wait for writers; a failed one fails the test with its own words."""
    for writer in writers:
        out, error = writer.communicate(timeout=120)
        assert writer.returncode == 0, error
        assert int(out) > 0


def test_appends_and_disjoint_upserts_of_many_processes_are_all_published(place: Workplace) -> None:
    with place.hall.transaction("main") as transaction:
        rows = [{"k": k, "who": "first"} for k in range(8 * ROWS)]
        transaction.write("numbers", rows, mode="upsert", key="k")
    writers = [start(place.root, "append", 100_000 + i * ROWS, ROWS) for i in range(8)]
    writers += [start(place.root, "upsert", i * ROWS, ROWS) for i in range(8)]
    finish(writers)
    rows_now = place.rows("numbers")
    assert Counter(row["k"] for row in rows_now) == Counter(
        [*range(8 * ROWS), *range(100_000, 100_000 + 8 * ROWS)]
    )
    assert {row["who"] for row in rows_now} == {
        *(f"append-{100_000 + i * ROWS}" for i in range(8)),
        *(f"upsert-{i * ROWS}" for i in range(8)),
    }


def test_two_upserts_of_one_new_key_leave_one_row(place: Workplace) -> None:
    with place.hall.transaction("main") as transaction:
        transaction.write("numbers", [{"k": 0, "who": "first"}], mode="upsert", key="k")
    finish([start(place.root, "upsert", 7, 1) for _ in range(2)])
    assert [row["k"] for row in place.rows("numbers")] == [0, 7]
