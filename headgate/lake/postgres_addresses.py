"""Where a PostgreSQL metastore is: a URL as libpq has it, with ``schema`` and ``patience`` of ours.

``postgresql://user@host:5432/database?schema=sales&patience=120``. What the URL leaves out comes
from PostgreSQL's own environment variables, service file and password file. Nothing that is shown
ever holds a password, a message of the parser neither: those repeat the URL.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import parse_qsl, quote, urlencode

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Conninfo

from headgate.errors import Invalid

DEFAULT_SCHEMA = "headgate"
DEFAULT_PATIENCE = timedelta(seconds=60)
_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,62}\Z")
_LONGEST_PATIENCE_S = 86_400
_OURS = frozenset({"schema", "patience"})
_DEFAULTS = {
    "application_name": "headgate",
    "client_encoding": "utf8",
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A server, a database in it, and the SQL schema there that is one lake's metastore.

    ``options`` is what libpq is given, the password with it. ``patience`` is how long a transaction
    waits for a server that went away.
    """

    host: str
    port: str
    database: str
    user: str
    schema: str
    patience: timedelta
    options: Mapping[str, str] = field(repr=False)

    def __str__(self) -> str:
        """Give the URL, without what nobody should see."""
        user = f"{self.user}@" if self.user else ""
        place = self.host if self.host.startswith("/") else f"{self.host}:{self.port}"
        schema = "" if self.schema == DEFAULT_SCHEMA else f"?schema={self.schema}"
        return f"postgresql://{user}{place}/{self.database}{schema}"

    @property
    def facts(self) -> Mapping[str, str]:
        """What errors say of it, for programs."""
        return {
            "host": self.host,
            "port": self.port,
            "database": self.database,
            "schema": self.schema,
        }


def is_postgres(text: str) -> bool:
    """Say whether a metastore's name is a URL of PostgreSQL."""
    return text.startswith(("postgresql://", "postgres://"))


def address_of(url: str) -> Address:
    """Read a URL.

    Raises:
        Invalid: ``bad-metastore-url``; the message does not repeat the URL.
    """
    base, _, query = url.partition("?")
    try:
        given = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
        theirs = [(name, value) for name, value in given if name not in _OURS]
        options = conninfo_to_dict(
            f"{base}?{urlencode(theirs, quote_via=quote)}" if theirs else base
        )
    except (ProgrammingError, ValueError):
        raise _bad("it is not written as PostgreSQL's URLs are") from None  # it repeats the URL
    ours = dict(given)
    schema = ours.get("schema", DEFAULT_SCHEMA)
    if not _SCHEMA.match(schema) or schema.startswith("pg_"):
        raise _bad("schema= takes lower-case letters, digits and _, not pg_ at its beginning")
    known = _known(options)
    if not all(port.isdecimal() for port in known["port"].split(",")):
        raise _bad("a port is a number")
    return Address(
        host=known["host"],
        port=known["port"],
        database=known["dbname"] or known["user"],
        user=known["user"],
        schema=schema,
        patience=_patience(ours.get("patience")),
        options={**_DEFAULTS, **{name: str(value) for name, value in options.items()}},
    )


def _patience(text: str | None) -> timedelta:
    if text is None:
        return DEFAULT_PATIENCE
    if not text.isdecimal() or int(text) > _LONGEST_PATIENCE_S:
        raise _bad("patience= takes whole seconds")
    return timedelta(seconds=int(text))


def _known(options: Mapping[str, object]) -> dict[str, str]:
    """Give what libpq would take for what the URL does not say: its environment, its defaults."""
    known = {
        option.keyword.decode(): option.val.decode()
        for option in Conninfo.get_defaults()
        if option.val is not None
    }
    known.update((name, str(value)) for name, value in options.items() if value is not None)
    return {
        "host": known.get("host") or known.get("hostaddr") or "localhost",
        "port": known.get("port", "5432"),
        "dbname": known.get("dbname", ""),
        "user": known.get("user", ""),
    }


def _bad(reason: str) -> Invalid:
    return Invalid(
        "bad-metastore-url",
        f"The metastore's URL cannot be read: {reason}.",
        hint="Write it as  postgresql://user@host:5432/database?schema=headgate",
    )
