"""Ctrl-C in every kind of step, runs at the same moment, and what is no run to be resumed."""

import json
import signal
import time

import pytest

from headgate.errors import HeadgateError, Refused
from headgate.project import open_project

BUSY = {
    "a query": (
        'slow = hg.sql_step("select sum(hash(a.i + b.i)) as s from range(300000) a(i), '
        'range(300000) b(i)")\n'
    ),
    "Polars": (
        "import polars as pl\n\n@hg.step\ndef slow() -> pl.LazyFrame:\n"
        "    frame = pl.LazyFrame({'i': range(100_000)})\n"
        "    return frame.join(frame, how='cross').select(pl.col('i').hash().sum())\n"
    ),
    "a loop": "@hg.step\ndef slow() -> Iterator[dict]:\n    while True: pass\n    yield {}\n",
    "rows without end": (
        "from itertools import count\n\n@hg.step\ndef slow() -> Iterator[dict]:\n"
        "    for n in count(): yield {'n': n}\n"
    ),
    "a wait": ("import time\n\n@hg.step\ndef slow() -> list[dict]:\n    time.sleep(600)\n"),
}


def started(place):
    """Start a run, and wait until its slow step is at work."""
    process = place.process("run")
    logs = place.root / ".headgate" / "logs"
    wait_for(lambda: any("slow" in events(path) for path in logs.glob("*.log")))
    return process


def events(log):
    """Give the names of the steps that a run has started."""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    return [line["step"] for line in lines if line["event"] == "step-started"]


@pytest.mark.parametrize("steps", BUSY.values(), ids=BUSY)
def test_an_interrupt_ends_the_run_at_once_and_it_can_be_resumed(published, steps):
    published.steps(steps)
    head = published.head()
    process = started(published)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, words = process.communicate(timeout=30)
    assert time.monotonic() - began < 10
    assert process.returncode == 130, words
    assert words.count("was interrupted.") == 1
    assert "Traceback" not in words
    assert "leaked" not in words
    assert f"Not published. Readers of main still see {head[:6]}." in words
    run = words.partition("To go on:  headgate resume ")[2].split()[0]
    assert published.rows("select count(*) as n from numbers", ref=f"run/{run}") == [{"n": 5}]
    published.steps('slow = hg.sql_step("select 1 as n")\n')
    assert "Published 1 table" in published("resume", run).err


def test_impatient_interrupts_end_it_as_well(published):
    published.steps(BUSY["a query"])
    process = started(published)
    for _ in range(3):
        process.send_signal(signal.SIGINT)
    _, words = process.communicate(timeout=30)
    assert process.returncode == 130, words
    assert "Traceback" not in words
    [run] = published.document("status")["unfinished"]
    published.steps('slow = hg.sql_step("select 1 as n")\n')
    assert "Published 1 table" in published("resume", run["run"]).err


def test_a_run_whose_process_died_is_shown_and_resumed(published):
    published.steps(BUSY["a wait"])
    process = started(published)
    [run] = published.document("status")["unfinished"]
    assert published.error("resume", run["run"], exits=7)["code"] == "run-is-alive"
    process.kill()
    process.communicate(timeout=30)
    said = published("status")
    assert "Its process has ended." in said.out
    assert f"headgate resume {run['run'][:4]}" in said.err
    published.steps('slow = hg.sql_step("select 1 as n")\n')
    assert "Published 1 table" in published("resume", run["run"]).err


def test_an_interrupt_behind_the_publication_says_that_it_is_published(published):
    published.steps('more = hg.sql_step("select 1 as n")\n')

    def impatient(event):
        if event.kind == "run-published":
            raise KeyboardInterrupt

    project = open_project(published.root, environment={}, listeners=(impatient,))
    with project, pytest.raises(HeadgateError) as caught:
        project.run()
    assert caught.value.code == "interrupted"
    assert "Not published" not in str(caught.value)
    assert published.head()[:6] in str(caught.value)
    assert published.rows("select n from more") == [{"n": 1}]
    assert published.document("status")["unfinished"] == []


def test_runs_at_the_same_moment_publish_once_and_all_end_well(place):
    place.steps('two = hg.sql_step("select 2 * n as n from numbers")\n')
    processes = [place.process("run") for _ in range(3)]
    words = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], words
    assert sum("Published 2 tables" in text for text in words) == 1
    assert sum("Nothing to do" in text for text in words) == 2
    assert len(place.document("log")["commits"]) == 2
    assert place.document("status")["unfinished"] == []


def test_what_has_no_steps_is_not_resumed_but_ended(published):
    head = published.head()
    with open_project(published.root, environment={}) as project:
        wrong_type = pytest.raises(ValueError, match="is long, but the new rows have string")
        with wrong_type, project.transaction(name="fix") as tx:
            tx.write("numbers", [{"n": "x"}], mode="append")
        with pytest.raises(ZeroDivisionError) as caught, project.transaction() as tx:
            tx.write("numbers", [{"n": 7}], mode="append")
            1 / 0  # noqa: B018
        assert f"Readers of main still see {head[:6]}." in caught.value.__notes__[0]
        for run in project.runs(states=()):
            if run.pipeline != "shop":
                with pytest.raises(Refused, match="no steps to run again"):
                    project.resume(run.id)
                project.abandon(run.id)
    assert published.head() == head
    assert "To go on" not in published("status").err
    assert published.document("status")["unfinished"] == []


def wait_for(happened) -> None:
    """Wait until something has happened in another process; fail after half a minute."""
    patience = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < patience
        time.sleep(0.02)
