"""SQL databases as kinds of sinks. The driver of each is loaded when a sink is made of it."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, cast

from headgate.errors import Unavailable

if TYPE_CHECKING:
    from headgate.sinks.sink import Setting, Sink

Options = Mapping[str, object]


def postgresql(options: Options, setting: "Setting") -> "Sink":
    """Make a sink in PostgreSQL.

    Raises:
        Unavailable: ``library-missing``. Invalid: ``bad-option``.
    """
    return _made("postgresql", "postgresql_sink", "postgres", options, setting)


def mysql(options: Options, setting: "Setting") -> "Sink":
    """Make a sink in MySQL or MariaDB.

    Raises:
        Unavailable: ``library-missing``. Invalid: ``bad-option``.
    """
    return _made("mysql", "mysql_sink", "mysql", options, setting)


def sqlalchemy(options: Options, setting: "Setting") -> "Sink":
    """Make a sink in any database that SQLAlchemy knows.

    Raises:
        Unavailable: ``library-missing``. Invalid: ``bad-option``.
    """
    return _made("sqlalchemy", "sqlalchemy_sink", "sqlalchemy", options, setting)


def sqlite(options: Options, setting: "Setting") -> "Sink":
    """Make a sink in a file of SQLite.

    Raises:
        Invalid: ``bad-option``.
    """
    return _made("sqlite", "sqlite_sink", "", options, setting)


def duckdb(options: Options, setting: "Setting") -> "Sink":
    """Make a sink in a file of DuckDB.

    Raises:
        Invalid: ``bad-option``.
    """
    return _made("duckdb", "duckdb_sink", "", options, setting)


def _made(module: str, name: str, extra: str, options: Options, setting: "Setting") -> "Sink":
    try:
        found = import_module(f"headgate.sinks.{module}")
    except ImportError as error:
        raise Unavailable(
            "library-missing",
            f"The sink {setting.name} of kind {module} needs a library: {error}.",
            hint=f"pip install 'headgate[{extra}]'",
            library=str(error.name),
        ) from error
    return cast("Callable[..., Sink]", getattr(found, name))(options, setting)
