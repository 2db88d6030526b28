"""One budget of memory: what each process may take, and what a killed one leaves."""

import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from headgate.engines.duckdb import DuckDB
from headgate.engines.engine import Sql
from headgate.engines.memory import (
    LEAST_BYTES,
    Budget,
    engine_bytes,
    fitting_threads,
    machine_memory,
    size_in_bytes,
)
from headgate.engines.spilling import SpillDirectory, sweep
from headgate.errors import Unavailable

GB = 10**9
HOLDER = """
import sys
from pathlib import Path
from headgate.engines.memory import Budget
from headgate.engines.spilling import SpillDirectory
budget = Budget(int(sys.argv[2]), Path(sys.argv[1]) / "memory")
spill = SpillDirectory(Path(sys.argv[1]) / "spill")
(spill.path / "rows.tmp").write_bytes(bytes(1000))
print(budget.share(), flush=True)
for line in sys.stdin:
    print(budget.share(), flush=True)
"""


@pytest.mark.parametrize(
    ("text", "size"),
    [("4GB", 4 * GB), ("512MiB", 512 << 20), ("1.5 gb", 3 * GB // 2), ("60%", 600), ("10B", 10)],
)
def test_sizes_are_read_as_people_write_them(text, size):
    assert size_in_bytes(text, whole=1000) == size


def test_what_is_no_size_is_refused():
    with pytest.raises(ValueError, match="lots"):
        size_in_bytes("lots", whole=1000)


def cgroups(root: Path, membership: str, **limits: str) -> int:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(membership)
    for place, limit in limits.items():
        file = root / "sys/fs/cgroup" / place.replace("__", "/").replace("_dot_", ".")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(limit)
    return machine_memory(root)


def test_the_narrowest_cgroup_above_limits_the_machine(tmp_path):
    limits = {"a__memory_dot_max": "1000\n", "a__b__memory_dot_max": "max\n"}
    assert cgroups(tmp_path, "0::/a/b\n", **limits) == 1000


def test_a_cgroup_of_version_1_limits_the_machine(tmp_path):
    limits = {"memory__a__memory_dot_limit_in_bytes": "2000\n"}
    assert cgroups(tmp_path, "4:memory:/a\n0::/\n", **limits) == 2000


def test_without_limits_the_machine_is_all(tmp_path):
    limits = {"memory__memory_dot_limit_in_bytes": "9223372036854771712\n"}
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert cgroups(tmp_path, "4:memory:/\n0::/\n", **limits) == whole
    assert machine_memory(tmp_path / "no such system") == whole


def test_an_engine_leaves_room_for_its_process():
    assert engine_bytes(10 * GB) == 8 * GB
    assert engine_bytes(1 << 30) == (1 << 30) - (256 << 20)
    assert engine_bytes(256 << 20) == 128 << 20


def test_few_threads_share_little_memory():
    assert [fitting_threads(n << 20, 8) for n in (64, 256, 1 << 20)] == [1, 2, 8]


@pytest.fixture
def holders():
    """Start processes that hold a part of a budget."""
    started = []

    def start(directory, total):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(directory), str(total)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process, int(process.stdout.readline())

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def again(process):
    process.stdin.write("\n")
    process.stdin.flush()
    return int(process.stdout.readline())


def test_one_process_takes_all_and_two_take_half_each(tmp_path, holders):
    first, share = holders(tmp_path, 4 * GB)
    assert share == 4 * GB
    second, share = holders(tmp_path, 4 * GB)
    assert share == LEAST_BYTES  # the first holds all, until it begins its next work
    assert again(first) == 2 * GB
    assert again(second) == 2 * GB
    assert (again(first), again(second)) == (2 * GB, 2 * GB)


def test_what_a_killed_process_held_is_free(tmp_path, holders):
    first, _ = holders(tmp_path, 4 * GB)
    second, _ = holders(tmp_path, 4 * GB)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    assert again(second) == 4 * GB


def test_parts_never_exceed_the_budget_by_more_than_newcomers_least(tmp_path, holders):
    started = [holders(tmp_path, 4 * GB)[0] for _ in range(4)]
    for _ in range(3):
        shares = [again(each) for each in started]
    assert shares == [GB] * 4


def test_closing_gives_a_part_back(tmp_path):
    first, second = Budget(GB, tmp_path), Budget(GB, tmp_path)
    assert (first.share(), first.share()) == (GB // 2, GB // 2)
    second.close()
    second.close()
    assert first.share() == GB
    first.close()
    assert [path.name for path in tmp_path.iterdir()] == ["ledger"]


def test_an_engine_keeps_within_its_part(tmp_path):
    with DuckDB(memory=Budget(GB, tmp_path / "m"), temp_directory=tmp_path / "s") as engine:
        other = Budget(GB, tmp_path / "m")
        engine.session().close()
        with closing(engine.session()) as session:
            limit = session.scalars("select current_setting('memory_limit') as it")["it"]
        other.close()
    assert (
        limit == duckdb.sql(f"select format_bytes({engine_bytes(GB // 2)}) as it").fetchall()[0][0]
    )


def test_what_killed_processes_spilled_is_removed_by_the_next(tmp_path, holders):
    process, _ = holders(tmp_path, GB)
    assert sweep(tmp_path / "spill") == 0
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    (left,) = (tmp_path / "spill").iterdir()
    spill = SpillDirectory(tmp_path / "spill")
    assert not left.exists()
    assert list((tmp_path / "spill").iterdir()) == [spill.path]
    spill.close()
    spill.close()
    assert list((tmp_path / "spill").iterdir()) == []


def test_a_full_disk_for_spilling_is_said(tmp_path):
    sql = Sql(text="select a.i, md5(a.i::text) as m from range(3000000) a(i) order by m")
    with DuckDB(threads=1, memory_limit="60MB", temp_directory=tmp_path) as engine:
        engine._database.execute("set global max_temp_directory_size = '10MB'")
        with closing(engine.session()) as session, pytest.raises(Unavailable) as caught:
            for _ in session.reader(sql):
                pass
    assert caught.value.code == "disk-full"
    assert "to spill" in caught.value.message
    assert "engine.temp_directory" in str(caught.value.hint)
