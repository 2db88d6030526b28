"""DuckDB does what an engine must do, and what only it can."""

import uuid
from pathlib import Path

import pytest

from headgate.engines import DuckDB, Engine, Sql
from headgate.errors import Invalid, Unavailable
from headgate.lake import ObjectStorage, Storage
from headgate.testing.engine_suite import EngineSuite


class TestDuckDB(EngineSuite):
    @pytest.fixture(autouse=True)
    def _closed(self):
        self.made: list[DuckDB] = []
        yield
        for engine in self.made:
            engine.close()

    def make(self, directory: Path) -> Engine:
        engine = DuckDB(threads=2, memory_limit="512MB", temp_directory=directory)
        self.made.append(engine)
        return engine


class TestDuckDBOnAnObjectStore(TestDuckDB):
    """The same; raw files are sources, which are read from disks."""

    @pytest.fixture(autouse=True)
    def _served(self, object_server) -> None:
        self.server = object_server

    def storage(self, directory: Path) -> Storage:
        return ObjectStorage(self.server.bucket(f"engines/{uuid.uuid4()}"))

    test_parquet_from_elsewhere_is_read = None


def test_no_extension_is_ever_loaded_or_fetched(session):
    settings = session.scalars(
        "select current_setting('autoinstall_known_extensions') as install, "
        "current_setting('autoload_known_extensions') as load"
    )
    assert settings == {"install": False, "load": False}
    with pytest.raises(Invalid):
        session.reader(Sql(text="select * from read_csv('https://example.org/x.csv')")).read_all()


def test_instants_are_read_in_utc(session):
    found = session.scalars("select timestamptz '2026-01-01 00:00:00+02' ::varchar as t")
    assert found == {"t": "2025-12-31 22:00:00+00"}


def test_a_step_that_needs_more_memory_than_there_is_says_so(tmp_path):
    engine = DuckDB(threads=1, memory_limit="10MB", temp_directory=tmp_path / "spill")
    with engine:
        session = engine.session()
        with pytest.raises(Unavailable, match="memory"):
            session.reader(Sql(text="select list(i) as l from range(20_000_000) t(i)")).read_all()
        session.close()
