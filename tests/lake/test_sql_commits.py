"""What is kept of commits that were read, where rows are erased meanwhile."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest

from headgate.clock import ManualClock
from headgate.lake import statements
from headgate.lake.commits import encode_erased
from headgate.lake.database import Reader
from headgate.lake.lake import Lake
from headgate.lake.opening import METASTORE_FILE
from headgate.lake.records import Commit
from headgate.lake.sql_commits import SqlCommits
from headgate.lake.sqlite import SqliteDatabase
from headgate.names import CountingIds

ELSEWHERE = "00" * 32


class Meanwhile(SqliteDatabase):
    """A database in which something happens once, right after a reading."""

    then: Callable[[], None] | None = None

    def reading(self) -> AbstractContextManager[Reader]:
        @contextmanager
        def read() -> Iterator[Reader]:
            with super(Meanwhile, self).reading() as session:
                yield session
            then, self.then = self.then, None
            if then is not None:
                then()

        return read()


@pytest.fixture
def genesis(tmp_path: Path) -> Commit:
    with Lake.create(tmp_path, clock=ManualClock(), ids=CountingIds()) as lake:
        return lake.resolve("main")


def test_a_commit_read_while_rows_are_erased_is_not_kept(tmp_path: Path, genesis: Commit) -> None:
    erased = Commit(id=genesis.id, parent=None, number=0, tree=ELSEWHERE, record=genesis.record)
    with closing(Meanwhile(tmp_path / METASTORE_FILE)) as database:
        commits = SqlCommits(database)
        commits.notice("0")

        def erase() -> None:
            with database.writing(durable=False) as session:
                body = encode_erased(erased)
                session.change(statements.SET_COMMIT_BODY, (body, genesis.id))
            commits.notice("1")

        database.then = erase
        assert commits.some([genesis.id]) == [genesis]  # it had begun before
        assert commits.some([genesis.id]) == [erased]
        assert commits.chain(genesis.id, since=-1, limit=None, cached=True) == [erased]


def test_a_commit_is_read_once(tmp_path: Path, genesis: Commit) -> None:
    with closing(Meanwhile(tmp_path / METASTORE_FILE)) as database:
        commits = SqlCommits(database)
        first = commits.some([genesis.id])[0]
        assert first == genesis
        assert commits.some([genesis.id])[0] is first
