"""What a kind of SQL database must do for ``SqlSink``: names, types, and how rows are staged."""
# ruff: noqa: D102

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import pyarrow as pa

from headgate.errors import HeadgateError
from headgate.sinks.sink import Description, TableDelivery

Row: TypeAlias = tuple[object, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A column that a table over there has: its name, and its type as the database shows it.

    ``kind`` is a word of the database's own for what the type's name does not tell (an enum).
    ``required`` says that it does not take NULL, ``in_key`` that it is of the primary key, where
    the database is one that tells.
    """

    name: str
    type: str
    kind: str = ""
    required: bool = False
    in_key: bool = False


class SqlSession(Protocol):
    """One session at a time with a database."""

    def open(self) -> None:
        """Begin a session, if there is none."""
        ...

    def close(self) -> None: ...
    def run(self, statement: str, parameters: Sequence[object] = ()) -> int:
        """Run a statement; give how many rows it changed."""
        ...

    def rows(self, statement: str, parameters: Sequence[object] = ()) -> list[Row]: ...
    def begin(self) -> None: ...
    def commit(self) -> None: ...
    def rollback(self) -> None: ...


Load: TypeAlias = Callable[[str, pa.Schema, pa.RecordBatchReader], int]
"""Adds rows to a table, its quoted name; gives how many."""

Misfit: TypeAlias = Callable[[str, pa.Field, Found], str | None]
"""Gives the condition under which a staged value, an expression, does not fit a column over there;
None where all do."""

Exchange: TypeAlias = Callable[[TableDelivery, Mapping[str, Found]], int]
"""Exchanges a table for one without the columns that are ``gone``, with all rows, at once; gives
how many rows there are. Doing it twice does no harm."""


class SqlDatabase(Protocol):
    """One database: how it writes things, and a session with it. Tables' names are dotted."""

    kind: str
    parameter: str
    """What stands for a bound value in a statement."""
    stages_first: bool
    """Whether rows are staged before the transaction, which would keep others out meanwhile."""
    folds: bool
    """Whether names of columns that differ in capital letters are one."""
    holds: bool
    """Whether a session may stay open when nothing is done: nobody is kept out by it."""
    errors: tuple[type[Exception], ...]
    """What the driver raises."""

    @property
    def session(self) -> SqlSession: ...
    @property
    def ddl_commits(self) -> bool:
        """Whether a statement that makes or changes a table ends the transaction."""
        ...

    def describe(self) -> Description: ...
    def explained(self, error: Exception, what: str) -> HeadgateError:
        """Give what an error of the driver's means; no row's content and no secret is in it."""
        ...

    def is_there(self) -> bool:
        """Whether there is anything to open; where it is, nothing is asked or made."""
        ...

    def alone(self, sink: str) -> AbstractContextManager[None]:
        """Keep other deliverers of the sink out, where a transaction alone does not."""
        ...

    # -- tables
    def quoted(self, table: str) -> str:
        """Give a table's name for a statement.

        Raises:
            Invalid: ``sink-bad-name``.
        """
        ...

    def name(self, identifier: str) -> str:
        """Give any other name for a statement."""
        ...

    def columns(self, table: str) -> Mapping[str, Found] | None:
        """Give the columns of a table over there; None where there is none."""
        ...

    def make_room(self, table: str) -> None:
        """Make the schema a table is to be in, if there is none."""
        ...

    def declared(self, field: pa.Field, *, key: bool) -> str:
        """Give the type of a column that is made.

        Raises:
            Invalid: ``sink-type``.
        """
        ...

    def fits(self, field: pa.Field, found: Found) -> bool:
        """Whether a column over there holds every value of ours as it is."""
        ...

    def converted(self, expression: str, field: pa.Field, found: Found | None) -> str:
        """Give the value of a staged column as the column over there wants it."""
        ...

    def drops(self, there: Mapping[str, Found], gone: AbstractSet[str]) -> bool:
        """Whether columns can be taken from a table as it is; else it is made again whole."""
        ...

    def alter(self, table: str, add: Sequence[str], drop: Sequence[str]) -> Sequence[str]:
        """Give the statements that add columns (as they are declared) and take some away."""
        ...

    @property
    def make_anew(self) -> Exchange | None:
        """Where DDL commits: how a table is changed with its rows."""
        ...

    # -- rows
    def stage(
        self,
        name: str,
        schema: pa.Schema,
        rows: pa.RecordBatchReader,
        *,
        like: Mapping[str, Found],
    ) -> int:
        """Put rows into a new temporary table of the session; give how many.

        ``like`` are columns over there that they are compared with, as far as they are known.

        Raises:
            Invalid: ``sink-value-impossible``.
        """
        ...

    @property
    def load(self) -> Load | None:
        """None where rows cannot be put where they belong as fast as they can be staged."""
        ...

    @property
    def misfit(self) -> Misfit | None:
        """None where what was staged does not outlive the transaction that failed."""
        ...

    def update(self, table: str, staged: str, sets: Mapping[str, str], key: Sequence[str]) -> str:
        """Give the statement that sets columns where the key is equal; both names are quoted."""
        ...

    def delete(self, table: str, staged: str, key: Sequence[str]) -> str:
        """Give the statement that deletes the rows whose key is staged."""
        ...
