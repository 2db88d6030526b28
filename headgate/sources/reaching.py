"""Reaching what an address names, without reading it: a server, a file, a bucket.

A web server is asked once for its address, a database ``select 1``, a bucket for its first object.
"""

from collections.abc import Mapping
from pathlib import Path
from random import SystemRandom
from typing import Final

from headgate.errors import Invalid, NotFound
from headgate.secrets import Secret
from headgate.sources.source import Setting

_WEB: Final = frozenset({"http", "https"})
_BUCKETS: Final = frozenset({"s3", "gs", "az"})
_OF_WEB: Final = ("auth", "headers", "hosts", "ca_file", "retry")
_OF_DATABASES: Final = ("user", "password")


def reach(address: str | Secret, options: Mapping[str, object], setting: Setting) -> str:
    """Reach an address with the credentials among some options; say in a line what answered.

    Raises:
        HeadgateError: it cannot be reached, or does not let us in, as reading it would say.
    """
    revealed = setting.reveal(address)
    scheme = revealed.partition("://")[0].lower() if "://" in revealed else ""
    if scheme in _WEB:
        return _reach_web(revealed, options, setting)
    if scheme in _BUCKETS:
        return _reach_bucket(revealed, options, setting)
    return _reach_database(address, options, setting)


def _reach_web(url: str, options: Mapping[str, object], setting: Setting) -> str:
    from headgate.sources.rest.asking import reached  # noqa: PLC0415 - loads httpx2
    from headgate.sources.rest.declaration import parsed  # noqa: PLC0415

    own = {name: options[name] for name in _OF_WEB if name in options}
    return reached(parsed({**own, "url": url}), setting, SystemRandom())


def _reach_bucket(url: str, options: Mapping[str, object], setting: Setting) -> str:
    from headgate.sources.places.buckets import BucketPlace  # noqa: PLC0415 - an extra

    return BucketPlace(url, options, setting).reached()


def _reach_database(address: str | Secret, options: Mapping[str, object], setting: Setting) -> str:
    from headgate.sources.databases.database import DatabaseSource  # noqa: PLC0415

    own = {name: options[name] for name in _OF_DATABASES if name in options}
    asked = {**own, "url": address, "query": "select 1 as reached"}
    source = DatabaseSource(asked, setting)
    rows = sum(batch.rows.num_rows for batch in source.read(None))
    return f"{source.shown} answers {rows} row"


def reach_file(path: str, setting: Setting) -> str:
    """Reach a file of a database that is filled here: it need not be there yet.

    Raises:
        NotFound: ``file-missing``: nor is the directory it would be in.
        HeadgateError: it is there, and no database that can be opened.
    """
    file = setting.root / path
    if not file.parent.is_dir():
        raise NotFound(
            "file-missing",
            f"There is no directory {file.parent} to make {file.name} in.",
            hint="Make it, or mend path.",
            path=str(file),
        )
    if not file.exists():
        return f"{path} is not there yet; the first delivery makes it"
    if _is_duckdb(file):
        return _reach_duckdb(path, file)
    return _reach_database(f"sqlite:///{file}", {}, setting)


def _is_duckdb(file: Path) -> bool:
    with file.open("rb") as stream:
        return stream.read(12)[8:] == b"DUCK"


def _reach_duckdb(path: str, file: Path) -> str:
    import duckdb  # noqa: PLC0415 - heavy

    try:
        with duckdb.connect(str(file), read_only=True) as connection:
            connection.execute("select 1").fetchall()
    except duckdb.Error as error:
        raise Invalid(
            "connection-not-opened",
            f"{path} cannot be opened: {str(error).splitlines()[0]}",
            hint="Close what has it open, or name another file.",
            path=str(file),
        ) from error
    return f"{path} answers 1 row"
