"""The metastore's formats: how a new one is laid out, and how an older one is brought up to date.

``statements.SCHEMA`` is format 1 and stays as it is. What a later format adds or changes stands in
``statements.ADDED_IN_2`` and so on. A new metastore is laid out as format 1 and then brought to the
newest by the same statements as an old one: both have the same tables, because there is one way.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from headgate.errors import Corrupt, Refused
from headgate.lake import statements
from headgate.lake.database import Database, Reader, Session
from headgate.lake.instants import stored
from headgate.lake.metastore import RunState

Migrations: TypeAlias = Sequence[Sequence[str]]

MIGRATIONS: Migrations = (statements.ADDED_IN_2,)
"""What leads from format 1 to 2, from 2 to 3, and so on. No statement may depend on a database's
product, and each must also hold in a metastore without rows."""

FORMAT = 1 + len(MIGRATIONS)
FORMAT_FACT = "format"
_AT_WORK = frozenset({RunState.RUNNING, RunState.PUBLISHING})
_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Upgraded:
    """What an upgrade did. ``copy`` says where the metastore is as it was; None: nothing to do."""

    before: int
    after: int
    copy: str | None


def lay_out(
    session: Session, facts: Mapping[str, str], *, migrations: Migrations = MIGRATIONS
) -> None:
    """Make the tables of a new metastore, in the newest format, and write its facts."""
    for statement in statements.SCHEMA:
        session.change(statement)
    for key, value in facts.items():
        session.change(statements.PUT_FACT, (key, value))
    _migrate(session, migrations)


def refuse_at_work(session: Session, now: datetime, is_alive: Callable[[str], bool]) -> None:
    """Refuse where runs are at work: their leases are not over and their owners may be alive.

    Raises:
        Refused: ``runs-at-work``.
    """
    rows = session.rows(statements.LEASED_RUNS, (stored(now),))
    working = [id for id, state, owner in rows if state in _AT_WORK and is_alive(owner)]
    if working:
        listed = ", ".join(working[:_NAMED])
        raise Refused(
            "runs-at-work",
            f"Runs are at work: {listed}{' ...' if len(working) > _NAMED else ''}.",
            hint="Wait for their end:  headgate status",
            runs=working,
        )


def open_facts(
    database: Database, place: str, *, migrations: Migrations = MIGRATIONS
) -> dict[str, str]:
    """Give what a metastore says of itself. Changes nothing.

    Raises:
        Refused: ``lake-too-new``, ``lake-too-old``.
        Corrupt: ``metastore-corrupt``: these are no facts of a lake.
    """
    with database.reading() as session:
        facts = _facts(session)
    newest = 1 + len(migrations)
    format_ = _format(facts, place)
    _refuse_newer(format_, newest, place)
    if format_ < newest:
        raise Refused(
            "lake-too-old",
            f"{place} has format {format_}; this headgate needs format {newest}.",
            hint="headgate upgrade  copies the metastore, then brings it up to date.",
            path=place,
            format=format_,
            newest=newest,
        )
    return facts


def upgrade(
    database: Database,
    place: str,
    *,
    refuse: Callable[[Session], None],
    keep_copy: bool = True,
    migrations: Migrations = MIGRATIONS,
) -> Upgraded:
    """Bring a metastore to the newest format, all the way or not at all.

    One durable transaction looks at it, copies it and changes it: nobody writes in between, and
    whoever is killed in it leaves the format there was. Of several processes one does it.

    Args:
        database: the metastore.
        place: its name, for people.
        refuse: looks at the metastore within that transaction, and raises if now is no time.
        keep_copy: copy the metastore first.
        migrations: the steps from each format to the next.

    Raises:
        Refused: ``lake-too-new``; and what ``refuse`` raises.
        Corrupt: ``metastore-corrupt``.
    """
    newest = 1 + len(migrations)
    with database.writing(durable=True) as session:
        format_ = _format(_facts(session), place)
        _refuse_newer(format_, newest, place)
        if format_ == newest:
            return Upgraded(before=format_, after=newest, copy=None)
        refuse(session)
        copy = database.keep_copy(session, f"format-{format_}") if keep_copy else None
        _migrate(session, migrations, since=format_)
    return Upgraded(before=format_, after=newest, copy=copy)


def _migrate(session: Session, migrations: Migrations, *, since: int = 1) -> None:
    for step in migrations[since - 1 :]:
        for statement in step:
            session.change(statement)
    session.change(statements.PUT_FACT, (FORMAT_FACT, str(1 + len(migrations))))


def _refuse_newer(format_: int, newest: int, place: str) -> None:
    if format_ > newest:
        raise Refused(
            "lake-too-new",
            f"{place} has format {format_}; this headgate knows formats up to {newest}.",
            hint="Upgrade headgate: pip install --upgrade headgate",
            path=place,
            format=format_,
            newest=newest,
        )


def _facts(session: Reader) -> dict[str, str]:
    return {str(key): str(value) for key, value in session.rows(statements.FACTS)}


def _format(facts: Mapping[str, str], place: str) -> int:
    format_ = facts.get(FORMAT_FACT, "")
    if not format_.isdecimal():
        raise Corrupt(
            "metastore-corrupt",
            f"{place} does not say which format it has.",
            hint="Restore the metastore's backup.",
            path=place,
        )
    return int(format_)
