"""PostgreSQL restarts, crashes or stays away while a run is at work: nothing is lost or doubled."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread

import pytest

pytest.importorskip("psycopg")

from workplaces import Workplace

from headgate.errors import Unavailable
from headgate.lake import RunState
from headgate.runs import attempt
from headgate.testing.postgres_servers import PostgresServer

PIPELINE = """
import headgate as hg
import polars as pl

@hg.step(mode="append")
def first() -> pl.DataFrame:
    return pl.DataFrame({"id": [1, 2]})

@hg.step(mode="append")
def second(first: pl.DataFrame) -> pl.DataFrame:
    MEANWHILE()
    return first
"""

PROJECT = """
import os, signal, time
import headgate as hg
import polars as pl

@hg.step(mode="append")
def first() -> pl.DataFrame:
    return pl.DataFrame({"id": [1, 2]})

@hg.step(mode="append")
def second(first: pl.DataFrame) -> pl.DataFrame:
    if pid := os.environ.get("STOP"):
        os.kill(int(pid), signal.SIGINT)
    return first
"""


@pytest.fixture
def place(
    tmp_path: Path, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Workplace]:
    monkeypatch.setenv("TEST_METASTORE_SERVER", postgres.url("any").partition("?")[0])
    workplace = Workplace(tmp_path)
    yield workplace
    workplace.close()


def run(place: Workplace, meanwhile: Callable[[], object]) -> RunState:
    """Run the pipeline; give how it ended."""
    pipeline = place.pipeline(PIPELINE)
    for step in pipeline.steps:
        step.function.__globals__["MEANWHILE"] = meanwhile  # type: ignore[union-attr]
    return place.hall.run(pipeline, target="main").state


def restart(server: PostgresServer) -> None:
    server.stop()
    server.start()


def test_a_run_survives_a_restart_of_the_server(place: Workplace, postgres: PostgresServer) -> None:
    assert run(place, lambda: restart(postgres)) is RunState.PUBLISHED
    assert place.rows("second") == [{"id": 1}, {"id": 2}]


def test_a_run_waits_for_a_server_that_is_away_when_it_publishes(
    place: Workplace, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped, ended = Event(), Event()
    done: list[RunState] = []

    def stop() -> None:
        postgres.stop()
        stopped.set()

    def go() -> None:
        done.append(run(place, stop))
        ended.set()

    Thread(target=go).start()
    assert stopped.wait(timeout=60)
    postgres.start()
    assert ended.wait(timeout=60)
    assert done == [RunState.PUBLISHED]
    assert place.rows("second") == [{"id": 1}, {"id": 2}]


def test_heartbeats_live_through_an_outage(
    place: Workplace, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    beats: list[bool] = []
    beaten = Event()
    store = type(place.lake.metastore)
    heartbeat = store.heartbeat

    def counted(*given: object, **more: object) -> bool:
        alive = heartbeat(*given, **more)  # type: ignore[arg-type]
        beats.append(alive)
        beaten.set()
        return alive

    monkeypatch.setattr(attempt, "LEASE", attempt.LEASE / 1000)
    monkeypatch.setattr(store, "heartbeat", counted)

    def meanwhile() -> None:
        restart(postgres)
        beaten.clear()
        assert beaten.wait(timeout=30)

    assert run(place, meanwhile) is RunState.PUBLISHED
    assert all(beats[:-1])  # one may be on its way when the run ends


def test_idle_sessions_that_are_ended_do_not_disturb_a_run(
    place: Workplace, postgres: PostgresServer
) -> None:
    for _ in range(3):
        assert run(place, postgres.end_sessions) in {RunState.PUBLISHED, RunState.NOTHING}
    assert place.rows("second") == [{"id": 1}, {"id": 2}]


def test_a_server_that_crashes_loses_steps_and_says_so(
    tmp_path: Path, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    del postgres  # skips where there is none
    with PostgresServer(wal_writer_delay="10000ms", wal_writer_flush_after="1GB") as frail:
        monkeypatch.setenv("TEST_METASTORE_SERVER", frail.url("any").partition("?")[0])
        place = Workplace(tmp_path)
        head = place.head()

        def crash() -> None:
            frail.stop("immediate")
            frail.start()

        with pytest.raises(Unavailable) as failed:
            run(place, crash)
        assert failed.value.code == "metastore-went-back"
        assert place.head() == head
        assert run(place, lambda: None) is RunState.PUBLISHED
        assert place.rows("second") == [{"id": 1}, {"id": 2}]
        place.close()


def headgate(root: Path, *words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Type a command in a project."""
    return subprocess.run(
        [sys.executable, "-m", "headgate", *words],
        cwd=root,
        env={**os.environ, "PYTHONPATH": ":".join(sys.path), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_server_that_stays_away_leaves_a_run_that_can_be_resumed(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    url = postgres.url(patience=1)
    (tmp_path / "headgate.toml").write_text(f'[lake]\nmetastore = "{url}"\n')
    (tmp_path / "flow.py").write_text(PROJECT)
    try:
        failed = headgate(tmp_path, "run", STOP=str(postgres.pid))
    finally:
        postgres.stop()
        postgres.start()
    told = failed.stdout + failed.stderr
    assert failed.returncode != 0
    assert "does not answer" in told
    assert "Not published" in told
    resume = next(line for line in told.splitlines() if "headgate resume" in line).split()[-1]
    assert "there is no table" in headgate(tmp_path, "table", "second").stderr.lower()
    resumed = headgate(tmp_path, "resume", resume)
    assert resumed.returncode == 0, resumed.stderr
    shown = headgate(tmp_path, "status")
    doctor = headgate(tmp_path, "doctor")
    assert "PostgreSQL 1" in doctor.stdout
    assert "postgresql://owner@127.0.0.1" in doctor.stdout
    for said in (failed, resumed, shown, doctor):
        assert postgres.password not in said.stdout + said.stderr
    logs = [path.read_text() for path in (tmp_path / ".headgate").rglob("*") if path.is_file()]
    assert not any(postgres.password in text for text in logs)
