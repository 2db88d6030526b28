"""The options of sinks in SQL databases, read without their drivers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from headgate.secrets import Secret
from headgate.sinks.refusals import bad_option
from headgate.sinks.sink_options import SinkOptions

DELIVERIES: Final = "headgate_deliveries"
"""The table over there that says which commit each sink has."""

Options = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileOptions:
    """Options of a database that is a file."""

    path: str
    deliveries: str = DELIVERIES


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """Options of a database that a server has; ``parts`` are of the address, as drivers say it."""

    url: str | Secret | None = None
    password: str | Secret | None = None
    parts: Mapping[str, object] = field(default_factory=dict)
    schema: str | None = None
    deliveries: str = DELIVERIES


def sqlite_options(options: Options) -> FileOptions:
    """Read ``path``; ``deliveries``, the table's name.

    Raises:
        Invalid: ``bad-option``.
    """
    return _file_options("sqlite", options)


def duckdb_options(options: Options) -> FileOptions:
    """Read ``path``; ``deliveries``, the table's name.

    Raises:
        Invalid: ``bad-option``.
    """
    return _file_options("duckdb", options)


def postgresql_options(options: Options) -> ServerOptions:
    """Read ``url``, or ``host``, ``port``, ``database``, ``user``, ``password``, ``sslmode``.

    ``schema`` is where tables without one are, ``deliveries`` the table that remembers.

    Raises:
        Invalid: ``bad-option``.
    """
    given = SinkOptions("postgresql", options)
    url, password = given.secret("url"), given.secret("password")
    port = given.number("port")
    parts = {
        "host": given.text("host"),
        "port": None if port is None else str(port),
        "dbname": given.text("database"),
        "user": given.text("user"),
        "sslmode": given.text("sslmode"),
        "sslrootcert": given.text("sslrootcert"),
    }
    schema, deliveries = given.text("schema"), _deliveries(given)
    given.finish()
    if url is None and parts["host"] is None and parts["dbname"] is None:
        raise given.required("url", "host")
    return ServerOptions(
        url=url, password=password, parts=_said(parts), schema=schema, deliveries=deliveries
    )


def mysql_options(options: Options) -> ServerOptions:
    """Read ``url``, or ``host``, ``port``, ``database``, ``user``, ``password``, ``ssl_ca``.

    ``deliveries`` is the table that remembers.

    Raises:
        Invalid: ``bad-option``.
    """
    given = SinkOptions("mysql", options)
    url, password = given.secret("url"), given.secret("password")
    parts = {
        "host": given.text("host"),
        "port": given.number("port"),
        "database": given.text("database"),
        "user": given.text("user"),
        "ssl_ca": given.text("ssl_ca"),
    }
    deliveries = _deliveries(given)
    given.finish()
    if url is None and parts["database"] is None:
        raise given.required("url", "database")
    return ServerOptions(url=url, password=password, parts=_said(parts), deliveries=deliveries)


def sqlalchemy_options(options: Options) -> ServerOptions:
    """Read ``url``; ``password``, where it is not in the URL; ``deliveries``.

    Raises:
        Invalid: ``bad-option``.
    """
    given = SinkOptions("sqlalchemy", options)
    url, password, deliveries = given.secret("url"), given.secret("password"), _deliveries(given)
    given.finish()
    if url is None:
        raise given.required("url")
    return ServerOptions(url=url, password=password, deliveries=deliveries)


def _file_options(kind: str, options: Options) -> FileOptions:
    given = SinkOptions(kind, options)
    path, deliveries = given.text("path"), _deliveries(given)
    given.finish()
    if path is None:
        raise given.required("path")
    return FileOptions(path=path, deliveries=deliveries)


def _deliveries(given: SinkOptions) -> str:
    name = given.text("deliveries") or DELIVERIES
    if "%" in name:  # the mark of bound values, for some drivers
        raise bad_option("deliveries", f"{name!r} has a % in it")
    return name


def _said(parts: Mapping[str, object]) -> Mapping[str, object]:
    return {name: value for name, value in parts.items() if value is not None}
