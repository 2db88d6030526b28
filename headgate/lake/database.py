"""What the metastore asks of an SQL database, and what each database spells differently."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

Parameter: TypeAlias = str | int | bytes | None
Row: TypeAlias = tuple[Any, ...]  # what the columns of a statement hold; SqlMetastore makes values


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How one database spells the metastore's SQL (see ``statements``).

    ``words`` maps each bracketed word, such as ``[bytes]``, to what stands there instead.
    """

    placeholder: str
    words: Mapping[str, str]

    def spell(self, statement: str, *, values: int = 0) -> str:
        """Give a statement in this dialect, with so many parameters for ``[list]``."""
        text = statement.replace("[list]", ", ".join("?" * values))
        for word, meaning in self.words.items():
            text = text.replace(word, meaning)
        return text.replace("?", self.placeholder)


class Session(Protocol):
    """One transaction. Statements come from ``statements``, parameters are always bound."""

    def rows(self, statement: str, parameters: Sequence[Parameter] = ()) -> list[Row]:
        """Give all rows."""
        ...

    def row(self, statement: str, parameters: Sequence[Parameter] = ()) -> Row | None:
        """Give the first row, or None."""
        ...

    def rows_in(
        self,
        statement: str,
        values: Sequence[Parameter],
        parameters: Sequence[Parameter] = (),
        *,
        before: Sequence[Parameter] = (),
    ) -> list[Row]:
        """Give all rows of a statement with a ``[list]``, in pieces where there are many values.

        ``before`` are the parameters that stand before the list, ``parameters`` those after it.
        """
        ...

    def change(self, statement: str, parameters: Sequence[Parameter] = ()) -> int:
        """Change rows; give how many."""
        ...

    def change_many(self, statement: str, rows: Iterable[Sequence[Parameter]]) -> None:
        """Run a statement once per row of parameters."""
        ...

    def undo(self) -> None:
        """Roll back at the end of the transaction, whatever was changed."""
        ...


class Database(Protocol):
    """An SQL database. Safe between threads and processes."""

    dialect: Dialect

    def reading(self) -> AbstractContextManager[Session]:
        """Open a transaction that sees one state and changes nothing."""
        ...

    def writing(self, *, durable: bool) -> AbstractContextManager[Session]:
        """Open a transaction that commits at the end, and rolls back on an error.

        A durable one survives power loss once it has ended; any one survives kill -9.

        Raises:
            Unavailable: ``metastore-locked``, ``metastore-full``, ``metastore-unreachable``.
            Corrupt: ``metastore-corrupt``.
        """
        ...

    def keep_copy(self, session: Session, name: str) -> str:
        """Keep a copy of everything as it was before this writing transaction; say where it is.

        An older copy of that name is replaced. The copy is whole, or not there.
        """
        ...

    def copy(self, to: Path) -> None:
        """Write one state of everything to an SQLite file, whole or not at all; nobody waits.

        A file of that name is replaced. The copy is synced.
        """
        ...

    def identity(self) -> str:
        """Name this very database: a copy of it has another name."""
        ...

    def check(self) -> Sequence[str]:
        """Give what the database finds wrong with itself, if anything. Reads all of it."""
        ...

    def describe(self) -> str:
        """Give the database's product and version, for people."""
        ...

    def close(self) -> None:
        """Give everything back. Closing twice is no error."""
        ...
