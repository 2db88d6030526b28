"""Kills a child of its own at the n-th boundary of a job, as often as it is asked.

usage: killed_at_boundaries.py. Reads lines ``JOB ROOT N`` and answers each with ``killed`` or
``done``. A boundary is the moment before and after each transaction of the metastore, and each call
of a source; N = 0 kills at none. The libraries are loaded once: each child begins where they are.
"""

import os
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
from scripted import maker, unread
from workplaces import Workplace

import headgate.runs.computing
import headgate.runs.publish
import headgate.runs.replaying  # noqa: F401 - loaded before the clock starts
from headgate.lake import RunState
from headgate.runs import Choice
from headgate.source_columns import POSITION
from headgate.sources import Batch, Cursor

WRITES = ("begin_run", "take_over", "advance", "record", "set_run", "publish", "rebase_run")

SHOP = """
from typing import Annotated
import headgate as hg

class Order(hg.Contract):
    id: int
    amount: Annotated[int, hg.between(0, {most}, severity="quarantine")]

orders = hg.source("scripted", contract=Order)

@hg.source(mode="upsert", key="id")
def prices(cursor: int = 0):
    for n in range(cursor + 1, 4):
        yield [{{"id": n, "price": n * 10}}], n

total = hg.sql_step("select sum(amount)::bigint as total, count(*) as n from orders")
each = hg.sql_step("select id, amount * 2 as twice from orders", mode="upsert", key="id")
"""


def orders() -> list[Batch]:
    """Give the script: three batches, a rejected row in two, a record that is none in one."""
    found = []
    for number in (1, 2, 3):
        ids = [10 * number + 1, 10 * number + 2]
        rows = pa.table(
            {"id": ids, "amount": [number, 150], POSITION: [f"page {number}, {n}" for n in (1, 2)]}
        )
        aside = unread(("page 2", "{oops", "no JSON")) if number == 2 else None
        cursor = Cursor(kind="scripted", sequence=(number,))
        found.append(Batch(rows=rows, cursor=cursor, unread=aside))
    return found


def ingest(place: Workplace) -> None:
    """Run the pipeline, or take up what an earlier child left."""
    _finish(place, 100, lambda pipeline: place.hall.run(pipeline, target="main"))


def replay(place: Workplace) -> None:
    """Replay what is in quarantine, or take up what an earlier child left."""
    choice = Choice(table="orders", where="amount = 150")

    def again(pipeline: Any) -> None:
        aside = place.rows("_quarantine.orders")
        if any("150" in str(row["payload"]) for row in aside):
            place.hall.replay(choice, target="main", pipeline=pipeline)

    _finish(place, 1000, again)


JOBS = {"ingest": ingest, "replay": replay}


def _finish(place: Workplace, most: int, begin: Callable[[Any], object]) -> None:
    pipeline = place.pipeline(SHOP.format(most=most), name="p")
    states = {RunState.RUNNING, RunState.PUBLISHING, RunState.FAILED}
    unfinished = [run for run in place.hall.open_runs() if run.state in states]
    for run in unfinished:
        place.hall.resume(run.id, pipeline)
    if not unfinished:
        begin(pipeline)


def _child(job: str, root: Path, last: int) -> None:
    passed = [0]

    def boundary(_: str = "") -> None:
        passed[0] += 1
        if passed[0] == last:
            os.kill(os.getpid(), signal.SIGKILL)

    place = Workplace(root)
    place.hall.wiring = replace(place.hall.wiring, parallel=1)
    place.sources["scripted"] = maker(orders(), boundary)
    metastore: Any = place.lake.metastore
    for name in WRITES:
        real = getattr(metastore, name)

        def between(*args: Any, _real: Any = real, **named: Any) -> Any:
            boundary()
            try:
                return _real(*args, **named)
            finally:
                boundary()

        setattr(metastore, name, between)
    JOBS[job](place)
    place.close()


def main() -> None:
    """Serve."""
    for line in sys.stdin:
        job, root, last = line.split()
        child = os.fork()
        if child == 0:
            try:
                _child(job, Path(root), int(last))
            except BaseException:  # noqa: BLE001 - told to who asked
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            print("killed", flush=True)
        else:
            print("done" if os.WEXITSTATUS(status) == 0 else "failed", flush=True)


if __name__ == "__main__":
    main()
