"""The outside: sources and sinks are made here, with their connection, and say no secrets.

What a source or sink raises is cleaned where it leaves it, and what a source says about its rows;
the rows are data, and stay.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias, cast

from headgate.access import Place, Revealer, SecretProvider
from headgate.errors import Refused
from headgate.project.connections import connected
from headgate.project.plugins import plugin
from headgate.project.settings import Settings
from headgate.redaction import Redaction
from headgate.secrets import Secret, plain_credentials, with_secrets
from headgate.source_columns import POSITION
from headgate.sources import (
    Batch,
    Cursor,
    Description,
    NativeRead,
    Setting,
    Source,
    reach,
    reach_file,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from headgate.sinks import Description as SinkDescription
    from headgate.sinks import Setting as SinkSetting
    from headgate.sinks import Sink

Options: TypeAlias = Mapping[str, object]

_ABOUT_UNREAD = ("_position", "_reason")


class Outside:
    """What a project meets outside: who knows its secrets, and its sources and sinks.

    ``redaction`` knows every value that was revealed here.
    """

    def __init__(self, settings: Settings, environment: Mapping[str, str]) -> None:
        self._settings = settings
        self._environment = environment
        self.redaction = Redaction()
        for credential in settings.credentials:
            self.redaction.remember(credential)
        self._reveal = Revealer(self._providers, self.redaction)

    def reveal(self, value: str | Secret) -> str:
        """Give the value of a secret, a plain text as it is.

        Raises:
            NotFound: ``unknown-secret``, ``unknown-plugin``. Invalid: ``secret-empty``.
            Unavailable, Refused, Invalid: what the providers raise.
        """
        return self._reveal(value)

    def knows(self, secret: Secret) -> bool:
        """Whether anybody knows a secret; it is not given."""
        return self._reveal.knows(secret)

    def options(self, declared: Options) -> Options:
        """Give declared options with their connection's under them and their secrets as such.

        Raises:
            NotFound: ``unknown-connection``. Invalid: ``bad-option``, ``bad-secret-name``.
        """
        found = cast(Options, with_secrets(connected(self._settings.connections, declared)))
        for credential in plain_credentials(found):
            self.redaction.remember(credential)
        return found

    def source(self, kind: str, options: Options, setting: Setting) -> Source:
        """Make a source of a kind, ours or a stranger's.

        Raises:
            NotFound: ``unknown-plugin``, ``unknown-connection``. Invalid: what its options break.
        """
        make = cast("Callable[..., Source]", plugin("headgate.sources", kind))
        with _cleaned(self.redaction):
            return _Source(make(self.options(options), setting), self.redaction)

    def sink(self, kind: str, options: Options, setting: "SinkSetting") -> "Sink":
        """Make a sink of a kind, ours or a stranger's.

        Raises:
            NotFound: ``unknown-plugin``, ``unknown-connection``. Invalid: what its options break.
        """
        make = cast("Callable[..., Sink]", plugin("headgate.sinks", kind))
        with _cleaned(self.redaction):
            made = _Sink(make(self.options(options), setting), self.redaction)
        return cast("Sink", made)

    def reach(self, address: str | Secret, options: Options, setting: Setting) -> str:
        """Reach an address with the credentials among options; say what answered, no secrets.

        Raises:
            HeadgateError: it cannot be reached, or does not let us in.
        """
        with _cleaned(self.redaction):
            return self.redaction.text(reach(address, options, setting))

    def reach_file(self, path: str, setting: Setting) -> str:
        """Reach the file of a database that is filled here.

        Raises:
            HeadgateError: it cannot be opened, or made.
        """
        with _cleaned(self.redaction):
            return reach_file(path, setting)

    def _providers(self) -> tuple[SecretProvider, ...]:
        place = Place(root=self._settings.root, environment=self._environment)
        return tuple(
            cast("Callable[..., SecretProvider]", plugin("headgate.secrets", kind))(
                self._settings.secret_options.get(kind, {}), place
            )
            for kind in self._settings.secret_providers
        )


@contextmanager
def _cleaned(redaction: Redaction) -> Iterator[None]:
    """Let an error out without the values of secrets."""
    try:
        yield
    except Exception as error:
        clean = redaction.error(error)
        if clean is error:
            raise
        raise clean from clean.__cause__


_ONLY_SOME = ("how_far", "reserved")
"""What only some sources can be asked."""


class _Source:
    """A source as the runs see it."""

    def __init__(self, source: Source, redaction: Redaction) -> None:
        self._source = source
        self._redaction = redaction
        self.kind = source.kind
        for name in _ONLY_SOME:  # of its own: protocols do not ask __getattr__ from Python 3.12 on
            if hasattr(source, name):
                setattr(self, name, _saying_nothing(getattr(source, name), redaction))

    def __getattr__(self, name: str) -> object:
        return _saying_nothing(getattr(self._source, name), self._redaction)

    def describe(self) -> Description:
        with _cleaned(self._redaction):
            found = self._source.describe()
        facts = {name: self._redaction.text(fact) for name, fact in found.facts.items()}
        return replace(found, title=self._redaction.text(found.title), facts=facts)

    def cursor(self, text: str) -> Cursor:
        with _cleaned(self._redaction):
            return self._source.cursor(text)

    def fingerprint(self) -> str | None:
        with _cleaned(self._redaction):
            return self._source.fingerprint()

    def read(self, cursor: Cursor | None) -> Iterator[Batch]:
        with _cleaned(self._redaction):
            for batch in self._source.read(cursor):
                self._refuse_secret(batch.cursor)
                yield self._told(batch)

    def native(self, cursor: Cursor | None) -> NativeRead | None:
        with _cleaned(self._redaction):
            found = self._source.native(cursor)
        if found is not None:
            self._refuse_secret(found.cursor)
        return found

    def acknowledge(self, cursor: Cursor) -> None:
        with _cleaned(self._redaction):
            self._source.acknowledge(cursor)

    def close(self) -> None:
        with _cleaned(self._redaction):
            self._source.close()

    def _refuse_secret(self, cursor: Cursor | None) -> None:
        if cursor is not None and self._redaction.screen is not None:
            text = cursor.text()
            if self._redaction.is_given_away(text):
                raise Refused(
                    "secret-in-cursor",
                    "The source's cursor holds a secret, which would be committed with it: "
                    f"{self._redaction.text(text)}",
                    hint="Send it in another way, like in a header instead of the address.",
                    source=self.kind,
                )

    def _told(self, batch: Batch) -> Batch:
        """Give a batch that says no secrets about its rows."""
        if self._redaction.screen is None:
            return batch
        rows = _clean_columns(batch.rows, (POSITION,), self._redaction)
        unread = batch.unread
        if unread is not None:
            unread = _clean_columns(unread, _ABOUT_UNREAD, self._redaction)
        if rows is batch.rows and unread is batch.unread:
            return batch
        return replace(batch, rows=rows, unread=unread)


def _clean_columns(table: "pa.Table", names: tuple[str, ...], redaction: Redaction) -> "pa.Table":
    import pyarrow as pa  # noqa: PLC0415 - who has a table has loaded it
    import pyarrow.compute as pc  # noqa: PLC0415

    for name in names:
        if name not in table.column_names:
            continue
        column = table.column(name)
        if pc.any(pc.match_substring_regex(column, redaction.screen)).as_py():
            texts = [text and redaction.text(text) for text in column.to_pylist()]
            number = table.column_names.index(name)
            table = table.set_column(number, name, pa.array(texts, column.type))
    return table


class _Sink:
    """A sink as deliveries see it."""

    def __init__(self, sink: "Sink", redaction: Redaction) -> None:
        self._sink = sink
        self._redaction = redaction

    def __getattr__(self, name: str) -> object:
        return _saying_nothing(getattr(self._sink, name), self._redaction)

    def describe(self) -> "SinkDescription":
        with _cleaned(self._redaction):
            found = self._sink.describe()
        facts = {name: self._redaction.text(fact) for name, fact in found.facts.items()}
        return replace(found, title=self._redaction.text(found.title), facts=facts)


def _saying_nothing(value: object, redaction: Redaction) -> object:
    """Give a method that raises its errors cleaned; any other value as it is."""
    if not callable(value):
        return value

    def call(*arguments: object, **named: object) -> object:
        with _cleaned(redaction):
            return value(*arguments, **named)

    return call
