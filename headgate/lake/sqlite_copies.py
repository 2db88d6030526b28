"""A metastore as an SQLite file, made of another database's rows: a backup that any machine reads.

It has the newest format, since no other can be open. The file is whole, or not there.
"""

import os
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from headgate.errors import Unavailable
from headgate.lake import statements
from headgate.lake.database import Row
from headgate.lake.migrations import MIGRATIONS
from headgate.lake.sqlite_connections import DIALECT


class SqliteCopy:
    """A file in the making, under another name until the ``with`` block ends without an error."""

    def __init__(self, to: Path) -> None:
        self._to = to
        self._making = to.with_name(f".{to.name}.{os.getpid()}.making")
        self.tables: Mapping[str, tuple[str, ...]] = {}

    def __enter__(self) -> Self:
        self._making.unlink(missing_ok=True)
        self._file = sqlite3.connect(self._making, isolation_level=None)
        self._file.execute("pragma journal_mode = off")
        self._file.execute("begin")
        for format_ in (statements.SCHEMA, *MIGRATIONS):
            for statement in format_:
                self._file.execute(DIALECT.spell(statement))
        names = self._file.execute("select name from sqlite_schema where type = 'table'").fetchall()
        self.tables = {
            name: tuple(
                column
                for (column,) in self._file.execute(f"select name from pragma_table_info('{name}')")
            )
            for (name,) in names
        }
        return self

    def fill(self, table: str, rows: Iterable[Row]) -> None:
        """Insert the rows of a table, their values in the order of its columns."""
        columns = self.tables[table]
        places = ", ".join("?" * len(columns))
        self._file.executemany(
            f"insert into {table} ({', '.join(columns)}) values ({places})", rows
        )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self._file.execute("commit")
                self._file.execute("pragma journal_mode = wal")
                self._file.close()
                with self._making.open("rb") as file:
                    os.fsync(file.fileno())
                self._making.replace(self._to)
                directory = os.open(self._to.parent, os.O_RDONLY)
                try:
                    os.fsync(directory)
                finally:
                    os.close(directory)
        except (OSError, sqlite3.Error) as trouble:
            raise Unavailable(
                "cannot-write",
                f"No copy of the metastore can be written to {self._to}: {trouble}.",
                hint="Free some space, or choose another directory.",
                path=str(self._to),
            ) from trouble
        finally:
            self._file.close()
            with suppress(OSError):
                self._making.unlink(missing_ok=True)
