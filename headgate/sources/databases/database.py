"""A table, view or query of a database as a source: all of it, or what is new by a cursor column.

The database's own ways are those of a ``Reading`` (``postgresql.py``, ``sqlite.py``, ``mysql.py``,
``any_database.py``); what is the same for all is here.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from functools import cached_property
from importlib import import_module
from random import Random
from typing import TYPE_CHECKING, Final

from headgate.errors import Invalid, Refused, Unavailable
from headgate.retrying import Retry, retrying
from headgate.secrets import Secret
from headgate.sources.cursor_words import plain
from headgate.sources.cursors import Cursor
from headgate.sources.databases.addresses import (
    MYSQL,
    OTHER,
    POSTGRESQL,
    SQLITE,
    Address,
    address_of,
)
from headgate.sources.databases.selections import AGAIN, LEAVE, Selection, selection_of
from headgate.sources.source import Batch, Description, Setting

if TYPE_CHECKING:
    import pyarrow as pa

    from headgate.sources.databases.boundary import Boundary, Frontier
    from headgate.sources.databases.layouts import Growing, Layout, Reading

KIND: Final = "database"
_READERS: Final = {
    POSTGRESQL: ("postgresql", "psycopg and adbc-driver-postgresql", "postgres"),
    SQLITE: ("sqlite", "", ""),
    MYSQL: ("mysql", "PyMySQL", "mysql"),
    OTHER: ("any_database", "SQLAlchemy", "sqlalchemy"),
}
_CONNECTING: Final = Retry(attempts=4, first=timedelta(seconds=0.25), longest=timedelta(seconds=5))


class DatabaseSource:
    """Rows of a database.

    Options: ``url`` (text or secret; the path of a SQLite file is one), ``user``, ``password``,
    and those of ``headgate/sources/databases/selections.py``.

    Raises:
        Invalid: ``unknown-option``, ``bad-option``, ``database-without-relation``,
        ``database-without-url``; ``append-without-cursor``, ``cursor-needs-upsert``.
    """

    kind = KIND

    def __init__(self, options: Mapping[str, object], setting: Setting) -> None:
        self._selection = selection_of(options)
        self._setting = setting
        self._url = _secret_or_text(options, "url")
        self._user = _secret_or_text(options, "user")
        self._password = _secret_or_text(options, "password")
        if not self._url:
            raise Invalid(
                "database-without-url",
                f"Nothing says in which database {self._selection.shown} is.",
                hint='Write hg.database("postgresql://user@host/database", "orders"), '
                'or connection="name".',
            )
        if isinstance(self._url, str):
            address_of(self._url, root=setting.root)
        _refuse_doubling(self._selection, setting)

    def describe(self) -> Description:
        """Say what is read, and where. No I/O; no secrets."""
        selection = self._selection
        hidden = isinstance(self._url, Secret)
        place = repr(self._url) if hidden else self._address.shown
        facts = {"cursor": selection.cursor, "query": selection.query, "lag": selection.lag}
        return Description(
            kind=self.kind,
            title=f"{selection.shown} of {place}",
            facts={name: str(value) for name, value in facts.items() if value},
        )

    @property
    def shown(self) -> str:
        """The database as messages say it, without secrets. Reveals where it is."""
        return self._address.shown

    def cursor(self, text: str) -> Cursor:
        """Read a stored cursor."""
        return Cursor.parse(text, kind=self.kind)

    def how_far(self, cursor: Cursor) -> str:
        """Say up to which value of the column rows were read."""
        column, value, *_ = cursor.sequence or ("", "")
        return f"{column} up to {plain(value)}"

    def fingerprint(self) -> str | None:
        """Give the digest of a SQLite file; no other database can tell."""
        if isinstance(self._url, Secret) or self._address.family != SQLITE:
            return None
        from headgate.sources.databases import sqlite  # noqa: PLC0415 - loads pyarrow

        return sqlite.fingerprint(self._address, self._setting)

    def read(self, cursor: Cursor | None) -> Iterator[Batch]:
        """Give the rows; those after the cursor, in the cursor column's order, if there is one.

        Raises:
            Refused: ``database-login``, ``database-forbidden``, ``database-empty-cursor``,
            ``database-crowded-cursor``, ``cursor-of-another-column``,
            ``cursor-of-another-relation``, ``query-writes``.
            NotFound: ``no-database``, ``database-relation-missing``, ``database-column-missing``.
            Invalid: ``database-type-unsupported``, ``database-value-unsupported``.
            Unavailable: ``database-unreachable``, ``library-missing``.
        """
        with closing(self._reading()) as reading:
            layout = reading.layout(self._selection, going_on=bool(self._selection.cursor))
            if layout.growing is None:
                yield from self._whole(reading, layout)
            else:
                yield from self._grown(reading, layout, layout.growing, cursor)

    def native(self, cursor: Cursor | None) -> None:
        """Give no files."""

    def acknowledge(self, cursor: Cursor) -> None:
        """Do nothing: nothing is reserved."""

    def close(self) -> None:
        """Do nothing: a connection lives as long as one read."""

    # -- reading

    def _whole(self, reading: "Reading", layout: "Layout") -> Iterator[Batch]:
        from headgate.sources.databases.layouts import Part  # noqa: PLC0415 - loads pyarrow

        empty = True
        for table in reading.tables(layout, Part()):
            if table.num_rows:
                empty = False
                yield Batch(rows=table, cursor=None, same_columns=True)
        if empty:
            yield _without_rows(layout, None)

    def _grown(
        self, reading: "Reading", layout: "Layout", growing: "Growing", cursor: Cursor | None
    ) -> Iterator[Batch]:
        from headgate.sources.databases.boundary import Boundary  # noqa: PLC0415 - loads pyarrow
        from headgate.sources.databases.layouts import Part  # noqa: PLC0415

        boundary = None
        if cursor is not None:
            boundary = Boundary.of_cursor(
                cursor, growing.name, kind=growing.type, relation=self._selection.relation
            )
        frontier = self._frontier(boundary, layout, growing)
        last, given = cursor, False
        for table in self._without_value(reading, layout, growing):
            given = True
            yield Batch(rows=table, cursor=last, same_columns=True)
        for table in reading.tables(layout, Part(since=frontier.since)):
            rows = frontier.sift(table, table.column(growing.column))
            if not rows.num_rows:
                continue
            given, now = True, frontier.boundary
            if now is not None and (now.known is not None or not self._setting.appends):
                last = now.cursor()
            rows = rows.select(layout.schema.names)
            yield Batch(rows=rows, cursor=last, same_columns=True)
        now = frontier.settle()
        if now is not None and now.known is None and self._setting.appends:
            raise _crowded(growing.name, now.rows, self._selection.shown)
        if given and now is not None and now.settled:
            yield _without_rows(layout, now.cursor())
        if not given and cursor is None:
            yield _without_rows(layout, None)

    def _frontier(
        self, boundary: "Boundary | None", layout: "Layout", growing: "Growing"
    ) -> "Frontier":
        """Begin where reading was left.

        Raises:
            Refused: ``database-columns-changed``.
        """
        from headgate.sources.databases.boundary import Frontier, identity  # noqa: PLC0415

        schema, lag = layout.table_schema, self._selection.lag
        of = layout.keys if self._setting.appends and layout.keys else layout.schema.names
        if boundary is not None and boundary.known is not None and not boundary.fits(schema):
            if self._setting.appends:
                raise Refused(
                    "database-columns-changed",
                    f"{self._selection.shown} has other columns than when it was read last: the "
                    f"rows already appended with the highest {growing.name} cannot be told.",
                    hint="Give the table a primary key, or read it anew under another step name.",
                    before=[name for name, _ in boundary.of],
                )
            boundary = replace(boundary, known=None)
        return Frontier(
            growing.name,
            boundary,
            identity(schema, of),
            kind=growing.type,
            lag=lag,
            relation=self._selection.relation,
        )

    def _without_value(
        self, reading: "Reading", layout: "Layout", growing: "Growing"
    ) -> "Iterator[pa.Table]":
        """Give the rows without a cursor value, where they are wanted each time.

        Raises:
            Refused: ``database-empty-cursor``.
        """
        from headgate.sources.databases.layouts import Part  # noqa: PLC0415 - loads pyarrow

        rule = self._selection.empty_cursor
        if growing.never_empty or rule == LEAVE:
            return
        if rule == AGAIN:
            for table in reading.tables(layout, Part(only_empty=True)):
                yield table.select(layout.schema.names)
        elif reading.holds(layout, f"{growing.expression} is null"):
            raise Refused(
                "database-empty-cursor",
                f"{self._selection.shown} has rows without a value in {growing.name}, the cursor: "
                "they would never be read.",
                hint='Say what becomes of them: empty_cursor="leave", or "again" (read each time; '
                "needs an upsert).",
                relation=self._selection.shown,
                column=growing.name,
            )

    # -- the database

    @cached_property
    def _address(self) -> Address:
        reveal = self._setting.reveal
        return address_of(
            reveal(self._url),
            root=self._setting.root,
            user=reveal(self._user),
            password=reveal(self._password),
        )

    def _reading(self) -> "Reading":
        """Connect; a server that does not answer is asked again.

        Raises:
            Unavailable: ``library-missing``, ``database-unreachable``.
        """
        name, library, extra = _READERS[self._address.family]
        try:
            module = import_module(f"headgate.sources.databases.{name}")
        except ImportError as error:
            raise Unavailable(
                "library-missing",
                f"{self._address.shown} is read with {library}, which is not installed.",
                hint=f"pip install 'headgate[{extra}]'",
                library=library,
            ) from error
        opened: Callable[[Address, Selection], Reading] = module.open_reading
        return retrying(
            lambda: opened(self._address, self._selection),
            again=_may_pass,
            clock=self._setting.clock,
            random=Random(),  # noqa: S311 - no secret hangs on it
            retry=_CONNECTING,
        )


def _without_rows(layout: "Layout", cursor: Cursor | None) -> Batch:
    return Batch(rows=layout.schema.empty_table(), cursor=cursor, same_columns=True)


def _may_pass(error: Exception) -> bool:
    return isinstance(error, Unavailable) and error.code == "database-unreachable"


def _secret_or_text(options: Mapping[str, object], name: str) -> str | Secret:
    value = options.get(name)
    if value is None:
        return ""
    if not isinstance(value, (str, Secret)):
        raise Invalid("bad-option", f"{name}= is a text or a secret.", option=name)
    return value


def _refuse_doubling(selection: Selection, setting: Setting) -> None:
    """Refuse what would give rows a second time to a table that is appended to."""
    if not setting.appends:
        return
    if not selection.cursor:
        raise Invalid(
            "append-without-cursor",
            f"{selection.shown} would be appended whole, again with each run.",
            hint='Name the column that grows: cursor="id". Or say mode="replace", or '
            'mode="upsert" with a key.',
            relation=selection.shown,
        )
    again = {"lag": selection.lag is not None, "empty_cursor": selection.empty_cursor == AGAIN}
    for option, wanted in again.items():
        if wanted:
            raise Invalid(
                "cursor-needs-upsert",
                f"With {option}= rows of {selection.shown} are read more than once: appended, they "
                "would be there twice.",
                hint='Give the step a key and mode="upsert".',
                option=option,
            )


def _crowded(column: str, rows: int, shown: str) -> Refused:
    return Refused(
        "database-crowded-cursor",
        f"{rows} rows of {shown} have the highest value of {column}: a cursor cannot tell which of "
        "them are appended already.",
        hint='Follow a finer column, or give the step a key and mode="upsert".',
        relation=shown,
        column=column,
        rows=rows,
    )
