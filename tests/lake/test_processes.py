"""Several processes on one lake, and processes that are killed: one order, nothing half done."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from headgate.clock import SystemClock
from headgate.lake.lake import Lake
from headgate.lake.metastore import RunState
from headgate.names import RandomIds
from headgate.testing.object_places import open_or_create

WORKER = Path(__file__).with_name("worker.py")


@pytest.fixture
def location(tmp_path: Path) -> Path:
    with opened(tmp_path) as lake:
        lake.create_branch("dev", "main")
    return tmp_path


@contextmanager
def opened(location: Path) -> Iterator[Lake]:
    server = os.environ.get("TEST_METASTORE_SERVER")
    with open_or_create(location, clock=SystemClock(), ids=RandomIds(), server=server) as lake:
        yield lake


@pytest.fixture
def await_quiet(request: pytest.FixtureRequest) -> Callable[[], None]:
    """Wait until nobody works for a killed process any more: a server may, for a moment."""
    if "TEST_METASTORE_SERVER" not in os.environ:
        return lambda: None
    waits: Callable[[], None] = request.getfixturevalue("postgres").await_quiet
    return waits


def start(location: Path, work: str, name: str, count: int) -> "subprocess.Popen[str]":
    command = [sys.executable, str(WORKER), str(location), work, name, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def finish(workers: "list[subprocess.Popen[str]]") -> list[str]:
    done: list[str] = []
    for worker in workers:
        output, _ = worker.communicate(timeout=60)
        assert worker.returncode == 0
        done.extend(output.split())
    return done


def test_commits_of_several_processes_stand_in_one_order(location: Path) -> None:
    done = finish([start(location, "commit", name, 25) for name in "abc"])
    with opened(location) as lake:
        head = lake.resolve("dev")
        chain = list(lake.log(head))
        assert [commit.number for commit in chain] == list(range(75, -1, -1))
        assert {commit.id for commit in chain[:-1]} == set(done)
        expected = sorted(f"blob/{name}{n}" for name in "abc" for n in range(25))
        assert list(lake.tree(head).keys()) == expected
        assert list(lake.metastore.check()) == []


def test_publications_of_several_processes_stand_in_one_order(location: Path) -> None:
    done = finish([start(location, "publish", name, 10) for name in "ab"])
    with opened(location) as lake:
        chain = list(lake.log(lake.resolve("main")))
        assert {commit.id for commit in chain[:-1]} == set(done)
        runs = lake.metastore.runs(states=[RunState.PUBLISHED], limit=100)
        assert {run.commit for run in runs} == set(done)


def test_tickets_exclude_each_other_between_processes(location: Path) -> None:
    done = finish([start(location, "ticket", name, 20) for name in "abc"])
    assert done == ["alone"] * 60


@pytest.mark.parametrize("work", ["commit", "publish"])
@pytest.mark.parametrize("after", [1, 4, 9])
def test_a_killed_process_leaves_the_old_state_or_the_new(
    location: Path, work: str, after: int, await_quiet: Callable[[], None]
) -> None:
    kill_and_look(location, work, after, await_quiet)


@pytest.mark.soak
@pytest.mark.parametrize("work", ["commit", "publish"])
def test_killed_often(location: Path, work: str, await_quiet: Callable[[], None]) -> None:
    for after in range(100):
        kill_and_look(location, work, after % 12, await_quiet)


def kill_and_look(location: Path, work: str, after: int, await_quiet: Callable[[], None]) -> None:
    """Kill a worker once it has told of ``after`` commits; look at what it left."""
    branch = "dev" if work == "commit" else "main"
    with opened(location) as lake:
        before = lake.resolve(branch)
    worker = start(location, work, f"k{before.number}x", 1_000_000)
    assert worker.stdout is not None
    told = [worker.stdout.readline().strip() for _ in range(after)]
    worker.kill()
    told += worker.stdout.read().split()
    worker.wait()
    worker.stdout.close()
    await_quiet()
    told = [id for id in told if len(id) == len(before.id)]  # a torn last line was not told
    with opened(location) as lake:
        head = lake.resolve(branch)
        new = lake.window(head, before.number)
        assert [commit.id for commit in new][: len(told)] == told
        assert len(new) <= len(told) + 1
        assert len(list(lake.tree(head).keys())) == head.number
        published = {run.commit for run in lake.metastore.runs(limit=100_000)} - {None}
        if work == "publish":
            assert published == {c.id for c in lake.log(head) if c.parent is not None}
            assert len(lake.metastore.events(limit=100_000)) == head.number
        assert list(lake.metastore.check()) == []
