"""F16P: F16 on PostgreSQL: 32 publishers in 8 processes, each publishing again and again.

Two measures. The metastore alone: every publisher is a thread that composes a commit of one key on
the head and publishes it, the whole protocol of tickets and compare-and-swap with it. And whole
runs: every publisher appends rows to a table by a transaction, its files synced. None may be lost.
The limit is what the server's disk allows on one branch: transactions that update one row each, one
after another, each flushed, from one connection.
"""

import multiprocessing
import os
import shutil
import sys
import time
from contextlib import closing
from datetime import timedelta
from multiprocessing.synchronize import Barrier
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from benchmarks.measuring import WORK, report
from headgate.clock import SystemClock
from headgate.lake import Lake, Outcome, Record, RunRow, RunState
from headgate.lake.entries import Entry
from headgate.names import RandomIds
from headgate.testing.postgres_servers import PostgresServer

if TYPE_CHECKING:
    from headgate.engines import DuckDB

PROCESSES, THREADS = 8, 4
COMMITS, RUNS = 10, 10
LEASE = timedelta(seconds=60)


def main() -> None:
    with PostgresServer() as server:
        limit = _limit(server)
        for name, deed, each, shared in (
            ("the metastore alone, keys apart", _publish, COMMITS, False),
            ("the metastore alone, one key", _publish, COMMITS, True),
            ("appends to a table each", _append, RUNS, False),
            ("appends to one table", _append, RUNS, True),
        ):
            took, cpu, done = _ours(server, deed, each, shared=shared)
            expected = PROCESSES * THREADS * each
            report(
                "F16P",
                f"PostgreSQL, {PROCESSES * THREADS} publishers in {PROCESSES} processes: {name}",
                unit="commits/s",
                ours=done / took,
                limit=limit,
                cpu=cpu,
                published=done,
                lost=expected - done,
                must="none is lost",
                reached=done == expected,
            )


def _limit(server: PostgresServer, count: int = 200) -> float:
    with server.connect() as session:
        session.execute("create table if not exists public.flushed (n bigint)")
        session.execute("insert into public.flushed values (0)")
        began = time.perf_counter()
        for _ in range(count):
            session.execute("update public.flushed set n = n + 1")
        return count / (time.perf_counter() - began)


def _ours(
    server: PostgresServer, deed: object, each: int, *, shared: bool
) -> tuple[float, float, int]:
    """Give seconds until the last has published, CPU seconds of the clients, how many commits."""
    directory = WORK / "publishers-postgres"
    shutil.rmtree(directory, ignore_errors=True)
    url = server.url()
    with Lake.create(directory, clock=SystemClock(), ids=RandomIds(), metastore=url) as lake:
        if deed is _append and shared:
            with closing(_engine(directory)) as engine:
                _append(_hall(lake, directory / "work", engine), "first", 1, shared=True)
        known = {commit.id for commit in lake.log(lake.resolve("main"))}
    start = multiprocessing.get_context("spawn")
    barrier, outcomes = start.Barrier(PROCESSES + 1), start.Queue()
    workers = [
        start.Process(
            target=_work, args=(deed, directory, url, number, each, shared, barrier, outcomes)
        )
        for number in range(PROCESSES)
    ]
    for worker in workers:
        worker.start()
    barrier.wait(timeout=300)
    began = time.perf_counter()
    results = [outcomes.get(timeout=600) for _ in workers]
    took = time.perf_counter() - began
    for worker in workers:
        worker.join()
    with Lake.open(directory, clock=SystemClock(), ids=RandomIds(), metastore=url) as lake:
        head = lake.resolve("main")
        published = {run.commit for run in lake.metastore.runs(limit=100_000)} - {None}
        in_history = {commit.id for commit in lake.log(head)} - known
    for _, failures in results:
        for failure in failures[:3]:
            sys.stderr.write(f"  {failure}\n")
    return took, sum(cpu for cpu, _ in results), len(published & in_history)


def _work(
    deed: object,
    directory: Path,
    url: str,
    number: int,
    each: int,
    shared: bool,  # noqa: FBT001 - processes are given what they need by position
    barrier: Barrier,
    outcomes: "multiprocessing.Queue[tuple[float, list[str]]]",
) -> None:
    lake = Lake.open(directory, clock=SystemClock(), ids=RandomIds(), metastore=url)
    engine = _engine(directory / f"work-{number}")
    hall = _hall(lake, directory / f"work-{number}", engine) if deed is _append else lake
    lake.resolve("main")
    failures: list[str] = []

    def go(name: str) -> None:
        try:
            deed(hall, name, each, shared=shared)  # type: ignore[operator]
        except Exception as error:  # noqa: BLE001 - told in the end
            failures.append(f"{type(error).__name__}: {error}")

    threads = [Thread(target=go, args=(f"p{number}t{thread}",)) for thread in range(THREADS)]
    barrier.wait(timeout=300)
    began = time.process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    outcomes.put((time.process_time() - began, failures))
    engine.close()
    lake.close()


def _publish(lake: Lake, name: str, each: int, *, shared: bool) -> None:
    """Publish commits of one key, by the protocol of a run without its files and checks."""
    store = lake.metastore
    for number in range(each):
        id, now = lake.ids.run_id(), lake.clock.now()
        base = lake.resolve("main").id
        row = RunRow(
            id=id,
            pipeline=name,
            target="main",
            branch=f"run/{id}",
            state=RunState.PUBLISHING,
            fence=1,
            base=base,
            began=now,
            owner=f"bench:{os.getpid()}",
            lease_until=now + LEASE,
        )
        store.begin_run(row, fork_from=base)
        key = "blob/shared" if shared else f"blob/{name}"
        while not store.turns.take_ticket("main", run=id, fence=1, keys=[key], lease=LEASE):
            lake.clock.sleep(timedelta(milliseconds=5))
        entry = Entry(kind="blob", content=f"{name}{number}", data="x" * 300)
        while True:
            head = lake.resolve("main")
            record = Record(kind="run", at=lake.clock.now(), run=id)
            candidate = lake.compose(head, {key: entry}, record)
            outcome = store.publish(
                "main",
                head=head.id,
                commit=candidate.commit,
                nodes=candidate.nodes,
                run=id,
                fence=1,
            )
            if outcome is Outcome.DONE:
                break


def _append(hall: object, name: str, each: int, *, shared: bool) -> None:
    """Append rows by transactions, as a person or a service would."""
    table = "events" if shared else f"events_{name}"
    for number in range(each):
        with hall.transaction("main", name=name) as transaction:  # type: ignore[attr-defined]
            transaction.write(table, [{"who": name, "n": number}], mode="append")


def _engine(directory: Path) -> "DuckDB":
    from headgate.engines import DuckDB

    engine = DuckDB(threads=1, temp_directory=directory / "spill")
    engine.session().close()
    return engine


def _hall(lake: Lake, directory: Path, engine: "DuckDB") -> object:
    from headgate.runs import Hall, Wiring, owner_name
    from headgate.sources import FileSource

    return Hall(
        Wiring(
            lake=lake,
            engine=lambda: engine,
            clock=SystemClock(),
            ids=RandomIds(),
            root=directory,
            cache=directory / "cache",
            owner=owner_name(),
            source=lambda _, options, setting: FileSource(options, setting),
        ),
        evaluator="duckdb",
    )


if __name__ == "__main__":
    main()
    sys.exit(0)
