"""What holds for every test: properties are judged by what they find, never by the clock."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from headgate.testing.object_servers import ObjectServer
    from headgate.testing.postgres_servers import PostgresServer

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--metastore",
        choices=("sqlite", "postgres"),
        default="sqlite",
        help="where lakes that do not care keep their metastores",
    )
    parser.addoption(
        "--location",
        choices=("local", "s3"),
        default="local",
        help="where lakes that do not care keep their files",
    )


@pytest.fixture(scope="session")
def postgres() -> "Iterator[PostgresServer]":
    """A PostgreSQL server of this session's own."""
    servers = pytest.importorskip("headgate.testing.postgres_servers", exc_type=ImportError)
    if not servers.is_installed():
        missing = "PostgreSQL is not installed: apt-get install postgresql"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    with servers.PostgresServer() as server:
        yield server


@pytest.fixture
def metastore(request: pytest.FixtureRequest) -> str | None:
    """Where this test's lake keeps its metastore, as ``--metastore`` says; None: in its file."""
    if request.config.getoption("--metastore") == "sqlite":
        return None
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.url()


@pytest.fixture(scope="session")
def object_server() -> "Iterator[ObjectServer]":
    """An S3 server of this session's own."""
    servers = pytest.importorskip("headgate.testing.object_servers", exc_type=ImportError)
    with servers.ObjectServer() as server:
        yield server


@pytest.fixture
def object_endpoint(request: pytest.FixtureRequest) -> str | None:
    """The store that this test's lake keeps its files in, as ``--location`` says; None: a disk."""
    if request.config.getoption("--location") == "local":
        return None
    server: ObjectServer = request.getfixturevalue("object_server")
    return server.endpoint
