"""Formats: an upgrade is whole or not there, and ends where a new lake begins."""

import signal
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from headgate.clock import ManualClock
from headgate.errors import HeadgateError, Refused
from headgate.lake import migrations, statements
from headgate.lake.database import Session
from headgate.lake.lake import Lake
from headgate.lake.migrations import Migrations, Upgraded, refuse_at_work
from headgate.lake.opening import METASTORE_FILE
from headgate.lake.sql_metastore import SqlMetastore
from headgate.lake.sqlite import SqliteDatabase, open_sqlite
from headgate.names import CountingIds

CLOCK = ManualClock()
OLDEST: Migrations = ()
STEPS = (["create table extra (n integer)"], ["insert into extra values (7)"])
FIXTURES = Path(__file__).parent / "fixtures"
BROKEN = (["create table extra (n integer)", "insert into nowhere values (1)"],)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give the metastore of a lake of format 1."""
    with tarfile.open(FIXTURES / "format-1.tar.xz") as archive:
        archive.extractall(tmp_path)
    return tmp_path / "lake" / METASTORE_FILE


@contextmanager
def opened(path: Path, steps: Migrations) -> Iterator[SqlMetastore]:
    with closing(open_sqlite(path, clock=CLOCK, migrations=steps)) as store:
        yield store


def nobody(session: Session) -> None:
    refuse_at_work(session, CLOCK.now(), lambda owner: False)


def upgraded(
    path: Path,
    steps: Migrations = migrations.MIGRATIONS,
    *,
    refuse: Callable[[Session], None] = nobody,
) -> Upgraded:
    with closing(SqliteDatabase(path)) as database:
        return migrations.upgrade(database, str(path), refuse=refuse, migrations=steps)


def catalog(path: Path) -> Sequence[tuple[str, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(
            "select type, name, tbl_name, sql from sqlite_master order by name"
        ).fetchall()


def test_an_older_lake_is_refused_until_it_is_upgraded(path: Path) -> None:
    with pytest.raises(Refused) as caught, opened(path, STEPS):
        pass
    assert caught.value.code == "lake-too-old"
    assert caught.value.facts == {"path": str(path), "format": 1, "newest": 3}
    assert "headgate upgrade" in str(caught.value.hint)
    assert upgraded(path, STEPS) == Upgraded(before=1, after=3, copy=f"{path}.format-1")
    with opened(path, STEPS) as store, store._database.reading() as session:
        assert store.describe()["format"] == "3"
        assert session.rows("select n from extra") == [(7,)]


def test_an_upgraded_lake_has_the_tables_and_facts_of_a_new_one(path: Path, tmp_path: Path) -> None:
    upgraded(path)
    Lake.create(tmp_path / "new", clock=CLOCK, ids=CountingIds()).close()
    new = tmp_path / "new" / METASTORE_FILE
    assert catalog(path) == catalog(new)
    facts = []
    for each in (path, new):
        with closing(SqliteDatabase(each)) as database, database.reading() as session:
            facts.append(sorted(key for key, _ in session.rows(statements.FACTS)))
    assert facts[0] == facts[1]


def test_the_metastore_is_kept_as_it_was(path: Path) -> None:
    before = catalog(path)
    upgraded(path)
    kept = Path(f"{path}.format-1")
    assert catalog(kept) == before
    with opened(kept, OLDEST) as store:
        assert store.describe()["format"] == "1"
        assert store.branch("main") is not None


def test_upgrading_twice_changes_nothing(path: Path) -> None:
    upgraded(path)
    assert upgraded(path) == Upgraded(before=migrations.FORMAT, after=migrations.FORMAT, copy=None)


def test_an_upgrade_that_fails_leaves_the_format_there_was(path: Path) -> None:
    before = catalog(path)
    with pytest.raises(HeadgateError):
        upgraded(path, BROKEN)
    assert catalog(path) == before
    with opened(path, OLDEST) as store:
        assert store.describe()["format"] == "1"


def begin(path: Path, *, owner: str) -> None:
    """Begin a run as format 1 did."""
    until = round((CLOCK.now() + timedelta(seconds=60)).timestamp() * 1_000_000)
    with closing(sqlite3.connect(path)) as file:
        file.execute(
            """insert into runs (id, pipeline, target, branch, state, fence, base, began, owner,
                lease_until, settings)
            select 'aaaa', 'p', 'main', 'run/aaaa', 'running', 1, head, created, ?, ?, '{}'
            from branches where name = 'main'""",
            (owner, until),
        )
        file.commit()


def test_no_upgrade_while_a_run_is_at_work(path: Path) -> None:
    begin(path, owner="me")
    with pytest.raises(Refused) as caught:
        upgraded(path, refuse=lambda s: refuse_at_work(s, CLOCK.now(), lambda owner: True))
    assert (caught.value.code, caught.value.facts["runs"]) == ("runs-at-work", ["aaaa"])
    with opened(path, OLDEST) as store:
        assert store.describe()["format"] == "1"


def test_dead_runs_do_not_stop_an_upgrade(path: Path) -> None:
    begin(path, owner="somebody who died")
    assert upgraded(path).after == migrations.FORMAT


KILLED = """
import os, signal, sys
from pathlib import Path
from headgate.lake import migrations
from headgate.lake.sqlite import SqliteDatabase

database = SqliteDatabase(Path(sys.argv[1]))
kept = database.keep_copy

def kill_after_copy(session, name):
    kept(session, name)
    os.kill(os.getpid(), signal.SIGKILL)

def kill_before_commit():
    os.kill(os.getpid(), signal.SIGKILL)

class Dying(list):
    def __iter__(self):
        yield from super().__iter__()
        kill_before_commit()

steps = migrations.MIGRATIONS
if sys.argv[2] == "copy":
    database.keep_copy = kill_after_copy
else:
    steps = (*steps[:-1], Dying(steps[-1]))
migrations.upgrade(database, "it", refuse=lambda session: None, migrations=steps)
"""


@pytest.mark.parametrize("when", ["copy", "commit"])
def test_an_upgrade_that_was_killed_is_begun_again(path: Path, when: str) -> None:
    before = catalog(path)
    command = [sys.executable, "-c", KILLED, str(path), when]
    assert subprocess.run(command, check=False, timeout=60).returncode == -signal.SIGKILL
    assert catalog(path) == before
    assert upgraded(path).copy == f"{path}.format-1"
    assert catalog(Path(f"{path}.format-1")) == before
    assert not list(path.parent.glob(".*making*"))
