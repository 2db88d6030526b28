"""gc after many runs: deleted and failed branches, kills in mid-run, readers, resumes beside it."""

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from iceberg_walk import iceberg_files
from test_collecting import CHAIN, DAY, NOW, Later, collect, there
from workplaces import Workplace

from headgate.errors import HeadgateError
from headgate.lake import RunState
from headgate.lake.reachability import operation_files
from headgate.runs import Hall

HERE = Path(__file__).parent


@pytest.fixture
def clock(place: Workplace) -> Iterator[Later]:
    """Give the workplace a clock to move."""
    later = Later()
    place.lake.clock = later
    place.lake.metastore._clock = later
    place.hall = Hall(replace(place.hall.wiring, clock=later), evaluator="duckdb")
    return later


def killed_run(place: Workplace, chance: random.Random) -> None:
    """Run in a process of its own, and kill it at some moment."""
    (place.root / "data").mkdir(exist_ok=True)
    (place.root / "data" / f"{chance.random()}.csv").write_text("key,value\n1,2\n")
    process = subprocess.Popen(
        [sys.executable, HERE / "killed.py", place.root], stdout=subprocess.PIPE, env=os.environ
    )
    assert process.stdout is not None
    process.stdout.readline()
    try:
        process.wait(chance.uniform(0.02, 0.5))
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()


def play(place: Workplace, clock: Later, runs: int, kills: int) -> None:
    """Publish, fail, delete branches, revert, kill; collect now and then."""
    chance = random.Random(7)
    dying = set(chance.sample(range(runs), kills))
    for number in range(runs):
        text = CHAIN.replace("VALUE", str(number))
        if number in dying:
            killed_run(place, chance)
        what = chance.random()
        if what < 0.2:
            text = text.replace("select count(*) as n", "select nothing as n")
        branch = "main"
        if what > 0.85:
            branch = f"b{number}"
            place.lake.create_branch(branch, "main")
        try:
            place.hall.run(place.pipeline(text), target=branch)
        except HeadgateError:
            if chance.random() < 0.5:
                place.hall.abandon(place.hall.open_runs()[0].id)
        if branch != "main" and chance.random() < 0.7:
            place.lake.delete_branch(branch)
        clock.ahead += timedelta(hours=chance.randrange(12))
        if number % 10 == 9:
            collect(place.hall.wiring, replace(NOW, grace=timedelta(hours=12)))


def check(place: Workplace, clock: Later) -> None:
    """Collect all that may go, and compare what is left with what PyIceberg and records say."""
    for _ in range(2):
        clock.ahead += 40 * DAY
        collect(place.hall.wiring, NOW)
    lake = place.lake
    assert list(lake.verify(every_tree=True)) == []
    rows = lake.metastore.retention.commit_rows(after="", limit=100_000)
    needed: set[str] = set()
    for row in rows:
        commit = lake.commit(row.id)
        if row.collected is None:
            needed |= iceberg_files(lake, commit)
        if row.emptied is None:
            needed |= set(operation_files(commit))
    left = {path for path in there(lake) if not path.endswith(".files.json")}
    assert left == needed
    refs = {branch.head for branch in lake.branches()}
    whole = {row.id for row in rows if row.collected is None}
    assert refs <= whole
    assert {row.state for row in lake.metastore.references().runs} <= {RunState.FAILED}
    for ref in ("main", *(b.name for b in lake.branches())):
        for key in lake.tree(lake.resolve(ref)).keys("table/"):
            place.rows(key.removeprefix("table/"), ref)


def test_after_dozens_of_runs_and_kills_what_is_left_is_what_is_needed(
    place: Workplace, clock: Later
) -> None:
    play(place, clock, runs=24, kills=2)
    check(place, clock)


@pytest.mark.soak
def test_after_two_hundred_runs_and_kills_what_is_left_is_what_is_needed(
    place: Workplace, clock: Later
) -> None:
    play(place, clock, runs=200, kills=30)
    before = len(there(place.lake))
    check(place, clock)
    left = there(place.lake)
    print(f"{before} files before, {len(left)} after")


def test_beside_collections_runs_publish_and_readers_read(place: Workplace, clock: Later) -> None:
    """Another process's runs and readers, while this one collects again and again."""
    place.hall.run(place.pipeline(CHAIN.replace("VALUE", "0")), target="main")
    other = Workplace(place.root)
    hour = replace(NOW, grace=timedelta(hours=1))
    failures: list[BaseException] = []
    stop = threading.Event()

    def publish() -> None:
        try:
            for number in range(1, 9):
                other.hall.run(other.pipeline(CHAIN.replace("VALUE", str(number))), target="main")
                assert {"n": number} in other.rows("one")
        except BaseException as error:  # noqa: BLE001 - told by the test
            failures.append(error)
        finally:
            stop.set()

    thread = threading.Thread(target=publish)
    thread.start()
    collected = 0
    while not stop.is_set():
        clock.ahead += timedelta(minutes=40)
        collected += collect(place.hall.wiring, hour).files
        place.lake.tables.forget()
        assert len(place.rows("two")) >= 1
    thread.join()
    other.close()
    assert not failures, failures
    assert [row["n"] for row in place.rows("two")] == list(range(9))
    check(place, clock)
