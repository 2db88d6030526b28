"""A table on a server, and sources that follow it."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from headgate import source_columns
from headgate.sources import Batch, Cursor, Setting
from headgate.sources.postgres_changes.source import PostgresChanges
from headgate.testing.postgres_servers import PostgresServer

_NUMBERS = count(1)


def url_of(server: PostgresServer, *, user: str = "owner", password: str | None = None) -> str:
    return f"postgresql://{user}:{password or server.password}@127.0.0.1:{server.port}/metastore"


class Followed:
    """A new table with the columns given; ``{}`` in statements stands for its name."""

    def __init__(self, server: PostgresServer, columns: str, root: Path) -> None:
        self.server = server
        self.name = f"table_{next(_NUMBERS)}"
        self.root = root
        self.do(f"create table {{}} ({columns})")

    def do(self, *statements: str) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = []
        for statement in statements:
            found = self.server.execute(statement.replace("{}", self.name))
        return found

    def source(self, target: str = "main", **options: object) -> PostgresChanges:
        given = {"url": url_of(self.server), "relation": f"public.{self.name}", **options}
        owner = ("p", self.name, target)
        setting = Setting(root=self.root, cache=self.root / "cache", owner=owner, lake="a lake")
        return PostgresChanges(given, setting)

    @property
    def slot(self) -> str:
        return self.source().describe().facts["slot"]

    def read(
        self, cursor: Cursor | None, target: str = "main", **options: object
    ) -> tuple[list[Batch], Cursor | None]:
        """Read once; give the batches, and the cursor that holds after them."""
        batches = list(self.source(target, **options).read(cursor))
        for batch in batches:
            cursor = batch.cursor or cursor
        return batches, cursor


class OwnColumns(PostgresChanges):
    """A source whose batches have the table's own columns only, and rows that there are."""

    def read(self, cursor: Cursor | None) -> Iterator[Batch]:
        for batch in super().read(cursor):
            rows = batch.rows
            if source_columns.OPERATION in rows.column_names:
                rows = rows.filter(pc.equal(rows.column(source_columns.OPERATION), "upsert"))
            own = [name for name in rows.column_names if name not in source_columns.ALL]
            yield Batch(rows=rows.select(own), cursor=batch.cursor)


def operations(batches: list[Batch]) -> list[tuple[object, ...]]:
    """Give what batches say was done: the word, the key (id), the key before, what is untold."""
    found: list[tuple[object, ...]] = []
    for batch in batches:
        for row in batch.rows.to_pylist():
            before = row["_hg_before"]
            found.append((row["_hg_operation"], row["id"], before and before["id"],
                          row["_hg_unchanged"]))  # fmt: skip
    return found
