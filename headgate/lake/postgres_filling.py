"""A metastore in PostgreSQL made of one in an SQLite file: the rows of a backup."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from headgate.errors import AlreadyExists
from headgate.lake import statements
from headgate.lake.database import Parameter
from headgate.lake.migrations import MIGRATIONS
from headgate.lake.postgres import PostgresDatabase
from headgate.lake.postgres_addresses import address_of

_TABLES = "select name from sqlite_schema where type = 'table' and name not like 'sqlite_%'"
_NEXT_EVENT = """select setval(pg_get_serial_sequence('{schema}.events', 'number'), max(number))
    from events having max(number) is not null"""


def fill_postgres(url: str, file: Path) -> None:
    """Make a metastore of the newest format in an SQL schema, in one transaction.

    Raises:
        AlreadyExists: ``lake-exists``.
        Invalid: ``bad-metastore-url``. Refused: ``metastore-login``, ...
        Unavailable: ``metastore-unreachable``, ...
    """
    with (
        closing(PostgresDatabase(address_of(url))) as database,
        closing(sqlite3.connect(file)) as source,
    ):
        if database.holds_lake():
            raise AlreadyExists(
                "lake-exists",
                f"There is a lake in {database.address} already.",
                hint="Name another schema:  ?schema=NAME",
                **database.address.facts,
            )
        database.prepare()
        with database.writing(durable=True) as session:
            for statement in (*statements.SCHEMA, *(each for step in MIGRATIONS for each in step)):
                session.change(statement)
            for (table,) in source.execute(_TABLES).fetchall():
                columns, rows = _rows(source, table)
                places = ", ".join("?" * len(columns))
                session.change_many(
                    f"insert into {table} ({', '.join(columns)}) "
                    f"overriding system value values ({places})",
                    rows,
                )
            session.rows(_NEXT_EVENT.format(schema=database.address.schema))


def _rows(
    source: sqlite3.Connection, table: str
) -> tuple[list[str], Iterator[Sequence[Parameter]]]:
    found = source.execute(f"select * from {table}")
    return [column[0] for column in found.description], iter(found)
