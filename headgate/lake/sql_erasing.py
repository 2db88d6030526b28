"""What an erasure changes in the metastore: commits' bytes, texts, fences; in one transaction."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import msgspec

from headgate.lake import statements
from headgate.lake.commits import ERASED_MARK, Link, encode_commit, erased_digest
from headgate.lake.database import Database, Parameter
from headgate.lake.records import Commit

LEFT_TO_DO = "erasing"
COUNT = "erasures"
_ROWS_AT_ONCE = 500
_FREE = frozenset(
    {
        "because",
        "changes",
        "hint",
        "measured",
        "message",
        "parameters",
        "traceback",
        "whole_traceback",
    }
)
"""The facts of events, of runs and of their reasons that are free texts, or hold values."""

Change: TypeAlias = tuple[str, Sequence[Parameter]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """All that one erasure writes.

    ``heads`` is where every branch was when it was prepared. ``left_to_do`` says, as JSON, what
    must be done when it has taken place.
    """

    heads: Mapping[str, str]
    bodies: Mapping[str, bytes]
    nodes: Mapping[bytes, bytes]
    target: str
    commit: Commit
    link: Link
    at: int
    left_to_do: str
    texts: Sequence[Change] = field(default_factory=tuple)


class SqlErasing:
    """Erasures in an SQL database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def left_to_do(self) -> str | None:
        """Give what an erasure that took place has left to do, None where nothing is."""
        with self._database.reading() as session:
            row = session.row(statements.FACT, (LEFT_TO_DO,))
        return str(row[0]) if row and row[0] else None

    def all_done(self) -> None:
        """Note that nothing is left to do."""
        with self._database.writing(durable=True) as session:
            session.change(statements.DELETE_FACT, (LEFT_TO_DO,))

    def erased(self) -> Mapping[str, str]:
        """Give the commits that say something else than when they were made, with its digest."""
        with self._database.reading() as session:
            rows = session.rows(statements.ERASED_COMMITS, (ERASED_MARK,))
        return {id: erased_digest(bytes(body)) or "" for id, body in rows}

    def texts(self, struck: Callable[[str], str]) -> Iterator[Change]:
        """Give the changes that strike words out of events, and of runs' and steps' texts."""
        number = -1
        while True:
            with self._database.reading() as session:
                events = session.rows(statements.EVENTS, (number, _ROWS_AT_ONCE))
            for row in events:
                number = row[0]
                body = struck_json(str(row[5]), struck)
                if body != row[5]:
                    yield statements.SET_EVENT_BODY, (body, number)
            if not events:
                break
        with self._database.reading() as session:
            runs = session.rows(statements.RUN_TEXTS)
            steps = session.rows(statements.STEP_TEXTS)
        for id, reason, settings in runs:
            now = (_struck_or_none(reason, struck), _struck_or_none(settings, struck))
            if now != (reason, settings):
                yield statements.SET_RUN_TEXTS, (*now, id)
        for run, step, reason in steps:
            text = _struck_or_none(reason, struck)
            if text != reason:
                yield statements.SET_STEP_REASON, (text, run, step)

    def erase(self, erasure: Erasure) -> bool:
        """Do it all; False where a branch has moved since it was prepared.

        Runs at work lose their fences: what they write from now on is refused.
        """
        commit = erasure.commit
        with self._database.writing(durable=True) as session:
            heads: dict[str, str] = dict(session.rows(statements.LOCK_HEADS))
            if heads != dict(erasure.heads):
                session.undo()
                return False
            session.change_many(statements.PUT_NODE, sorted(erasure.nodes.items()))
            session.change_many(
                statements.SET_COMMIT_BODY, ((body, id) for id, body in erasure.bodies.items())
            )
            for statement, parameters in erasure.texts:
                session.change(statement, parameters)
            link = erasure.link
            row = (link.id, link.parent, link.number, link.jump, encode_commit(commit))
            session.change(statements.PUT_COMMIT, row)
            moved = (commit.id, commit.number, erasure.target, commit.parent)
            session.change(statements.MOVE_BRANCH, moved)
            session.change(
                statements.PUT_MOVE, (erasure.target, erasure.at, commit.id, erasure.target)
            )
            session.change(statements.PARK_RUNS, (_FENCED,))
            session.change(statements.PUT_FACT, (LEFT_TO_DO, erasure.left_to_do))
            found = session.row(statements.FACT, (COUNT,))
            count = 1 + int(found[0] if found else 0)
            session.change(statements.PUT_FACT, (COUNT, str(count)))
        return True


_FENCED = msgspec.json.encode(
    {"code": "erased-meanwhile", "message": "Rows were erased while it was at work."}
).decode()


def struck_json(text: str, struck: Callable[[str], str]) -> str:
    """Strike words out of the free texts of a JSON document; example rows go.

    What programs read (states, names, codes) stays as it is.
    """
    found = msgspec.json.decode(text)
    made = _struck(found, struck, free=False)
    return text if made == found else msgspec.json.encode(made).decode()


def _struck_or_none(text: str | None, struck: Callable[[str], str]) -> str | None:
    return None if text is None else struck_json(text, struck)


def _struck(value: object, struck: Callable[[str], str], *, free: bool) -> object:
    match value:
        case str():
            return struck(value) if free else value
        case list():
            return [_struck(each, struck, free=free) for each in value]
        case dict():
            return {
                name: []
                if name == "examples"
                else _struck(each, struck, free=free or name in _FREE)
                for name, each in value.items()
            }
        case _:
            return value
