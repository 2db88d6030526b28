"""What holds for every test: properties are judged by what they find, never by the clock."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from headgate.testing.mariadb_servers import MariaServer
    from headgate.testing.object_servers import ObjectServer
    from headgate.testing.postgres_servers import Pooler, PostgresServer

# Where a change is judged, properties look where they looked before; at home they go on looking.
settings.register_profile(
    "unhurried",
    deadline=None,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[HealthCheck.too_slow],
)
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
        _lacks("PostgreSQL is not installed: apt-get install postgresql")
    with servers.PostgresServer() as server:
        yield server


@pytest.fixture(scope="session")
def logical_postgres() -> "Iterator[PostgresServer]":
    """A PostgreSQL server of this session's own, from whose log changes can be read."""
    servers = pytest.importorskip("headgate.testing.postgres_servers", exc_type=ImportError)
    if not servers.is_installed():
        _lacks("PostgreSQL is not installed: apt-get install postgresql")
    many = {"max_replication_slots": "200", "max_wal_senders": "50"}
    with servers.PostgresServer(wal_level="logical", **many) as server:
        yield server


@pytest.fixture(scope="session")
def mariadb() -> "Iterator[MariaServer]":
    """A MariaDB server of this session's own, with the modes of old: zero dates are let in."""
    servers = pytest.importorskip("headgate.testing.mariadb_servers", exc_type=ImportError)
    if not servers.is_installed():
        _lacks("MariaDB is not installed: apt-get install mariadb-server")
    with servers.MariaServer(sql_mode="") as server:
        yield server


@pytest.fixture(scope="session")
def poolers() -> "type[Pooler]":
    """What puts a pooler before a server."""
    servers = pytest.importorskip("headgate.testing.postgres_servers", exc_type=ImportError)
    if servers.find_program("pgbouncer") is None:
        _lacks("PgBouncer is not installed: apt-get install pgbouncer")
    found: type[Pooler] = servers.Pooler
    return found


def _lacks(what: str) -> None:
    """Skip a test that this machine cannot run; where everything must run, fail it."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture(scope="session", autouse=True)
def metastore(request: pytest.FixtureRequest) -> None:
    """Tell the tests' lakes, those of child processes, too, where ``--metastore`` wants theirs."""
    if request.config.getoption("--metastore") == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres")
        os.environ["TEST_METASTORE_SERVER"] = server.url("any").partition("?")[0]


@pytest.fixture(scope="session")
def object_server() -> "Iterator[ObjectServer]":
    """An S3 server of this session's own."""
    servers = pytest.importorskip("headgate.testing.object_servers", exc_type=ImportError)
    with servers.ObjectServer() as server:
        yield server


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what only a lake in a directory has where there is none."""
    away = config.getoption("--location") != "local"
    apart = away or config.getoption("--metastore") != "sqlite"
    for item in items:
        if away and item.get_closest_marker("on_disk"):
            item.add_marker(pytest.mark.skip(reason="of lakes in directories"))
        if apart and item.get_closest_marker("in_one_directory"):
            item.add_marker(pytest.mark.skip(reason="of lakes that a directory holds whole"))


@pytest.fixture(scope="session", autouse=True)
def location(request: pytest.FixtureRequest) -> None:
    """Tell the tests' lakes, those of child processes too, where ``--location`` puts files."""
    if request.config.getoption("--location") == "s3":
        server: ObjectServer = request.getfixturevalue("object_server")
        os.environ["TEST_OBJECT_ENDPOINT"] = server.endpoint
