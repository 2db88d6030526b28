"""SQLite as a database of several processes: locks, forks, checkpoints, damage, formats."""

import fcntl
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from headgate.clock import ManualClock
from headgate.errors import Corrupt, HeadgateError, Internal, NotFound, Refused, Unavailable
from headgate.lake import migrations
from headgate.lake.lake import Lake
from headgate.lake.opening import METASTORE_FILE
from headgate.lake.sql_metastore import SqlMetastore
from headgate.lake.sqlite import SqliteDatabase, open_sqlite
from headgate.names import CountingIds

SHORT = timedelta(milliseconds=40)
BIG = 200_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    Lake.create(tmp_path, clock=ManualClock(), ids=CountingIds()).close()
    return tmp_path / METASTORE_FILE


@contextmanager
def opened(path: Path, patience: timedelta = timedelta(seconds=20)) -> Iterator[SqlMetastore]:
    with closing(open_sqlite(path, clock=ManualClock(), patience=patience)) as store:
        yield store


@contextmanager
def gate_held(path: Path) -> Iterator[int]:
    """Hold the gate as another process would: by another opening of its file."""
    file = os.open(f"{path}-gate", os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file
    finally:
        os.close(file)


def put(store: SqlMetastore, number: int, size: int = 10) -> None:
    store.put_nodes({number.to_bytes(20, "big"): os.urandom(size)})


def wal(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


# -- locks


def test_a_gate_held_too_long_names_the_file(path: Path) -> None:
    with opened(path, SHORT) as store, gate_held(path):
        with pytest.raises(Unavailable) as caught:
            put(store, 1)
        assert caught.value.code == "metastore-locked"
        assert str(path) in caught.value.message
        assert caught.value.facts["path"] == str(path)
        assert store.branches()  # reading never waits for a writer


def test_a_stranger_who_holds_the_database_too_long_is_named_so(path: Path) -> None:
    with opened(path, SHORT) as store, closing(sqlite3.connect(path)) as stranger:
        stranger.execute("begin immediate")
        with pytest.raises(Unavailable) as caught:
            put(store, 1)
        assert caught.value.code == "metastore-locked"
        stranger.rollback()
        put(store, 1)


def test_a_writer_waits_its_turn(path: Path) -> None:
    with opened(path) as store:
        with gate_held(path):
            writer = threading.Thread(target=put, args=(store, 7))
            writer.start()
            assert not store.get_nodes([(7).to_bytes(20, "big")])
        writer.join()
        assert store.get_nodes([(7).to_bytes(20, "big")])


def test_a_holder_that_is_killed_gives_the_gate_back(path: Path) -> None:
    script = (
        "import fcntl, os, sys, time\n"
        f"file = os.open({f'{path}-gate'!r}, os.O_RDWR | os.O_CREAT)\n"
        "fcntl.flock(file, fcntl.LOCK_EX)\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with opened(path, SHORT) as store, pytest.raises(Unavailable):
            put(store, 1)
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with opened(path) as store:
        put(store, 1)


def test_an_error_within_a_transaction_undoes_it_and_opens_the_gate(path: Path) -> None:
    with closing(SqliteDatabase(path, patience=SHORT)) as database:

        def fail() -> None:
            with database.writing(durable=False) as session:
                session.change("insert into lake (key, value) values ('a', 'b')")
                session.change("insert into nowhere values (1)")

        with pytest.raises(HeadgateError):
            fail()
        with database.writing(durable=True) as session:
            assert ("a", "b") not in session.rows("select key, value from lake")


# -- the log and its checkpoints


def test_no_connection_checkpoints_by_itself(path: Path) -> None:
    with closing(SqliteDatabase(path)) as database:
        for durable in (False, True):
            connection = database._here().connection(durable=durable)
            assert connection.execute("pragma wal_autocheckpoint").fetchone() == (0,)


def test_what_must_survive_power_loss_is_synced_and_the_rest_is_not(path: Path) -> None:
    with closing(SqliteDatabase(path)) as database:
        settings = {
            durable: database._here().connection(durable=durable).execute("pragma synchronous")
            for durable in (False, True)
        }
        assert {key: cursor.fetchone() for key, cursor in settings.items()} == {
            False: (1,),
            True: (2,),
        }
        for durable in (False, True):
            with database.writing(durable=durable) as session:
                assert session.row("pragma synchronous") == ((2,) if durable else (1,))


LOG = 1 << 20
PIECE = 60_000


def write(database: SqliteDatabase, count: int) -> None:
    for _ in range(count):
        with database.writing(durable=False) as session:
            node = (os.urandom(20), os.urandom(PIECE))
            session.change("insert into nodes (hash, body) values (?, ?)", node)


@contextmanager
def pinned_log(path: Path) -> Iterator[None]:
    """Read from the log as it is now, all the while."""
    with closing(sqlite3.connect(path)) as reader:
        reader.execute("begin")
        reader.execute("select * from lake").fetchall()
        yield


def test_the_log_stays_small(path: Path) -> None:
    with closing(SqliteDatabase(path, log_bytes=LOG)) as database:
        write(database, 90)
        assert wal(path).stat().st_size < LOG + 2 * PIECE


def test_a_log_that_a_reader_pins_is_cut_once_the_reader_is_gone(path: Path) -> None:
    with closing(SqliteDatabase(path, log_bytes=LOG)) as database:
        with pinned_log(path):
            write(database, 50)
            assert wal(path).stat().st_size > 2 * LOG
        write(database, 50)
        assert wal(path).stat().st_size < LOG + 2 * PIECE


def test_a_log_is_checkpointed_as_it_grows_and_not_at_every_transaction(path: Path) -> None:
    asked: list[str] = []
    with closing(SqliteDatabase(path, log_bytes=LOG)) as database, pinned_log(path):
        database._here().connection(durable=False).set_trace_callback(
            lambda text: asked.append(text) if "wal_checkpoint" in text else None
        )
        write(database, 45)
    assert 2 <= len(asked) <= 4
    assert all("passive" in text for text in asked)


def test_readers_who_take_turns_are_waited_for_once_the_log_is_long(path: Path) -> None:
    asked: list[str] = []
    with closing(SqliteDatabase(path, log_bytes=LOG)) as database, pinned_log(path):
        connection = database._here().connection(durable=False)
        patience = connection.execute("pragma busy_timeout").fetchone()
        connection.set_trace_callback(
            lambda text: asked.append(text) if "wal_checkpoint(restart)" in text else None
        )
        write(database, 75)
        assert connection.execute("pragma busy_timeout").fetchone() == patience
    assert 1 <= len(asked) <= 2


def test_checkpoints_happen_only_while_the_gate_is_held(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shut: list[bool] = []
    checkpoint = SqliteDatabase._checkpoint

    def watched(self: SqliteDatabase, connection: sqlite3.Connection) -> None:
        with path.with_name(f"{path.name}-gate").open() as gate:
            try:
                fcntl.flock(gate, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shut.append(False)
            except BlockingIOError:
                shut.append(True)
        checkpoint(self, connection)

    monkeypatch.setattr(SqliteDatabase, "_checkpoint", watched)
    with closing(SqliteDatabase(path, log_bytes=LOG)) as database:
        write(database, 40)
    assert shut == [True] * 40


def test_no_transaction_begins_outside_the_gate(path: Path) -> None:
    with closing(SqliteDatabase(path)) as database, opened(path, SHORT) as other:
        with database.writing(durable=False), pytest.raises(Unavailable):
            put(other, 1)
        put(other, 1)


# -- forks


def test_a_forked_child_opens_connections_of_its_own(path: Path) -> None:
    with opened(path) as store:
        put(store, 1)
        assert child_writes(store, 2) == 0
        put(store, 3)
        assert len(store.get_nodes([n.to_bytes(20, "big") for n in (1, 2, 3)])) == 3


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_beside_writing_threads_harms_neither_side(path: Path) -> None:
    with opened(path) as store:
        ended = threading.Event()
        written: list[int] = []

        def write() -> None:
            while not ended.is_set():
                put(store, 1_000 + len(written))
                written.append(1)

        writer = threading.Thread(target=write)
        writer.start()
        try:
            for number in range(10):
                assert child_writes(store, number) == 0
        finally:
            ended.set()
            writer.join()
        names = [n.to_bytes(20, "big") for n in (*range(10), *range(1_000, 1_000 + len(written)))]
        assert len(store.get_nodes(names)) == len(names)
    with closing(SqliteDatabase(path)) as database:
        assert list(database.check()) == []


def test_a_child_does_not_keep_its_parents_gate_shut(path: Path) -> None:
    """A forked child outlives a parent that was killed within a transaction."""
    script = (
        "import os, signal, sys\n"
        "from headgate.lake.sqlite import SqliteDatabase\n"
        "from pathlib import Path\n"
        f"database = SqliteDatabase(Path({str(path)!r}))\n"
        "with database.writing(durable=False):\n"
        "    pass\n"
        "database._handles.gate.enter(database._patience)\n"
        "if os.fork() == 0:\n"
        "    os.kill(os.getppid(), signal.SIGKILL)\n"
        "    print('orphaned', flush=True)\n"
        "    sys.stdin.read()\n"
        "else:\n"
        "    signal.pause()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"orphaned\n"
        with opened(path) as store:
            put(store, 1)


def test_a_fork_past_pythons_hooks_is_refused(path: Path) -> None:
    with opened(path) as store:
        store.branches()
        database = store._database
        assert isinstance(database, SqliteDatabase)
        database._handles.pid += 1  # as a child sees it that no hook has told
        with pytest.raises(Refused) as caught:
            store.branches()
        assert caught.value.code == "carried-across-fork"
        database._handles.pid -= 1


def child_writes(store: SqlMetastore, number: int) -> int:
    """Fork; the child writes and reads through the same object. Give its exit status."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            put(store, number)
            code = 0 if store.get_nodes([number.to_bytes(20, "big")]) else 2
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


# -- damage


@pytest.mark.parametrize("content", [b"", b"no database at all" * 500, b"SQLite format 3\x00"])
def test_a_file_that_is_no_metastore_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / METASTORE_FILE
    path.write_bytes(content)
    with pytest.raises(Corrupt) as caught:
        open_sqlite(path, clock=ManualClock())
    assert caught.value.code == "metastore-corrupt"
    assert str(path) in caught.value.message


def test_another_programs_database_is_no_lake(tmp_path: Path) -> None:
    path = tmp_path / METASTORE_FILE
    with closing(sqlite3.connect(path)) as other:
        other.execute("create table lake (key text, value text)")
    with pytest.raises(Corrupt) as caught:
        open_sqlite(path, clock=ManualClock())
    assert caught.value.code == "metastore-corrupt"


def test_a_damaged_page_is_found(path: Path) -> None:
    with opened(path) as store:
        for number in range(300):
            put(store, number, 500)
    with closing(SqliteDatabase(path)) as database:
        assert list(database.check()) == []
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 3_000] = os.urandom(3_000)
    path.write_bytes(content)
    with closing(SqliteDatabase(path)) as database:
        assert database.check()


def test_a_full_disk_loses_nothing(path: Path) -> None:
    with opened(path) as store:
        put(store, 1)
        database = store._database
        assert isinstance(database, SqliteDatabase)
        connection = database._here().connection(durable=False)
        connection.execute("pragma max_page_count = 1")  # as large as it is, and no larger
        with pytest.raises(Unavailable) as caught:
            put(store, 2, BIG)
        assert caught.value.code == "metastore-full"
        connection.execute("pragma max_page_count = 1000000")
        put(store, 3)
        assert len(store.get_nodes([n.to_bytes(20, "big") for n in (1, 2, 3)])) == 2


def test_a_file_that_went_away_is_reported(path: Path) -> None:
    with opened(path) as store:
        path.unlink()
        path.mkdir()
        store.close()
        with pytest.raises(Unavailable) as caught:
            store.branches()
        assert caught.value.code == "metastore-unreachable"


def test_a_statement_of_ours_that_is_wrong_is_our_bug(path: Path) -> None:
    with (
        closing(SqliteDatabase(path)) as database,
        pytest.raises(Internal) as caught,
        database.reading() as session,
    ):
        session.rows("select nothing")
    assert caught.value.code == "metastore-statement"


# -- formats and copies


def test_a_lake_of_a_newer_format_is_refused(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("update lake set value = '999' where key = 'format'")
    with pytest.raises(Refused) as caught:
        open_sqlite(path, clock=ManualClock())
    assert caught.value.code == "lake-too-new"
    assert caught.value.facts == {
        "path": str(path),
        "format": 999,
        "newest": migrations.FORMAT,
    }


def test_a_copy_is_taken_while_others_write(path: Path) -> None:
    with opened(path) as store, closing(SqliteDatabase(path)) as database:
        put(store, 1)
        database.copy(path.with_name("copy"))
        put(store, 2)
    with opened(path.with_name("copy")) as copy:
        assert len(copy.get_nodes([n.to_bytes(20, "big") for n in (1, 2)])) == 1


def test_an_old_sqlite_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 36, 0))
    with pytest.raises(Refused) as caught:
        SqliteDatabase(path)
    assert caught.value.code == "sqlite-too-old"


def test_no_metastore_is_made_by_opening(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        open_sqlite(tmp_path / METASTORE_FILE, clock=ManualClock())
    assert list(tmp_path.iterdir()) == []


def test_closing_twice_is_no_error_and_leaves_one_file(path: Path) -> None:
    with opened(path) as store:
        put(store, 1)
        store.close()
        store.close()
    assert not wal(path).exists()
