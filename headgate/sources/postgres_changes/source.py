"""Changes of a PostgreSQL table as a source: in full once, then what its server's log tells."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from headgate.errors import Unavailable
from headgate.sources.cursors import Cursor
from headgate.sources.postgres_changes.options import reading_of
from headgate.sources.postgres_changes.positions import KIND, lsn_text, reached
from headgate.sources.postgres_changes.slot_names import slot_name
from headgate.sources.source import Batch, Description, NativeRead, Setting

if TYPE_CHECKING:
    from headgate.sources.postgres_changes.reading import Following


class PostgresChanges:
    """A table of PostgreSQL by its changes. A publication and a slot are made where there is none.

    With ``keep="table"`` rows are operations (``headgate.source_columns``), and the table in full
    comes as one truncation and rows that are none. With ``keep="log"`` every change is a row.
    """

    kind = KIND

    def __init__(self, options: Mapping[str, object], setting: Setting) -> None:
        self._reading = reading_of(options)
        self._setting = setting
        self._following: Following | None = None

    def describe(self) -> Description:
        """Say which table is read. No I/O."""
        reading = self._reading
        facts = {
            "relation": reading.relation,
            "keep": reading.keep,
            "slot": self._slot if any(self._setting.owner) else reading.slot,
            "publication": reading.publication,
        }
        return Description(
            kind=self.kind,
            title=f"changes of {reading.relation}",
            facts={name: value for name, value in facts.items() if value},
        )

    def cursor(self, text: str) -> Cursor:
        """Read a stored cursor."""
        cursor = Cursor.parse(text, kind=self.kind)
        reached(cursor)
        return cursor

    def how_far(self, cursor: Cursor) -> str:
        """Say up to where the server's log was read."""
        found = reached(cursor)
        return f"the log up to {lsn_text(found.position)}, by {found.slot}"

    def fingerprint(self) -> None:
        """Say that only reading tells whether there is news."""

    def native(self, cursor: Cursor | None) -> NativeRead | None:
        """Say that there are no files."""

    def read(self, cursor: Cursor | None) -> Iterator[Batch]:
        """Give the table in full without a cursor; else what the log tells from there on.

        It ends where the server's log ended when it began. Where the log does not lead on from the
        cursor, the table comes in full, and a note says why.

        Raises:
            Refused: what is missing on the server, with the SQL that mends it.
            Unavailable: ``library-missing``, ``database-unreachable``, ``slot-in-use``,
                ``no-free-slot``.
            Invalid: ``change-without-key``. Corrupt: ``bad-replication-message``.
        """
        return self._follow().read(cursor)

    def acknowledge(self, cursor: Cursor) -> None:
        """Let the server forget the log up to a published cursor.

        Raises:
            Unavailable: ``library-missing``, ``database-unreachable``, ``slot-in-use``.
        """
        self._follow().acknowledge(cursor)

    def reserved(self, cursor: Cursor | None) -> Mapping[str, str]:
        """Ask how much of its log the server keeps for this reader, and for others of ours.

        Raises:
            Unavailable: ``library-missing``, ``database-unreachable``. Refused: ``database-login``.
        """
        return self._follow().reserved(cursor)

    def close(self) -> None:
        """Free nothing: connections live no longer than a reading."""

    @property
    def _slot(self) -> str:
        setting = self._setting
        return self._reading.slot or slot_name(setting.lake, setting.owner)

    def _follow(self) -> "Following":
        if self._following is None:
            try:
                from headgate.sources.postgres_changes.reading import (  # noqa: PLC0415 - an extra
                    Following,
                )
            except ImportError as error:
                raise Unavailable(
                    "library-missing",
                    f"Changes of PostgreSQL need the library {error.name}, which is not installed.",
                    hint="pip install 'headgate[postgres]'",
                    library=str(error.name),
                ) from error
            self._following = Following(self._reading, self._setting, self._slot)
        return self._following
