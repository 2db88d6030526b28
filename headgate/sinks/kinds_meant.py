"""What somebody means who writes a format, a place or a product where a kind of sinks is wanted."""

from collections.abc import Iterable, Mapping

from headgate.names import suggestion

_FILES = 'hg.sink("files", directory="out", format="{}", tables=[...])'
_BUCKET = 'hg.sink("files", directory="{}://BUCKET/PREFIX", tables=[...])'
_ALCHEMY = 'hg.sink("sqlalchemy", url="{}://...", tables=[...])'
_SERVER = 'hg.sink("{}", url="{}://...", tables=[...])'
_PATH = 'hg.sink("{}", path="...", tables=[...])'
_HOOK = 'hg.sink("webhook", url="https://...", tables=[...])'

_CALLS: Mapping[str, str] = {
    **{name: _FILES.format(name) for name in ("csv", "excel", "json", "jsonl", "parquet")},
    "ndjson": _FILES.format("jsonl"),
    "xlsx": _FILES.format("excel"),
    **{name: _BUCKET.format(name) for name in ("az", "gs", "s3")},
    "azure": _BUCKET.format("az"),
    "gcs": _BUCKET.format("gs"),
    **dict.fromkeys(("api", "http", "https", "rest", "url"), _HOOK),
    **{name: _SERVER.format("postgresql", name) for name in ("postgres", "postgresql")},
    "mariadb": _SERVER.format("mysql", "mysql"),
    "mysql": _SERVER.format("mysql", "mysql"),
    "pg": _SERVER.format("postgresql", "postgresql"),
    **{name: _PATH.format(name) for name in ("duckdb", "sqlite")},
    "db": _PATH.format("sqlite"),
    "sqlite3": _PATH.format("sqlite"),
    **{name: _ALCHEMY.format(name) for name in ("bigquery", "mssql", "oracle", "snowflake")},
    "redshift": _ALCHEMY.format("redshift+psycopg2"),
    "sqlserver": _ALCHEMY.format("mssql"),
}


def kind_hint(kind: str, known: Iterable[str]) -> str:
    """Say which call or kind is meant by a kind that there is not: a format, an address, a path."""
    scheme, mark, _ = kind.partition("://")
    word = scheme.partition("+")[0] if mark else kind.rpartition(".")[2]
    if call := _CALLS.get(word.lower()):
        return f"Write it like  {call}"
    meant = suggestion(kind, known)
    return f"Did you mean {meant}?" if meant else "Install the package that provides it."
