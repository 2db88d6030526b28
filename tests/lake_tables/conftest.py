"""A lake in a temporary directory, and real Parquet files written under its write targets."""

import os
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headgate.clock import ManualClock
from headgate.engines import DuckDB, Sql
from headgate.engines.polars import lazy_frame
from headgate.lake import Append, Entry, Replace, Tables, WritePlan
from headgate.names import RandomIds
from headgate.testing.object_places import open_or_create


class Workbench:
    """Writes and reads tables the way runs do, without runs."""

    def __init__(self, location: Path) -> None:
        self.lake = open_or_create(
            location,
            clock=ManualClock(),
            ids=RandomIds(),
            endpoint=os.environ.get("TEST_OBJECT_ENDPOINT"),
            server=os.environ.get("TEST_METASTORE_SERVER"),
        )

    @property
    def tables(self) -> Tables:
        return self.lake.tables

    def file(self, plan: WritePlan, rows: pa.Table) -> str:
        """Write one Parquet file under a plan."""
        arrays = [rows[field.name].cast(field.type) for field in plan.target.schema]
        path = f"{plan.target.directory}/{plan.target.prefix}-{uuid.uuid4()}.parquet"
        table = pa.table(arrays, schema=plan.target.schema)
        if (store := plan.target.store) is None:
            pq.write_table(table, path)
        else:
            sink = pa.BufferOutputStream()
            pq.write_table(table, sink)
            store.create(path.removeprefix(f"{store.url}/"), sink.getvalue().to_pybytes())
        return path

    def write(
        self, before: Entry | None, rows: pa.Table, mode: str = "append", **options: Any
    ) -> Entry:
        plan = self.tables.plan_write(
            before, rows.schema, table="t", mode=mode, prefix="p", **options
        )
        files = self.tables.collect([self.file(plan, rows)], plan.columns)
        data = (
            Replace(files=files, schema=plan.columns) if mode == "replace" else Append(files=files)
        )
        return self.tables.apply(before, (*plan.operations, data), table="t")

    def by_duckdb(self, entry: Entry, columns: Sequence[str] | None = None) -> pa.Table:
        session = DuckDB().session()
        try:
            session.bind({"t": self.tables.scan(entry, columns=columns)})
            return session.reader(Sql(text="select * from t")).read_all()
        finally:
            session.close()

    def by_polars(self, entry: Entry) -> pa.Table:
        return lazy_frame(self.tables.scan(entry)).collect().to_arrow()

    def by_pyiceberg(self, entry: Entry) -> pa.Table:
        return self.tables.iceberg("t", entry).scan().to_arrow()

    def readings(self, entry: Entry) -> dict[str, list[dict[str, Any]]]:
        """Give the table's rows as each reader sees them, sorted."""
        return {
            "duckdb": in_order(self.by_duckdb(entry)),
            "polars": in_order(self.by_polars(entry)),
            "pyiceberg": in_order(self.by_pyiceberg(entry)),
        }


def in_order(rows: pa.Table) -> list[dict[str, Any]]:
    return sorted(rows.to_pylist(maps_as_pydicts="strict"), key=repr)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Workbench]:
    workbench = Workbench(tmp_path / "lake")
    yield workbench
    workbench.lake.close()


@pytest.fixture
def new_bench(tmp_path: Path) -> Iterator[Any]:
    """Makes workbenches, each in a lake of its own (for properties, which try many)."""
    made: list[Workbench] = []

    def make() -> Workbench:
        made.append(Workbench(tmp_path / f"lake-{len(made)}"))
        return made[-1]

    yield make
    for workbench in made:
        workbench.lake.close()
