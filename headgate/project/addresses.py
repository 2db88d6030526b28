"""What people write on a command line for where rows are: a path, a URL, a connection.

``data/*.csv``, ``s3://bucket/a.parquet``, ``https://host/rows.json``: files.
``postgresql://host/shop#public.orders``, ``mysql://...``, ``sqlite:///shop.db#orders``: a table.
``connection:shop#orders``: a table over a connection of the settings.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from headgate.errors import Invalid

_CONNECTION = "connection:"
_DATABASES: Mapping[str, str] = {
    "duckdb": "duckdb",
    "mariadb": "mysql",
    "mysql": "mysql",
    "postgres": "postgresql",
    "postgresql": "postgresql",
    "sqlite": "sqlite",
}
_PATHS = frozenset({"duckdb", "sqlite"})
"""Databases that are files."""

_ENDINGS: Mapping[str, str] = {
    ".db": "sqlite",
    ".ddb": "duckdb",
    ".duckdb": "duckdb",
    ".sqlite": "sqlite",
    ".sqlite3": "sqlite",
}
"""What a file is by its name's ending, where it is no file of rows but a database."""

_FORMATS: Mapping[str, str] = {
    ".csv": "csv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".xlsx": "excel",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """One side of a copy: a kind of source or sink with its options; ``table`` at a sink."""

    shown: str
    kind: str
    options: Mapping[str, object]
    table: str = ""
    directory: str | None = field(default=None)


def source_address(text: str, options: Mapping[str, object]) -> Address:
    """Read where rows come from.

    Raises:
        Invalid: ``address-without-table``, ``address-bare-database``, ``copy-from``.
    """
    place, _, table = text.partition("#")
    shown = _shown(text)
    if place.startswith(_CONNECTION):
        given = {"connection": place.removeprefix(_CONNECTION), **_relation(table)}
        return Address(shown=shown, kind="database", options={**given, **options})
    scheme = place.partition("://")[0] if "://" in place else ""
    if "+" in scheme or scheme in _DATABASES:
        if scheme == "duckdb":
            raise Invalid(
                "copy-from",
                f"Rows of {shown} cannot be copied: a DuckDB file is no source.",
                hint="Export the table to Parquet with DuckDB, and copy that.",
            )
        if not table and "query" not in options:
            raise _without_table(shown)
        given = {"url": place, **_relation(table)}
        return Address(shown=shown, kind="database", options={**given, **options})
    _refuse_bare_database(place, table, scheme)
    return Address(shown=shown, kind="files", options={"paths": (text,), **options})


def sink_address(
    text: str, options: Mapping[str, object], connections: Mapping[str, Mapping[str, object]]
) -> Address:
    """Read where rows go.

    Raises:
        Invalid: ``address-without-table``, ``address-bare-database``, ``copy-format``.
    """
    place, _, table = text.partition("#")
    shown = _shown(text)
    if place.startswith(_CONNECTION):
        name = place.removeprefix(_CONNECTION)
        url = str(connections.get(name, {}).get("url", "")).partition("://")[0]
        kind = _DATABASES.get(url, "sqlalchemy" if "+" in url else "postgresql")
        return _table(shown, kind, {"connection": name, **options}, table)
    scheme = place.partition("://")[0] if "://" in place else ""
    if scheme in _PATHS:
        path = place.removeprefix(f"{scheme}://")
        path = path[1:] if path.startswith("/") and not path.startswith("//") else path
        return _table(shown, scheme, {"path": path.replace("//", "/", 1), **options}, table)
    if "+" in scheme or scheme in _DATABASES:
        kind = _DATABASES.get(scheme, "sqlalchemy")
        return _table(shown, kind, {"url": place, **options}, table)
    if "format" not in options:
        _refuse_bare_database(place, table, scheme)
    return _file(text, shown, options)


def _file(text: str, shown: str, options: Mapping[str, object]) -> Address:
    head, _, rest = text.rpartition("://")
    path = PurePosixPath(rest)
    packed = path.suffix == ".gz"
    stem = path.with_suffix("") if packed else path
    form = options.get("format") or _FORMATS.get(stem.suffix.lower())
    if form is None:
        raise Invalid(
            "copy-format",
            f"The name of {shown} does not tell its format.",
            hint=f"End it with {', '.join(sorted(_FORMATS))}, or say --to format=csv.",
        )
    directory = str(path.parent)
    given: dict[str, object] = {
        "directory": f"{head}://{directory}" if head else directory,
        "format": form,
        **({"compression": "gzip"} if packed else {}),
    }
    return Address(shown=shown, kind="files", options={**given, **options}, table=stem.stem)


def _table(shown: str, kind: str, options: Mapping[str, object], table: str) -> Address:
    if not table:
        raise _without_table(shown)
    return Address(shown=shown, kind=kind, options=options, table=table)


def _relation(table: str) -> Mapping[str, object]:
    return {"relation": table} if table else {}


def _refuse_bare_database(place: str, table: str, scheme: str) -> None:
    """Refuse a database's file that is written like a file of rows, and say how it is written."""
    kind = None if scheme else _ENDINGS.get(PurePosixPath(place).suffix.lower())
    if kind is None:
        return
    called = {"duckdb": "DuckDB", "sqlite": "SQLite"}[kind]
    raise Invalid(
        "address-bare-database",
        f"{place} is a database of {called} by its name, not a file of rows.",
        hint=f'Write it like  "{kind}:///{place}#{table or "TABLE"}"',
        address=place,
    )


def _without_table(shown: str) -> Invalid:
    return Invalid(
        "address-without-table",
        f"{shown} names no table.",
        hint=f"Put it behind a #:  {shown}#public.orders",
    )


def _shown(text: str) -> str:
    """Give an address without what may be a password."""
    scheme, mark, rest = text.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{mark}{host.rpartition('@')[2]}{slash}{path}" if mark else text
