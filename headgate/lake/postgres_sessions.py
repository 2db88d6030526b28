"""Sessions of PostgreSQL: statements that wait, to travel together when an answer is needed."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias, TypeVar

import psycopg

from headgate.errors import HeadgateError
from headgate.lake import postgres_errors
from headgate.lake.database import Parameter, Reader, Row, Session, Unmet
from headgate.lake.postgres_lanes import Connection, Lane

Cursor: TypeAlias = psycopg.Cursor[tuple[Any, ...]]
Asked: TypeAlias = tuple[str, Sequence[Parameter | Sequence[Parameter]]]
Translate: TypeAlias = Callable[[psycopg.Error, Lane], HeadgateError]
Spell: TypeAlias = Callable[[str], str]

_AT_ONCE = 500
# The server ends the transaction by itself, so that no row stays locked until the client has read
# how many there were. Its log then has a line that says so.
_MUST = """with changed as ({statement}) select case when count(*) > 0 then 0
    else cast('unmet: {condition} ' || count(*) as integer) end from changed"""
_BEGIN = "begin isolation level repeatable read read only"

_Answer = TypeVar("_Answer")


class Reading(Reader):
    """Statements by themselves: each sees one state, and is asked again where its answer is lost.

    Args:
        lane: who asks.
        spell: gives PostgreSQL's text of a statement.
        translate: gives our error for PostgreSQL's.
    """

    __slots__ = ("_lane", "_spell", "_translate")

    def __init__(self, lane: Lane, *, spell: Spell, translate: Translate) -> None:
        self._lane = lane
        self._spell = spell
        self._translate = translate

    def rows(self, statement: str, parameters: Sequence[Parameter] = ()) -> list[Row]:
        """Give all rows."""
        return self.answer(self._spell(statement), parameters)

    def rows_in(
        self,
        statement: str,
        values: Sequence[Parameter],
        parameters: Sequence[Parameter] = (),
        *,
        before: Sequence[Parameter] = (),
    ) -> list[Row]:
        """Give all rows of a statement with a ``[list]``, asked at once."""
        if not values:
            return []
        return self.answer(self._spell(statement), (*before, list(values), *parameters))

    def together(self, *asked: tuple[str, Sequence[Parameter]]) -> list[list[Row]]:
        """Run statements together; see ``Reader.together``."""
        texts = [(self._spell(statement), parameters) for statement, parameters in asked]
        cursors = self._again(
            lambda connection: _travel(connection, ((_BEGIN, ()), *texts, ("commit", ())))
        )
        return [cursor.fetchall() for cursor in cursors[1:-1]]

    def answer(
        self, text: str, parameters: Sequence[Parameter | Sequence[Parameter]] = ()
    ) -> list[Row]:
        """Give the rows of PostgreSQL's own text."""
        return self._again(lambda connection: execute(connection, text, parameters).fetchall())

    def _again(self, ask: Callable[[Connection], _Answer]) -> _Answer:
        """Ask; again on a new connection where the old one was lost."""
        while True:
            try:
                return ask(self._lane.connection())
            except psycopg.Error as error:
                if not self._lane.is_lost(error):
                    self._lane.roll_back()
                    raise self._translate(error, self._lane) from error
                self._lane.drop()


class Writing(Session):
    """One transaction. Its connection is the lane's as it was at the first question.

    ``is_unknown``: its COMMIT was sent, and the answer lost.
    """

    def __init__(
        self, lane: Lane, opening: Iterable[Asked], *, spell: Spell, translate: Translate
    ) -> None:
        self._lane = lane
        self._spell = spell
        self._translate = translate
        self._waiting: list[Asked] = list(opening)
        self._connection: Connection | None = None
        self._changed = False
        self.undone = False
        self.is_unknown = False

    def rows(self, statement: str, parameters: Sequence[Parameter] = ()) -> list[Row]:
        """Give all rows."""
        return self.ask((self._spell(statement), parameters))[0].fetchall()

    def together(self, *asked: tuple[str, Sequence[Parameter]]) -> list[list[Row]]:
        """Run statements together; see ``Reader.together``."""
        cursors = self.ask(*((self._spell(text), parameters) for text, parameters in asked))
        self._changed = True  # they may be changes that return rows
        return [cursor.fetchall() for cursor in cursors]

    def rows_in(
        self,
        statement: str,
        values: Sequence[Parameter],
        parameters: Sequence[Parameter] = (),
        *,
        before: Sequence[Parameter] = (),
    ) -> list[Row]:
        """Give all rows of a statement with a ``[list]``, asked at once."""
        if not values:
            return []
        given = (*before, list(values), *parameters)
        return self.ask((self._spell(statement), given))[0].fetchall()

    def change(self, statement: str, parameters: Sequence[Parameter] = ()) -> int:
        """Change rows; give how many. This takes a round trip."""
        self._changed = True
        return self.ask((self._spell(statement), parameters))[0].rowcount

    def send(self, statement: str, parameters: Sequence[Parameter] = ()) -> None:
        """Change rows, however many, with what is asked next."""
        self._changed = True
        self._waiting.append((self._spell(statement), parameters))
        if len(self._waiting) >= _AT_ONCE:
            self.ask()

    def must(self, statement: str, parameters: Sequence[Parameter] = (), *, condition: str) -> None:
        """Change some rows, or end the transaction; see ``Session.must``."""
        self._changed = True
        text = _MUST.format(statement=self._spell(statement), condition=condition)
        self._waiting.append((text, parameters))

    def change_many(self, statement: str, rows: Iterable[Sequence[Parameter]]) -> None:
        """Send a statement once per row of parameters."""
        for row in rows:
            self.send(statement, row)

    def undo(self) -> None:
        """Roll back at the end, whatever was changed."""
        self.undone = True

    def ask(self, *asked: Asked) -> list[Cursor]:
        """Send what waits and these; give the answers to these."""
        waiting = [*self._waiting, *asked]
        self._waiting.clear()
        if not waiting:
            return []
        if self._connection is None:
            self._connection = self._lane.connection()
        try:
            cursors = _travel(self._connection, waiting)
        except psycopg.Error as error:
            if self._lane.is_lost(error):
                self._connection = None
                self._lane.drop()
                raise self._lane.lost(error) from error
            condition = postgres_errors.unmet_condition(error)
            if condition is not None:
                raise Unmet(condition) from error
            raise self._translate(error, self._lane) from error
        return cursors[len(cursors) - len(asked) :]

    def commit(self, receipt: Asked) -> None:
        """End the transaction; with a receipt where it has changed anything."""
        if self.undone or not self._changed:
            self.roll_back()
            return
        self.is_unknown = True
        self.ask(receipt, ("commit", ()))
        self.is_unknown = False

    def roll_back(self) -> None:
        """Undo all; what waits is never sent."""
        self._waiting.clear()
        if self._connection is not None:
            self._connection = None
            self._lane.roll_back()


def execute(
    connection: Connection, text: str, parameters: Sequence[Parameter | Sequence[Parameter]] = ()
) -> Cursor:
    """Run one statement of ours; its parameters are bound, its answer is binary."""
    return connection.execute(text, parameters, binary=True)


def _travel(connection: Connection, asked: Sequence[Asked]) -> list[Cursor]:
    """Send statements in one go and wait for all answers: one round trip."""
    cursors: list[Cursor] = []
    early: psycopg.Error | None = None  # an answer may come while statements are still being sent
    try:
        with connection.pipeline():
            try:
                cursors.extend(execute(connection, text, parameters) for text, parameters in asked)
            except psycopg.Error as error:  # else psycopg would log what it meets on the way out
                early = error
    except psycopg.Error as error:
        raise early or error from None  # the later one only says that the rest was not done
    if early is not None:
        raise early
    return cursors
