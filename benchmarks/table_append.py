"""F2: append a 1,000-row table and commit it; with its syncs; at the 10th and the 10,000th commit.

Ours is what a step does with its rows: plan, write with DuckDB, collect, apply, commit to a branch.
The limit is PyIceberg's own ``append`` in its SQL catalog, with the same syncs.
"""

import gc
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog

from benchmarks.measuring import WORK, report
from headgate.clock import SystemClock
from headgate.engines import DuckDB
from headgate.lake import Append, Lake, Record, StepRecord, Write, sync, table_key
from headgate.names import RandomIds

ROWS = pa.table(
    {
        **{f"n{number}": pa.array(range(1_000)) for number in range(8)},
        "name": [f"name {number}" for number in range(1_000)],
        "share": pa.array([number / 7 for number in range(1_000)]),
    }
)
AT = (10, 10_000)
AROUND = 40
MUST = "<= 2x the limit, the same at both"


def main() -> None:
    directory = WORK / "table_append"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    theirs = _Theirs(directory)
    ours = _Ours(directory)
    first: dict[str, float] = {}
    limits = {
        case: _milliseconds(lambda syncs=syncs: theirs.append(syncs=syncs))
        for case, syncs in (("without syncs", False), ("with its syncs", True))
    }
    for commit in AT:
        while ours.commits < commit - AROUND // 2:
            ours.append(syncs=False)
        for case, syncs in (("without syncs", False), ("with its syncs", True)):
            wall = _milliseconds(lambda syncs=syncs: ours.append(syncs=syncs))
            first.setdefault(case, wall)
            report(
                "F2",
                f"append 1,000 rows {case}, at commit {commit:,}",
                unit="ms",
                ours=wall,
                limit=limits[case],
                must=MUST,
                reached=wall <= 2 * limits[case] and wall <= 1.5 * first[case],
            )
    ours.close()
    shutil.rmtree(directory)


def _milliseconds(work: Callable[[], float]) -> float:
    gc.collect()
    return median([work() for _ in range(AROUND)]) * 1_000


class _Ours:
    def __init__(self, directory: Path) -> None:
        self.lake = Lake.create(directory / "lake", clock=SystemClock(), ids=RandomIds())
        self.lake.create_branch("work", "main")
        self.engine = DuckDB()
        self.entry = None
        self.commits = 0

    def append(self, *, syncs: bool) -> float:
        """Give the seconds one append and its commit took."""
        began = time.perf_counter()
        tables = self.lake.tables
        plan = tables.plan_write(
            self.entry, ROWS.schema, table="t", mode="append", prefix="run-step-1"
        )
        session = self.engine.session()
        paths = session.write(ROWS, plan.target).paths
        session.close()
        operations = (*plan.operations, Append(files=tables.collect(paths, plan.columns)))
        entry = tables.apply(self.entry, operations, table="t")
        if syncs:
            sync(tables.new_paths(entry, self.entry), location=self.lake.location)
        head = self.lake.resolve("work")
        step = StepRecord(step="s", writes=(Write(key=table_key("t"), operations=operations),))
        record = Record(kind="transaction", at=self.lake.clock.now(), steps=(step,))
        self.lake.commit_to("work", self.lake.compose(head, {table_key("t"): entry}, record))
        wall = time.perf_counter() - began
        self.entry = entry
        self.commits += 1
        return wall

    def close(self) -> None:
        self.lake.close()


class _Theirs:
    def __init__(self, directory: Path) -> None:
        warehouse = directory / "warehouse"
        warehouse.mkdir()
        self.catalog = SqlCatalog(
            "limit", uri=f"sqlite:///{directory}/limit.db", warehouse=str(warehouse)
        )
        self.catalog.create_namespace("n")
        self.table = self.catalog.create_table("n.t", ROWS.schema)
        self.warehouse = warehouse
        self.known: set[Path] = set()

    def append(self, *, syncs: bool) -> float:
        """Give the seconds one append took; looking for its new files is not counted."""
        began = time.perf_counter()
        self.table.append(ROWS)
        wall = time.perf_counter() - began
        found = {path for path in self.warehouse.rglob("*") if path.is_file()}
        new, self.known = found - self.known, found
        if syncs:
            began = time.perf_counter()
            sync([str(path) for path in new], location=self.warehouse)
            wall += time.perf_counter() - began
        return wall


if __name__ == "__main__":
    main()
