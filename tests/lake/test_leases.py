"""Leases: nothing while a reading is young, then held, and over when nobody reads any more."""

import gc
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from sham_tables import ShamTables

from headgate.clock import ManualClock
from headgate.lake import Collection, Lake, RetentionPolicy
from headgate.lake.leases import LEASE, YOUNG
from headgate.lake.operations import Replace
from headgate.lake.records import Commit
from headgate.lake.retention import CLOCKS_APART
from headgate.names import RandomIds

HOUR = timedelta(hours=1)
POLICY = RetentionPolicy(history=timedelta(0), grace=HOUR)
SECOND = timedelta(seconds=1)


class Reader:
    """Somebody who reads."""


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def lake(tmp_path: Path, clock: ManualClock) -> Iterator[Lake]:
    """A lake with a few commits of one table."""
    made = Lake.create(tmp_path / "lake", clock=clock, ids=RandomIds())
    made.protect("main", protected=False)
    tables = ShamTables(made)
    for _ in range(3):
        head = made.resolve("main")
        operation = Replace(files=(tables.data_file(0),), schema=())
        entry = tables.after(made.tree(head).get("table/t"), 0, operation)
        record = tables.record("table/t", (operation,))
        made.commit_to("main", made.compose(head, {"table/t": entry}, record))
    yield made
    made.close()


def old(lake: Lake) -> Commit:
    return lake.resolve("main~1")


def sweep(lake: Lake, clock: ManualClock) -> None:
    """Collect twice, as far apart as the grace."""
    Collection(lake, POLICY).sweep()
    clock.move(HOUR + SECOND)


def is_gone(lake: Lake, commit: Commit) -> bool:
    row = lake.metastore.retention.gone([commit.id]).get(commit.id)
    return row is not None and row.collected is not None


def test_a_young_reading_writes_nothing(lake: Lake, clock: ManualClock) -> None:
    reader = Reader()
    lake.leases.hold(reader, old(lake), why="reads")
    clock.move(YOUNG - SECOND)
    lake.leases.beat()
    assert lake.metastore.retention.pins() == []


def test_an_old_reading_is_held_as_long_as_its_reader_lives(lake: Lake, clock: ManualClock) -> None:
    one, two, commit = Reader(), Reader(), old(lake)
    lake.leases.hold(one, commit, why="reads")
    lake.leases.hold(two, commit, why="reads")
    clock.move(YOUNG)
    lake.leases.beat()
    del one
    gc.collect()
    for _ in range(30):
        clock.move(LEASE / 2)
        lake.leases.beat()
        Collection(lake, POLICY).sweep()
    assert not is_gone(lake, commit)
    assert len(lake.metastore.retention.pins()) == 1  # one of the process, however many read
    del two
    gc.collect()
    lake.leases.beat()
    assert lake.metastore.retention.pins() == []
    sweep(lake, clock)
    sweep(lake, clock)
    assert is_gone(lake, commit)


def test_the_lease_of_a_process_that_died_ends(lake: Lake, clock: ManualClock) -> None:
    reader, commit = Reader(), old(lake)
    lake.leases.hold(reader, commit, why="reads")
    clock.move(YOUNG)
    lake.leases.beat()  # and never again
    clock.move(LEASE + CLOCKS_APART - SECOND)  # the holder's clock may be that late
    (pin,) = Collection(lake, POLICY).plan().pins
    assert pin.commit == commit.id
    clock.move(2 * SECOND)
    assert Collection(lake, POLICY).plan().pins == ()
    sweep(lake, clock)
    sweep(lake, clock)
    assert is_gone(lake, commit)
    lake.leases.beat()  # it was not dead, only slept: it gets nothing back
    assert is_gone(lake, commit)
    Collection(lake, POLICY).sweep()


def test_closing_the_lake_lets_go(lake: Lake, clock: ManualClock) -> None:
    reader = Reader()
    lake.leases.hold(reader, old(lake), why="reads")
    clock.move(YOUNG)
    lake.leases.beat()
    leases = lake.leases
    leases.close()
    leases.close()
    assert lake.metastore.retention.pins() == []


def test_a_forked_child_leaves_its_parents_leases_alone(lake: Lake, clock: ManualClock) -> None:
    reader = Reader()
    lake.leases.hold(reader, old(lake), why="reads")
    clock.move(YOUNG)
    lake.leases.beat()
    pins = lake.metastore.retention.pins()
    child = os.fork()
    if child == 0:
        lake.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert lake.metastore.retention.pins() == pins


def test_threads_that_ask_at_once_share_one_keeper_of_leases(tmp_path: Path) -> None:
    start = threading.Barrier(8)
    with Lake.create(tmp_path, clock=ManualClock(), ids=RandomIds()) as lake:

        def ask(_: int) -> tuple[object, object]:
            start.wait()
            return lake.leases, lake.tables

        with ThreadPoolExecutor(8) as threads:
            found = set(threads.map(ask, range(8)))
    assert len(found) == 1
