"""What the metastore asks of an SQL database, and what each database spells differently."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Protocol, TypeAlias, TypeVar

from headgate.errors import Unavailable

Parameter: TypeAlias = str | int | bytes | None
Row: TypeAlias = tuple[Any, ...]  # what the columns of a statement hold; SqlMetastore makes values

_TRIES = 10

_Self = TypeVar("_Self")
_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")


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


class Undone(Unavailable):
    """A transaction that did not take place, through no fault of its own: it may be done again.

    The server chose it as the loser of a deadlock, or the connection broke before its COMMIT.
    """


class Unmet(Exception):  # noqa: N818 - it names what happened
    """A condition that a transaction stood under did not hold: nothing of it took place."""

    def __init__(self, condition: str) -> None:
        super().__init__(condition)
        self.condition = condition


def retried(
    method: Callable[Concatenate[_Self, _Given], _Result],
) -> Callable[Concatenate[_Self, _Given], _Result]:
    """Make a method that is one transaction do it again where the database has undone it.

    What it is given must bear being read twice.
    """

    @wraps(method)
    def tried(self: _Self, /, *given: _Given.args, **named: _Given.kwargs) -> _Result:
        for _ in range(_TRIES - 1):
            with suppress(Undone):
                return method(self, *given, **named)
        return method(self, *given, **named)

    return tried


class Reader(Protocol):
    """Statements that read. They come from ``statements``, parameters are always bound."""

    def rows(self, statement: str, parameters: Sequence[Parameter] = ()) -> list[Row]:
        """Give all rows."""
        ...

    def row(self, statement: str, parameters: Sequence[Parameter] = ()) -> Row | None:
        """Give the first row, or None."""
        rows = self.rows(statement, parameters)
        return rows[0] if rows else None

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

    def together(self, *asked: tuple[str, Sequence[Parameter]]) -> list[list[Row]]:
        """Run statements in this order, each whatever came of the others; give the rows of each.

        One round trip. Reading, they see one state. A change gives the rows of its ``returning``.
        """
        ...


class Session(Reader, Protocol):
    """One transaction that may change rows."""

    def change(self, statement: str, parameters: Sequence[Parameter] = ()) -> int:
        """Change rows; give how many."""
        ...

    def send(self, statement: str, parameters: Sequence[Parameter] = ()) -> None:
        """Change rows, however many. It travels with what is asked next; errors come then."""
        ...

    def must(self, statement: str, parameters: Sequence[Parameter] = (), *, condition: str) -> None:
        """Change rows, as ``send`` does, by a statement that returns them; there must be some.

        Where there are none, what is asked next, or the end, raises ``Unmet`` with the condition's
        name: letters and hyphens.
        """
        ...

    def change_many(self, statement: str, rows: Iterable[Sequence[Parameter]]) -> None:
        """Send a statement once per row of parameters."""
        ...

    def undo(self) -> None:
        """Roll back at the end of the transaction, whatever was changed."""
        ...


class Database(Protocol):
    """An SQL database. Safe between threads and processes."""

    dialect: Dialect

    @property
    def place(self) -> str:
        """Where it is, for people. Without passwords."""
        ...

    def reading(self) -> AbstractContextManager[Reader]:
        """See one state in each statement, and change nothing. Waits for no writer."""
        ...

    def writing(self, *, durable: bool) -> AbstractContextManager[Session]:
        """Open a transaction that commits at the end, and rolls back on an error.

        A durable one survives power loss once it has ended; any one survives kill -9. Where it
        ends without an error, it took place.

        Raises:
            Undone: it did not take place, and may be done again (see ``retried``).
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

    def purge(self) -> bool:
        """Leave nothing in its own files that is not in it any more; False where it cannot."""
        ...

    def describe(self) -> str:
        """Give the database's product and version, for people."""
        ...

    def close(self) -> None:
        """Give everything back. Closing twice is no error."""
        ...
