"""Where a database is: a URL taken apart, so that what is shown never holds a password."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from headgate.errors import Invalid

POSTGRESQL, SQLITE, MYSQL, OTHER = "postgresql", "sqlite", "mysql", "sqlalchemy"

_FAMILIES = {
    "postgres": POSTGRESQL,
    "postgresql": POSTGRESQL,
    "sqlite": SQLITE,
    "mysql": MYSQL,
    "mariadb": MYSQL,
}
_FILES = (".db", ".db3", ".sqlite", ".sqlite3")
_HIDDEN = "***"
_SHORTEST_SECRET = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A database. ``shown`` is for people; ``secrets`` are texts that nobody may see.

    ``path`` is a SQLite file's. ``options`` are the URL's query. ``url`` is the whole, the password
    with it.
    """

    family: str
    shown: str
    url: str = field(repr=False)
    host: str = ""
    port: int | None = None
    user: str = ""
    password: str = field(default="", repr=False)
    database: str = ""
    path: Path | None = None
    options: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def hide(self, said: str) -> str:
        """Give what a driver said on one line, without secrets."""
        for secret in sorted(self.secrets, key=len, reverse=True):
            said = said.replace(secret, _HIDDEN)
        return " ".join(said.split()).rstrip(".")


def address_of(url: str, *, root: Path, user: str = "", password: str = "") -> Address:
    """Read a URL, or the path of a SQLite file; ``user`` and ``password`` win over the URL's.

    Raises:
        Invalid: ``bad-database-url``; the message does not repeat the URL.
    """
    if "://" not in url:
        return _file(url, root)
    scheme, _, rest = url.partition("://")
    family = _FAMILIES.get(scheme.lower(), OTHER)
    if family == SQLITE:
        return _file(unquote(rest.partition("?")[0].removeprefix("/")), root)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _bad("it is not written as URLs are, or its port is no number") from None
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    user = user or unquote(parts.username or "") or options.get("user", "")
    given = password or unquote(parts.password or "") or options.get("password", "")
    database = unquote(parts.path.removeprefix("/"))
    if family == MYSQL and not database:
        raise _bad("it names no database")
    host = unquote(parts.hostname or "") or options.get("host", "")
    return Address(
        family=family,
        shown=_shown(scheme, host, port, database),
        url=_with_login(url, user, given) if user or given else url,
        host=host,
        port=port,
        user=user,
        password=given,
        database=database,
        options={name: value for name, value in options.items() if name not in _LOGIN},
        secrets=_secrets(given, options),
    )


_LOGIN = frozenset({"user", "password", "host"})
_SECRET_OPTIONS = ("password", "token", "secret", "passwd", "sslpassword", "key")


def _secrets(password: str, options: Mapping[str, str]) -> tuple[str, ...]:
    named = [v for n, v in options.items() if n.lower().endswith(_SECRET_OPTIONS)]
    values = [value for value in (password, *named) if len(value) >= _SHORTEST_SECRET]
    return tuple(dict.fromkeys([*values, *(quote(value, safe="") for value in values)]))


def _with_login(url: str, user: str, password: str) -> str:
    scheme, _, rest = url.partition("://")
    place = rest.partition("/")[0].partition("?")[0]
    login = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
    return f"{scheme}://{login}@{place.rpartition('@')[2]}{rest[len(place) :]}"


def _shown(scheme: str, host: str, port: int | None, database: str) -> str:
    place = f"{host}:{port}" if port else host
    return f"{scheme}://{place}/{database}"


def _file(name: str, root: Path) -> Address:
    if not name or name == ":memory:":
        raise _bad("it names no file")
    if "://" in name or not (name.endswith(_FILES) or (root / name).suffix):
        raise _bad("it has no scheme, and no ending of a SQLite file")
    return Address(
        family=SQLITE, shown=name, url=f"sqlite:///{name}", database=name, path=root / name
    )


def _bad(reason: str) -> Invalid:
    return Invalid(
        "bad-database-url",
        f"The database's URL cannot be read: {reason}.",
        hint="Write postgresql://user@host:5432/database, mysql://user@host/database, "
        "sqlite:///data/shop.db, or another URL of SQLAlchemy.",
    )
