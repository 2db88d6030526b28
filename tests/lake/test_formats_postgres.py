"""Formats in PostgreSQL: an upgrade ends where a new lake begins, and keeps a schema as it was."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from headgate.clock import ManualClock
from headgate.errors import HeadgateError, Refused
from headgate.lake import migrations, statements
from headgate.lake.lake import Lake
from headgate.lake.migrations import Migrations
from headgate.lake.postgres import PostgresDatabase, open_postgres
from headgate.lake.postgres_addresses import address_of
from headgate.names import CountingIds
from headgate.testing.postgres_servers import PostgresServer

CLOCK = ManualClock()
BROKEN: Migrations = (["create table extra (n integer)", "insert into nowhere values (1)"],)
CATALOG = """
    select 'column', table_name, column_name, data_type, is_nullable, coalesce(column_default, '')
        from information_schema.columns where table_schema = '{schema}'
    union all
    select 'index', tablename, indexname, replace(indexdef, '{schema}.', ''), '', ''
        from pg_indexes where schemaname = '{schema}'
    order by 1, 2, 3"""


@pytest.fixture
def old(postgres: PostgresServer) -> str:
    """Give a metastore as format 1 would have laid it out."""
    url = postgres.url()
    with closing(PostgresDatabase(address_of(url))) as database:
        database.prepare()
        with database.writing(durable=True) as session:
            migrations.lay_out(session, {"id": "it", "main": "main"}, migrations=())
    return url


def catalog(url: str) -> list[tuple[str, ...]]:
    address = address_of(url)
    bare, _, _ = url.partition("?")
    with psycopg.connect(bare) as connection:
        rows = connection.execute(CATALOG.format(schema=address.schema)).fetchall()
    return [row for row in rows if row[1] != "receipts"]


def upgrade(url: str, steps: Migrations = migrations.MIGRATIONS) -> migrations.Upgraded:
    with closing(PostgresDatabase(address_of(url))) as database:
        return migrations.upgrade(database, "it", refuse=lambda session: None, migrations=steps)


def facts(url: str) -> dict[str, str]:
    with closing(PostgresDatabase(address_of(url))) as database, database.reading() as session:
        return dict(session.rows(statements.FACTS))


def test_an_upgraded_metastore_has_the_tables_and_facts_of_a_new_one(
    old: str, postgres: PostgresServer, tmp_path: Path
) -> None:
    with pytest.raises(Refused) as caught:
        open_postgres(old, clock=CLOCK)
    assert caught.value.code == "lake-too-old"
    done = upgrade(old)
    assert (done.before, done.after) == (1, migrations.FORMAT)
    new = postgres.url()
    Lake.create(tmp_path, clock=CLOCK, ids=CountingIds(), metastore=new).close()
    assert catalog(old) == catalog(new)
    assert facts(old).keys() == facts(new).keys()
    assert facts(old)["epoch"] == "it"
    assert upgrade(old).copy is None


def test_the_schema_is_kept_as_it_was(old: str) -> None:
    before = [row[:3] for row in catalog(old) if row[0] == "column"]
    kept = upgrade(old).copy
    assert kept is not None
    schema = address_of(old).schema
    beside = old.replace(f"schema={schema}", f"schema={schema}_format_1")
    assert [row[:3] for row in catalog(beside) if row[0] == "column"] == before
    assert facts(beside)["format"] == "1"


def test_an_upgrade_that_fails_leaves_the_format_there_was(old: str) -> None:
    before = catalog(old)
    with pytest.raises(HeadgateError):
        upgrade(old, BROKEN)
    assert catalog(old) == before
    assert facts(old)["format"] == "1"


def test_a_restored_database_is_another(
    postgres: PostgresServer, tmp_path: Path, clone: Callable[[str], str]
) -> None:
    url = postgres.url()
    with Lake.create(tmp_path, clock=CLOCK, ids=CountingIds(), metastore=url) as lake:
        lake.refuse_stranger()
        copied = clone(url)
        with (
            Lake.open(tmp_path, clock=CLOCK, ids=CountingIds(), metastore=copied) as copy,
            pytest.raises(Refused) as caught,
        ):
            copy.refuse_stranger()
    assert caught.value.code == "not-the-owner"


@pytest.fixture
def clone() -> Callable[[str], str]:
    """Copy a schema, as a dump and its restoration do, and give its URL."""

    def clone(url: str) -> str:
        with (
            closing(PostgresDatabase(address_of(url))) as database,
            database.writing(durable=True) as session,
        ):
            database.keep_copy(session, "clone")
            session.change(statements.PUT_FACT, ("copied", "once"))
        schema = address_of(url).schema
        return url.replace(f"schema={schema}", f"schema={schema}_clone")

    return clone
