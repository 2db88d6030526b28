"""An engine that a suite looks at, and a desk on which it works: tables put there and read back."""

# ruff: noqa: D102 - for tests

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headgate.engines import Engine, Session, Sql, Written
from headgate.errors import HeadgateError
from headgate.filesets import Scan, ScanGroup, WriteTarget
from headgate.lake.local_storage import LocalStorage
from headgate.lake.storage import Storage

LARGE_ROWS = 700_000
"""So many rows are no small table to any engine."""


def numbered(schema: pa.Schema) -> pa.Schema:
    """Give the schema with field ids 1, 2, ... at the top."""
    return pa.schema(
        [
            field.with_metadata({b"PARQUET:field_id": str(number).encode()})
            for number, field in enumerate(schema, start=1)
        ]
    )


class Desk:
    """A session, a place to write into, and ways to put tables there."""

    def __init__(self, session: Session, storage: Storage) -> None:
        self.session = session
        self.storage = storage
        self.directory = storage.absolute("data")

    def target(
        self,
        schema: pa.Schema,
        *,
        partition_by: Mapping[str, str] | None = None,
        sort_by: tuple[str, ...] = (),
    ) -> WriteTarget:
        return WriteTarget(
            directory=self.directory,
            prefix="run-step-1",
            schema=schema,
            partition_by=partition_by or {},
            sort_by=sort_by,
            store=self.storage.store,
        )

    def scan(self, table: pa.Table) -> Scan:
        """Write a table as it lies in a lake, and scan it."""
        written = self.session.write(table, self.target(table.schema))
        return replace(scan_of(written, table.schema), store=self.storage.store)

    def rows(self, sql: str) -> list[dict[str, object]]:
        rows: list[dict[str, object]] = self.session.reader(Sql(text=sql)).read_all().to_pylist()
        return rows

    def files(self) -> list[str]:
        """Give all files that are there, as they are known outside."""
        return sorted(self.storage.absolute(file.path) for file in self.storage.list("data"))

    def name(self, path: str) -> str:
        """Give a file's path within the storage."""
        return path.removeprefix(self.storage.absolute(""))

    def table(self, path: str) -> pa.Table:
        """Read one file."""
        with self.storage.open(self.name(path)) as file:
            return pq.ParquetFile(file).read()

    def footer(self, path: str) -> pq.FileMetaData:
        """Read one file's footer."""
        with self.storage.open(self.name(path)) as file:
            return pq.read_metadata(file)

    def content(self, written: Written) -> list[dict[str, object]]:
        """Read the rows of the accepted files."""
        return [row for path in written.paths for row in self.table(path).to_pylist()]

    def put(self, name: str, table: pa.Table) -> str:
        """Put a file of somebody else's there; give its path."""
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink)
        self.storage.put(f"data/{name}", sink.getvalue().to_pybytes())
        return self.storage.absolute(f"data/{name}")


def scan_of(written: Written, schema: pa.Schema) -> Scan:
    """Scan what was written under exactly that schema."""
    group = ScanGroup(paths=written.paths, columns={}, exact=True)
    return Scan(
        schema=schema,
        groups=(group,) if written.paths else (),
        rows=written.rows,
        size_bytes=0,
    )


def code(work: Callable[[], object]) -> str:
    """Give the code of the error that work raises."""
    with pytest.raises(HeadgateError) as caught:
        work()
    return caught.value.code


class EngineUnderTest(ABC):
    """An engine. ``make`` gives a new one that may use a directory."""

    @abstractmethod
    def make(self, directory: Path) -> Engine: ...

    def storage(self, directory: Path) -> Storage:
        """Give where tables are written; a directory unless a subclass knows another place."""
        (directory / "data").mkdir()
        return LocalStorage(directory)

    @pytest.fixture
    def engine(self, tmp_path: Path) -> Engine:
        return self.make(tmp_path / "scratch")

    @pytest.fixture
    def desk(self, engine: Engine, tmp_path: Path) -> Iterator[Desk]:
        with closing(engine.session()) as session:
            yield Desk(session, self.storage(tmp_path))
