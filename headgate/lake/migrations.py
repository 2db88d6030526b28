"""The metastore's format: how a new one is laid out, and how an older one is brought up to date."""

from collections.abc import Callable, Mapping, Sequence

from headgate.errors import Corrupt, Refused
from headgate.lake import statements
from headgate.lake.database import Database, Session

FORMAT = 1
FORMAT_FACT = "format"
MIGRATIONS: Mapping[int, Sequence[str]] = {}
"""From each older format, the statements that lead to the next."""


def lay_out(session: Session, facts: Mapping[str, str]) -> None:
    """Make the tables of a new metastore and write its facts."""
    for statement in statements.SCHEMA:
        session.change(statement)
    for key, value in {**facts, FORMAT_FACT: str(FORMAT)}.items():
        session.change(statements.PUT_FACT, (key, value))


def facts_of(database: Database, place: str, *, newest: int = FORMAT) -> dict[str, str]:
    """Give what a metastore says of itself, after checking that we know its format.

    Raises:
        Refused: ``lake-too-new``.
        Corrupt: ``metastore-corrupt``: these are no facts of a lake.
    """
    with database.reading() as session:
        facts = {str(key): str(value) for key, value in session.rows(statements.FACTS)}
    format_ = facts.get(FORMAT_FACT, "")
    if not format_.isdecimal():
        raise Corrupt(
            "metastore-corrupt",
            f"{place} does not say which format it has.",
            hint="Restore the metastore's backup.",
            path=place,
        )
    if int(format_) > newest:
        raise Refused(
            "lake-too-new",
            f"{place} has format {format_}; this headgate knows formats up to {newest}.",
            hint="Upgrade headgate: pip install --upgrade headgate",
            path=place,
            format=int(format_),
            newest=newest,
        )
    return facts


def upgrade(
    database: Database,
    place: str,
    *,
    copy: Callable[[int], object],
    migrations: Mapping[int, Sequence[str]] = MIGRATIONS,
    newest: int = FORMAT,
) -> int:
    """Bring a metastore to the newest format, one transaction per format; give the format it had.

    Args:
        database: the metastore's.
        place: what messages call it.
        copy: makes a copy before the first change; it is told the format.
        migrations: from each format, the statements that lead to the next.
        newest: the format to reach.

    Raises:
        Refused: ``lake-too-new``.
    """
    before = int(facts_of(database, place, newest=newest)[FORMAT_FACT])
    if before < newest:
        copy(before)
    for format_ in range(before, newest):
        with database.writing(durable=True) as session:
            facts = {key: value for key, value in session.rows(statements.FACTS)}  # noqa: C416
            if int(facts[FORMAT_FACT]) != format_:  # somebody else upgraded at the same time
                continue
            for statement in migrations[format_]:
                session.change(statement)
            session.change(statements.PUT_FACT, (FORMAT_FACT, str(format_ + 1)))
    return before
