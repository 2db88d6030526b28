"""An engine for the room's tests, and where they write."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from headgate.engines import DuckDB
from headgate.engines.duckdb import DuckDBSession


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDB]:
    with DuckDB(threads=2, temp_directory=tmp_path_factory.mktemp("spill")) as engine:
        yield engine


@pytest.fixture
def session(engine: DuckDB) -> Iterator[DuckDBSession]:
    session = engine.session()
    yield session
    session.close()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    directory = tmp_path / "data"
    directory.mkdir()
    return directory
