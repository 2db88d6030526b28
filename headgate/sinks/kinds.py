"""The kinds of sinks that ship. What it takes to make one of a kind is loaded when one is made."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, cast

from headgate.errors import Unavailable
from headgate.sinks import sql_options
from headgate.sinks.webhook_options import webhook_options

if TYPE_CHECKING:
    from headgate.sinks.sink import Setting, Sink

Options = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of sinks: called, it makes one. ``check`` reads a sink's options without its driver.

    ``makes`` is where the maker is, ``extra`` what installs the driver, where none comes along.
    """

    name: str
    check: Callable[[Options], object]
    makes: str
    extra: str | None = None

    def __call__(self, options: Options, setting: "Setting") -> "Sink":
        """Make a sink.

        Raises:
            Unavailable: ``library-missing``. Invalid: ``bad-option``.
        """
        module, _, attribute = self.makes.partition(":")
        try:
            found = import_module(f"headgate.sinks.{module}")
        except ImportError as error:
            raise Unavailable(
                "library-missing",
                f"The sink {setting.name} of kind {self.name} needs a library: {error}.",
                hint=f"pip install 'headgate[{self.extra}]'" if self.extra else None,
                library=str(error.name),
            ) from error
        return cast("Callable[..., Sink]", getattr(found, attribute))(options, setting)


duckdb = Kind(name="duckdb", check=sql_options.duckdb_options, makes="duckdb:duckdb_sink")
mysql = Kind(name="mysql", check=sql_options.mysql_options, makes="mysql:mysql_sink", extra="mysql")
postgresql = Kind(
    name="postgresql",
    check=sql_options.postgresql_options,
    makes="postgresql:postgresql_sink",
    extra="postgres",
)
sqlalchemy = Kind(
    name="sqlalchemy",
    check=sql_options.sqlalchemy_options,
    makes="sqlalchemy:sqlalchemy_sink",
    extra="sqlalchemy",
)
sqlite = Kind(name="sqlite", check=sql_options.sqlite_options, makes="sqlite:sqlite_sink")
webhook = Kind(name="webhook", check=webhook_options, makes="webhook:WebhookSink")
