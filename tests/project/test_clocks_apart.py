"""Hosts whose clocks are minutes apart: nothing is lost, nothing is published twice."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

import headgate as hg
from headgate.clock import SystemClock
from headgate.errors import Conflict, Refused
from headgate.lake import RunState

MINUTES = timedelta(minutes=5)


class WrongClock(SystemClock):
    """A host's clock that is ahead, or behind."""

    def __init__(self, by: timedelta) -> None:
        self.by = by

    def now(self) -> datetime:
        return super().now() + self.by


@pytest.fixture
def hosts(tmp_path):
    """Two hosts of one lake: the first is behind, the second ahead."""
    (tmp_path / "headgate.toml").write_text("")
    projects = [hg.open(tmp_path, clock=WrongClock(by)) for by in (-MINUTES, MINUTES)]
    append(projects[0], "t", [0])
    yield projects
    for project in projects:
        project.close()


def append(project, table, numbers, mode="append", **options):
    with project.transaction("main") as tx:
        tx.write(table, pa.table({"n": numbers}), mode=mode, **options)


def numbers(project, table="t"):
    return sorted(project.table(table).to_arrow()["n"].to_pylist())


def test_publishers_of_both_hosts_lose_and_double_nothing(hosts):
    def work(host):
        for number in range(8):
            append(hosts[host], "t", [1 + 2 * number + host])
            append(hosts[host], f"own{host}", [number], mode="upsert", key="n")

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(work, (0, 1)))
    assert numbers(hosts[0]) == list(range(17))
    assert numbers(hosts[1], "own0") == numbers(hosts[0], "own1") == list(range(8))
    published = hosts[0].runs(states=(RunState.PUBLISHED,))
    commits = [commit for commit in hosts[0].log() if commit.record.run]
    assert sorted(c.record.run for c in commits) == sorted(run.id for run in published)


def test_a_run_that_seems_dead_to_the_other_host_publishes_not_at_all_once_taken(hosts):
    behind, ahead = hosts
    with pytest.raises(Conflict) as caught, behind.transaction("main") as tx:
        tx.write("t", pa.table({"n": [7]}), mode="append")
        (run,) = ahead.runs(states=(RunState.RUNNING,))
        ahead.abandon(run.id)  # its lease ended minutes ago, by the clock that is ahead
    assert caught.value.code == "run-taken-over"
    assert numbers(ahead) == [0]
    assert ahead.find_run(run.id).state is RunState.ABANDONED


def test_a_run_of_the_host_ahead_is_alive_to_the_one_behind(hosts):
    behind, ahead = hosts
    with ahead.transaction("main") as tx:
        tx.write("t", pa.table({"n": [7]}), mode="append")
        (run,) = behind.runs(states=(RunState.RUNNING,))
        with pytest.raises(Refused) as caught:
            behind.abandon(run.id)
        assert caught.value.code == "run-is-alive"
    assert numbers(behind) == [0, 7]


def test_nobody_waits_minutes_for_the_ticket_of_a_host_that_died_ahead(hosts):
    behind, ahead = hosts
    assert ahead.lake.metastore.turns.take_ticket(
        "main", run="dead", fence=1, keys=["table/t"], lease=timedelta(seconds=10)
    )
    append(behind, "t", [1])
    assert numbers(ahead) == [0, 1]


def test_where_a_branch_was_never_goes_back(hosts):
    behind, ahead = hosts
    append(ahead, "t", [1])
    head = ahead.lake.branch("main").head
    append(behind, "t", [2])
    later = behind.lake.branch("main").head
    metastore = behind.lake.metastore
    now = datetime.now(UTC)
    assert metastore.head_at("main", now + 2 * MINUTES) == later
    assert metastore.head_at("main", now) != head  # the host ahead says it came later


def test_the_doctor_says_that_a_clock_is_ahead(hosts):
    behind, ahead = hosts
    with ahead.transaction("main") as tx:
        tx.write("t", pa.table({"n": [1]}), mode="append")
        (found,) = (each for each in behind.doctor() if each.what == "clocks")
    assert "1 run began 10 minutes from now" in found.found
