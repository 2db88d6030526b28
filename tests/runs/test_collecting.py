"""What gc leaves is exactly what can still be needed; what needs it goes on working."""

import gc
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from iceberg_walk import iceberg_files
from workplaces import Workplace

from headgate.errors import HeadgateError, NotFound, Refused
from headgate.lake import Lake, RetentionPolicy, RunState, Swept
from headgate.lake.reachability import operation_files
from headgate.project.views import View
from headgate.runs import Hall
from headgate.runs.collecting import collect

NOW = RetentionPolicy(history=timedelta(0), unfinished=timedelta(days=14), grace=timedelta(0))
DAY = timedelta(days=1)

CHAIN = """
import headgate as hg
import polars as pl

@hg.step(mode="append")
def one() -> pl.DataFrame:
    return pl.DataFrame({"n": [VALUE]})

@hg.step(mode="upsert", key="n")
def two(one: pl.DataFrame) -> pl.DataFrame:
    return one.unique()

three = hg.sql_step("select count(*) as n from two")
"""


class Later:
    """The machine's clock, some time ahead."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def monotonic_s(self) -> float:
        import time

        return time.monotonic() + self.ahead.total_seconds()

    def sleep(self, duration: timedelta) -> None:
        import time

        time.sleep(duration.total_seconds())


@pytest.fixture
def clock(place: Workplace) -> Iterator[Later]:
    """Give the workplace a clock to move."""
    later = Later()
    place.lake.clock = later
    place.lake.metastore._clock = later
    place.hall = Hall(replace(place.hall.wiring, clock=later), evaluator="duckdb")
    return later


def run(place: Workplace, value: int, text: str = CHAIN) -> str:
    done = place.hall.run(place.pipeline(text.replace("VALUE", str(value))), target="main")
    assert done.commit is not None
    return done.id


def swept(place: Workplace, clock: Later, policy: RetentionPolicy = NOW) -> Swept:
    """Collect a day later, when no run is at work any more."""
    clock.ahead += DAY
    return collect(place.hall.wiring, policy)


def there(lake: Lake) -> set[str]:
    return {file.path for place in ("data", "metadata") for file in lake.storage.list(place)}


def held(lake: Lake, *refs: str) -> set[str]:
    """Walk what refs reach: by PyIceberg, and the file lists beside its metadata."""
    found = {path for ref in refs for path in iceberg_files(lake, lake.resolve(ref))}
    lists = {
        path.replace(".metadata.json", ".files.json")
        for path in found
        if path.endswith(".metadata.json")
    }
    return found | lists


def code_of(action: object) -> str:
    with pytest.raises(HeadgateError) as caught:
        action()  # type: ignore[operator]
    return caught.value.code


def test_what_is_left_is_what_iceberg_reads(place: Workplace, clock: Later) -> None:
    for value in range(4):
        run(place, value)
        failing = CHAIN.replace("VALUE", str(value)) + "\n@hg.step\ndef bad(three: pl.DataFrame)"
        with pytest.raises(HeadgateError):
            place.hall.run(
                place.pipeline(failing + " -> pl.DataFrame:\n    raise ValueError\n"), target="main"
            )
    place.lake.create_tag("second", "main~2")
    place.lake.create_branch("dev", "main~1")
    for row in place.hall.open_runs():
        place.hall.abandon(row.id)
    before = {ref: place.rows("two", ref) for ref in ("main", "second", "dev")}
    swept(place, clock)
    clock.ahead += 30 * DAY
    found = swept(place, clock)
    left = there(place.lake)
    needed = held(place.lake, "main", "second", "dev", "main~1")
    since_fork = place.lake.window(place.lake.resolve("main"), since=2)
    staged = {path for commit in since_fork[-1:] for path in operation_files(commit)}
    older_lists = {path for path in left if path.endswith(".files.json")}
    assert left - older_lists == (needed | staged) - older_lists
    assert found.files > 0
    assert {ref: place.rows("two", ref) for ref in before} == before
    assert [b.name for b in place.lake.branches()] == ["dev", "main"]
    assert list(place.lake.verify()) == []
    assert swept(place, clock).files == 0


def test_nothing_goes_before_it_was_marked_for_the_grace(place: Workplace, clock: Later) -> None:
    run(place, 1)
    run(place, 2)
    clock.ahead += 2 * DAY
    week = replace(NOW, grace=7 * DAY)
    before = there(place.lake)
    assert collect(place.hall.wiring, week, plan=True).waiting_files > 0
    first = swept(place, clock, week)
    assert first.waiting_files > 0
    assert there(place.lake) == before
    clock.ahead += 5 * DAY
    assert swept(place, clock, week).files == 0
    assert there(place.lake) == before
    clock.ahead += DAY
    last = swept(place, clock, week)
    assert last.files == first.waiting_files
    assert len(there(place.lake)) == len(before) - last.files


def test_a_failed_run_is_kept_and_resumed(place: Workplace, clock: Later) -> None:
    run(place, 1)
    broken = CHAIN.replace("VALUE", "2").replace("select count(*) as n", "select nothing as n")
    with pytest.raises(HeadgateError):
        place.hall.run(place.pipeline(broken), target="main")
    failed = place.hall.open_runs()[0].id
    run(place, 3)
    swept(place, clock)
    swept(place, clock)
    place.hall.resume(failed, place.pipeline(CHAIN.replace("VALUE", "2")))
    assert {row["n"] for row in place.rows("two")} == {1, 2, 3}


def test_a_run_without_a_sign_of_life_is_given_up(place: Workplace, clock: Later) -> None:
    run(place, 1)
    broken = CHAIN.replace("VALUE", "2").replace("select count(*) as n", "select nothing as n")
    with pytest.raises(HeadgateError):
        place.hall.run(place.pipeline(broken), target="main")
    failed = place.hall.open_runs()[0]
    assert swept(place, clock).given_up == ()
    clock.ahead += 14 * DAY
    plan = collect(place.hall.wiring, NOW, plan=True)
    assert plan.given_up == (failed.id,)
    assert failed.branch in plan.branches
    assert swept(place, clock).given_up == (failed.id,)
    row = place.lake.metastore.run(failed.id)
    assert row is None or row.state is RunState.ABANDONED
    assert place.lake.metastore.branch(failed.branch) is None
    assert not [path for path in there(place.lake) if failed.id in path]


INCREMENT = """
import headgate as hg
import polars as pl
from typing import Annotated

rows = hg.files("in/*.csv", mode="append")

@hg.step(mode="append")
def seen(rows: Annotated[pl.LazyFrame, hg.incremental]) -> pl.LazyFrame:
    return rows
"""


def test_an_old_position_still_gets_exactly_its_rows(place: Workplace, clock: Later) -> None:
    (place.root / "in").mkdir()
    (place.root / "in/1.csv").write_text("n\n1\n")
    both = place.pipeline(INCREMENT)
    place.hall.run(both, target="main")
    only = INCREMENT.partition("@hg.step")[0]
    for number in (2, 3):
        (place.root / f"in/{number}.csv").write_text(f"n\n{number}\n")
        place.hall.run(place.pipeline(only), target="main")
        swept(place, clock)
    place.hall.compact("main", ("rows",))  # the appended files are in no table any more
    with place.hall.transaction("main") as tx:
        tx.write("other", [{"n": 1}])
    clock.ahead += 90 * DAY
    swept(place, clock)
    assert swept(place, clock).files == 0
    place.hall.run(both, target="main")
    assert place.rows("seen") == [{"n": 1}, {"n": 2}, {"n": 3}]


CHANGES = """
import headgate as hg
import polars as pl
from typing import Annotated

@hg.step(mode="append")
def log(rows: Annotated[pl.DataFrame, hg.incremental(changes=True)]) -> pl.DataFrame:
    return rows.rename({"_change": "change"}) if "_change" in rows.columns else rows.with_columns(
        change=pl.lit("insert"))
"""


def test_a_step_with_change_rows_still_knows_what_it_saw(place: Workplace, clock: Later) -> None:
    with place.hall.transaction("main") as tx:
        tx.write("rows", [{"n": 1}, {"n": 2}])
    both = place.pipeline(CHANGES)
    place.hall.run(both, target="main")
    with place.hall.transaction("main") as tx:
        tx.write("rows", [{"n": 2}, {"n": 3}], mode="replace")
    for value in range(2):
        with place.hall.transaction("main") as tx:
            tx.write("other", [{"n": value}])
        clock.ahead += 90 * DAY
        swept(place, clock)
    place.hall.run(both, target="main")
    assert place.rows("log") == [
        {"n": 1, "change": "delete"},
        {"n": 1, "change": "insert"},
        {"n": 2, "change": "insert"},
        {"n": 3, "change": "insert"},
    ]


def test_a_revert_past_the_history_says_what_went_and_when(place: Workplace, clock: Later) -> None:
    first = run(place, 1)
    run(place, 2)
    run(place, 3)
    swept(place, clock)
    gone_at = clock.now()
    with pytest.raises(NotFound) as caught:
        place.hall.revert(first, target="main")
    assert caught.value.code == "commit-collected"
    assert f"{gone_at:%Y-%m-%d}" in caught.value.message
    assert place.rows("three") == [{"n": 3}]


def test_a_reader_of_a_swept_commit_is_told_so(place: Workplace, clock: Later) -> None:
    for value in (1, 2, 3):
        run(place, value)
    lake = place.lake
    old = lake.resolve("main~2")
    view = View(lake, lambda: place.engine, old, "main~2")
    handle = view.table("two")
    assert handle.to_rows() == [{"n": 1}]
    lake.leases._readings.clear()  # as if the process had slept, and its lease were over
    swept(place, clock)
    lake.tables.forget()
    lake._reader = type(lake._reader)(lake.metastore, keep_bytes=0)
    assert code_of(handle.to_rows) == "commit-collected"
    assert code_of(lambda: View(lake, lambda: place.engine, old, "x").tables) == "commit-collected"
    assert [commit.number for commit in lake.log(lake.resolve("main"), table="two")] == [3, 2, 1]


def test_a_long_reader_holds_what_it_reads(place: Workplace, clock: Later) -> None:
    for value in (1, 2, 3):
        run(place, value)
    lake = place.lake
    view = View(lake, lambda: place.engine, lake.resolve("main~2"), "main~2")
    handle = view.table("two")
    lake.leases.beat()
    assert lake.metastore.retention.pins() == []  # it is young, and costs nothing
    clock.ahead += timedelta(minutes=2)
    lake.leases.beat()
    (lease,) = lake.metastore.retention.pins()
    assert (lease.kind, lease.why) == ("reader", "reads main~2")
    clock.ahead += DAY
    lake.leases.beat()  # renewed, also after a long sleep
    assert code_of(lambda: collect(place.hall.wiring, NOW)) == "grace-too-short"
    hour = replace(NOW, grace=timedelta(hours=1))
    collect(place.hall.wiring, hour)
    clock.ahead += timedelta(hours=2)
    lake.leases.beat()
    assert collect(place.hall.wiring, hour).pins[0].holder == lease.holder
    lake.tables.forget()
    assert handle.to_rows() == [{"n": 1}]
    del view, handle
    gc.collect()
    lake.leases.beat()
    assert lake.metastore.retention.pins() == []
    swept(place, clock)
    assert lake.metastore.retention.gone([lake.resolve("main~2").id])


def test_a_copy_of_the_metastore_deletes_nothing(
    place: Workplace, clock: Later, tmp_path: Path
) -> None:
    run(place, 1)
    run(place, 2)
    place.lake.metastore.take_epoch("another")
    before = there(place.lake)
    with pytest.raises(Refused) as caught:
        swept(place, clock)
    assert caught.value.code == "not-the-owner"
    assert there(place.lake) == before
    assert place.lake.metastore.retention.marks("file", after="", limit=10) == []


def test_what_a_skip_would_reuse_is_computed_again_when_it_went(
    place: Workplace, clock: Later
) -> None:
    text = "import headgate as hg\none = hg.sql_step('select 1 as n')\n"
    place.hall.run(place.pipeline(text), target="main")
    with place.hall.transaction("main") as tx:
        tx.write("one", [{"n": 2}], mode="replace")
    swept(place, clock)
    place.hall.run(place.pipeline(text), target="main")
    assert place.rows("one") == [{"n": 1}]


KILLED = """
import os, signal, sys
from datetime import timedelta
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_collecting import NOW, Later, collect
from workplaces import Workplace
from dataclasses import replace

place = Workplace(Path(sys.argv[1]))
later = Later()
later.ahead = timedelta(days=int(sys.argv[3]))
place.lake.clock = later
store = place.lake.metastore
store._clock = later
left = int(sys.argv[4])

def dying(inner):
    def call(*args, **options):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return inner(*args, **options)
    return call

for name in ("collect", "doom", "delete_doomed", "delete_commits", "drop_marks", "put_marks",
             "forget_runs"):
    setattr(store.retention, name, dying(getattr(store.retention, name)))
place.lake.storage.delete = dying(place.lake.storage.delete)
collect(replace(place.hall.wiring, clock=later), NOW)
print("done")
"""


def test_killed_at_any_moment_the_next_one_ends_it(place: Workplace, clock: Later) -> None:
    for value in range(3):
        run(place, value)
    rows = place.rows("two")
    (place.root / "killed_gc.py").write_text(KILLED)
    deaths = 0
    for calls in range(1, 40, 3):
        done = subprocess.run(
            [
                sys.executable,
                place.root / "killed_gc.py",
                place.root,
                Path(__file__).parent,
                "1",
                str(calls),
            ],
            capture_output=True,
            text=True,
            timeout=120,
            env=os.environ,
            check=False,
        )
        place.lake.tables.forget()
        assert place.rows("two") == rows
        if done.returncode != -signal.SIGKILL:
            assert done.stdout == "done\n", done.stderr
            break
        deaths += 1
    assert deaths
    swept(place, clock)
    place.lake.tables.forget()
    assert place.rows("two") == rows
    assert list(place.lake.verify()) == []
    needed = held(place.lake, "main")
    left = {path for path in there(place.lake) if not path.endswith(".files.json")}
    assert left == {path for path in needed if not path.endswith(".files.json")}
    with closing(place.lake):
        run(place, 9)
        assert len(place.rows("two")) == 4
