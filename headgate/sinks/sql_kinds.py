"""SQL databases as kinds of sinks. The driver of each is loaded when a sink is made of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, cast

from headgate.errors import Unavailable
from headgate.sinks import sql_options

if TYPE_CHECKING:
    from headgate.sinks.sink import Setting, Sink

Options = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlKind:
    """A kind of sinks: called, it makes one. ``extra`` installs the driver, where none comes along.

    ``check`` reads a sink's options without the driver.
    """

    name: str
    check: Callable[[Options], object]
    extra: str | None = None

    def __call__(self, options: Options, setting: "Setting") -> "Sink":
        """Make a sink.

        Raises:
            Unavailable: ``library-missing``. Invalid: ``bad-option``.
        """
        try:
            found = import_module(f"headgate.sinks.{self.name}")
        except ImportError as error:
            raise Unavailable(
                "library-missing",
                f"The sink {setting.name} of kind {self.name} needs a library: {error}.",
                hint=f"pip install 'headgate[{self.extra}]'" if self.extra else None,
                library=str(error.name),
            ) from error
        make = cast("Callable[..., Sink]", getattr(found, f"{self.name}_sink"))
        return make(options, setting)


duckdb = SqlKind(name="duckdb", check=sql_options.duckdb_options)
mysql = SqlKind(name="mysql", check=sql_options.mysql_options, extra="mysql")
postgresql = SqlKind(name="postgresql", check=sql_options.postgresql_options, extra="postgres")
sqlalchemy = SqlKind(name="sqlalchemy", check=sql_options.sqlalchemy_options, extra="sqlalchemy")
sqlite = SqlKind(name="sqlite", check=sql_options.sqlite_options)
