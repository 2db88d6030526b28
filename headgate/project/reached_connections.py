"""Connections are tried: each is reached once, as those who use it would, and nothing is read."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode

from headgate.errors import HeadgateError, Invalid
from headgate.project.connections import OPTION, named_connection
from headgate.project.opened import Opened
from headgate.secrets import Secret
from headgate.sources import Setting

Options = Mapping[str, object]

_SERVERS: Final = ("postgresql", "mysql")
_FILES: Final = ("sqlite", "duckdb")
_REMOTE: Final = ("http://", "https://", "s3://", "gs://", "az://")
_OF_SERVERS: Final = ("sslmode", "sslrootcert", "ssl_ca")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """What became of trying a connection: ``answer`` says what is there, or ``error`` why not.

    Both are None where a connection names no address, and nobody who uses it does.
    """

    name: str
    answer: str | None = None
    error: HeadgateError | None = None


def reached_connections(opened: Opened, names: Sequence[str] = ()) -> Iterator[Reached]:
    """Try connections of the settings one after the other; all where none is named.

    A web server is asked once for its address with the credentials, a database ``select 1``, a
    bucket for its first object.

    Raises:
        NotFound: ``unknown-connection``.
    """
    connections = opened.settings.connections
    for name in names:
        named_connection(connections, name)
    for name in names or connections:
        try:
            yield Reached(name=name, answer=_reached(opened, name))
        except HeadgateError as error:
            yield Reached(name=name, error=error)


def _reached(opened: Opened, name: str) -> str | None:
    setting = Setting(
        root=opened.settings.root,
        cache=opened.settings.cache / "sources",
        clock=opened.clock,
        reveal=opened.outside.reveal,
    )
    for kind, declared in _uses(opened, name):
        options = opened.outside.options(declared)
        if kind in _FILES and isinstance(options.get("path"), str):
            return opened.outside.reach_file(str(options["path"]), setting)
        address = _address(kind, options)
        if address is not None:
            mine = {} if kind == "webhook" else options  # who posts is not asked who he is
            return opened.outside.reach(address, mine, setting)
    return None


def _uses(opened: Opened, name: str) -> Iterator[tuple[str | None, Options]]:
    """Give with which options, of which kind, a connection is used; at last by itself."""
    declared = opened.discovery.declared
    for step in declared.steps:
        if step.source is not None and step.source.options.get(OPTION) == name:
            yield step.source.kind, step.source.options
    for sink in declared.sinks:
        if sink.options.get(OPTION) == name:
            yield sink.kind, sink.options
    yield None, {OPTION: name}


def _address(kind: str | None, options: Options) -> str | Secret | None:
    """Give the first address that options name."""
    url = options.get("url")
    if isinstance(url, str | Secret):
        return url
    if kind in _SERVERS and options.get("host"):
        return _server(str(kind), options)
    for option in ("urls", "paths", "directory", "endpoint"):
        value = options.get(option)
        for each in value if isinstance(value, list | tuple) else (value,):
            if isinstance(each, str) and each.startswith(_REMOTE):
                return each
    if options.get("host"):
        raise Invalid(
            "connection-kind-unknown",
            "Nothing says what kind of server it is: no step and no sink uses the connection.",
            hint='Write it as url = "postgresql://host/database", or use it.',
        )
    return None


def _server(kind: str, options: Options) -> str:
    port = f":{options['port']}" if "port" in options else ""
    query = urlencode({name: str(options[name]) for name in _OF_SERVERS if name in options})
    host, database = quote(str(options["host"])), quote(str(options.get("database", "")))
    return f"{kind}://{host}{port}/{database}{'?' if query else ''}{query}"
