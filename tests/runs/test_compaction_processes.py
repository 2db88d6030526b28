"""Compaction beside other processes, and killed in its midst: no wrong read, nothing lost."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from compactions import entry, files, last, small_files, stored
from workplaces import Workplace

from headgate.lake import RunState
from headgate.lake.compacting import LEAST_BYTES

SCRIPT = Path(__file__).with_name("compacting.py")


def started(root: Path, *arguments: object) -> "subprocess.Popen[str]":
    """Start a process; it says when it is ready."""
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), str(root), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
    )


def ready(*processes: "subprocess.Popen[str]") -> None:
    """Wait until processes are about to begin."""
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"


def end(process: "subprocess.Popen[str]", timeout_s: float = 120) -> int:
    """End a process that goes on as long as its stdin is open; gives the number it prints."""
    out, error = process.communicate(timeout=timeout_s)
    assert process.returncode == 0, error
    return int(out)


def beside(
    place: Workplace, *, appenders: int, each: int, readers: int, timeout_s: float = 120
) -> None:
    """Compact while rows are appended and read, by processes of their own."""
    first = len(place.rows("numbers"))
    reading = [started(place.root, "read") for _ in range(readers)]
    compactors = [started(place.root, "compact") for _ in range(2)]
    writers = [
        started(place.root, "append", first + number * each, each) for number in range(appenders)
    ]
    ready(*reading, *compactors, *writers)
    for writer in writers:
        out, error = writer.communicate(timeout=timeout_s)
        assert writer.returncode == 0, error
        assert int(out) == each
    commits = sum(end(process, timeout_s) for process in compactors)
    assert commits > 0
    for reader in reading:
        assert end(reader, timeout_s) > 0
    rows = place.rows("numbers")
    assert sorted(int(str(row["k"])) for row in rows) == list(range(first + appenders * each))
    assert all(row["k"] == row["v"] for row in rows)


def test_it_works_beside_appends_and_readers_of_other_processes(place: Workplace) -> None:
    small_files(place, 20)
    beside(place, appenders=2, each=8, readers=1)
    place.hall.compact("main")
    assert len(files(place)) == 1
    assert place.lake.tables.verify(entry(place)) == []


@pytest.mark.soak
def test_ten_thousand_appends_are_compacted_beside_appends_and_readers(place: Workplace) -> None:
    small_files(place, 9_600)
    assert len(files(place)) == 9_600
    beside(place, appenders=4, each=100, readers=4, timeout_s=900)
    place.hall.compact("main")
    found = place.lake.tables.files(entry(place))
    assert [file.rows for file in found] == [10_000]
    assert sum(file.size_bytes < LEAST_BYTES for file in found) <= 1
    assert place.hall.open_runs() == ()
    assert place.lake.tables.verify(entry(place)) == []


@pytest.mark.on_disk  # it stops while files are synced
@pytest.mark.parametrize("moment", [1, 3, 5, 8])
def test_killed_at_any_moment_it_leaves_the_table_and_the_next_one_ends_it(
    place: Workplace, moment: int
) -> None:
    small_files(place)
    rows, listed, before, head = place.rows("numbers"), files(place), stored(place), last(place)
    process = started(place.root, "stop", moment)
    ready(process)
    assert process.stdout is not None
    assert process.stdout.readline() == "stopped\n"
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert last(place) == head
    assert files(place) == listed
    assert place.rows("numbers") == rows
    assert stored(place) > before
    [dead] = place.hall.open_runs()
    [done] = place.hall.compact("main")
    assert done.files_after == 1
    assert place.rows("numbers") == rows
    assert place.hall.open_runs() == ()
    ended = place.lake.metastore.run(dead.id)
    assert ended is not None
    assert ended.state is RunState.ABANDONED
    assert place.lake.metastore.branch(dead.branch) is None
    assert stored(place) >= {*before, *files(place)}
