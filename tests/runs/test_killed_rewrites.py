"""SIGKILL while files are rewritten: readers see what they saw, and the next upsert is right."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from workplaces import Workplace

pytestmark = pytest.mark.on_disk  # it looks at the lake's directory

SCRIPT = Path(__file__).with_name("killed_rewrite.py")


def test_a_kill_in_mid_rewrite_leaves_no_trace(
    tmp_path: Path, again: Callable[[], Workplace]
) -> None:
    place = again()
    rows = [{"k": k, "v": 0} for k in range(5)]
    with place.hall.transaction("main") as transaction:
        transaction.write("t", rows)
    head = place.head()
    data = {path.name for path in (tmp_path / "lake/data").rglob("*.parquet")}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path)],
        check=False,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
        timeout=60,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    left = {path.name for path in (tmp_path / "lake/data").rglob("*.parquet")} - data
    assert len(left) == 2  # the staged input, and the file that was rewritten
    seen = again()
    assert (seen.head(), seen.rows("t")) == (head, rows)
    with seen.hall.transaction("main") as transaction:
        transaction.write("t", [{"k": 1, "v": 2}], mode="upsert", key="k")
    assert seen.rows("t") == [{**row, "v": 2 if row["k"] == 1 else 0} for row in rows]
    entry = seen.lake.tree(seen.lake.resolve("main")).get("table/t")
    assert entry is not None
    assert not {Path(file.path).name for file in seen.lake.tables.files(entry)} & left
