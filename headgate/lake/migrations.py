"""The metastore's format: how a new one is laid out, and how an older one is brought up to date."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from headgate.errors import Corrupt, Refused
from headgate.lake import statements
from headgate.lake.database import Database, Session

Migrations: TypeAlias = Sequence[Sequence[str]]

MIGRATIONS: Migrations = ()
"""What leads from format 1 to 2, from 2 to 3, and so on: the statements of one transaction each."""

FORMAT = 1 + len(MIGRATIONS)
FORMAT_FACT = "format"


def lay_out(session: Session, facts: Mapping[str, str]) -> None:
    """Make the tables of a new metastore, in the newest format, and write its facts."""
    for statement in statements.SCHEMA:
        session.change(statement)
    for key, value in {**facts, FORMAT_FACT: str(FORMAT)}.items():
        session.change(statements.PUT_FACT, (key, value))


def open_facts(
    database: Database,
    place: str,
    *,
    copy: Callable[[int], object],
    migrations: Migrations = MIGRATIONS,
) -> dict[str, str]:
    """Give what a metastore says of itself, brought to the newest format where it has an older one.

    Each step is one transaction; of several processes one makes it. Before the first, ``copy`` is
    told the format and makes a copy of the metastore.

    Raises:
        Refused: ``lake-too-new``.
        Corrupt: ``metastore-corrupt``: these are no facts of a lake.
    """
    with database.reading() as session:
        facts = _facts(session)
    newest = 1 + len(migrations)
    format_ = _format(facts, place)
    if format_ > newest:
        raise Refused(
            "lake-too-new",
            f"{place} has format {format_}; this headgate knows formats up to {newest}.",
            hint="Upgrade headgate: pip install --upgrade headgate",
            path=place,
            format=format_,
            newest=newest,
        )
    if format_ < newest:
        copy(format_)
    while format_ < newest:
        with database.writing(durable=True) as session:
            facts = _facts(session)
            if _format(facts, place) == format_:
                for statement in migrations[format_ - 1]:
                    session.change(statement)
                facts[FORMAT_FACT] = str(format_ + 1)
                session.change(statements.PUT_FACT, (FORMAT_FACT, facts[FORMAT_FACT]))
        format_ = _format(facts, place)
    return facts


def _facts(session: Session) -> dict[str, str]:
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
