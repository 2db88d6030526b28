"""The address of a database server: of a URL, of options, or of both; what of it may be said."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from headgate.errors import Invalid
from headgate.secrets import Secret
from headgate.sinks.sink import Description
from headgate.sinks.sql_options import ServerOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerAddress:
    """Where a server is, and who asks it in.

    ``parse`` reads a URL into the driver's words, and raises ``Invalid``; ``database`` is the
    driver's word for the database.
    """

    called: str
    options: ServerOptions
    parse: Callable[[str], Mapping[str, Any]]
    reveal: Callable[[str | Secret], str]
    database: str = "database"

    def __str__(self) -> str:
        shown = self.shown()
        if not shown.keys() & {"host", self.database}:
            return self.called
        port = f":{shown['port']}" if "port" in shown else ""
        return (
            f"{self.called} {shown.get('host', 'localhost')}{port}/{shown.get(self.database, '')}"
        )

    def revealed(self) -> dict[str, Any]:
        """Give all of it in the driver's words, secrets revealed.

        Raises:
            Invalid: ``bad-option``: the URL cannot be read. And what revealing raises.
        """
        url, password = self.options.url, self.options.password
        parts = {} if url is None else dict(self.parse(self.reveal(url)))
        parts.update(self.options.parts)
        if password is not None:
            parts["password"] = self.reveal(password)
        return parts

    def shown(self) -> Mapping[str, str]:
        """Give what may be said: nothing of a URL that is a secret."""
        parts = dict(self.options.parts)
        if isinstance(self.options.url, str):
            with suppress(Invalid):
                parts = {**self.parse(self.options.url), **parts}
        said = ("host", "port", self.database, "user")
        shown = {name: str(parts[name]) for name in said if name in parts}
        if self.options.schema is not None:
            shown["schema"] = self.options.schema
        return shown

    def described(self, kind: str) -> Description:
        """Give it for people, without what nobody should see."""
        return Description(kind=kind, title=str(self), facts=self.shown())
