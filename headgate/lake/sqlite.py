"""SQLite as the metastore's database: one file, several processes, no server.

**Two connections** per process: one with ``synchronous=FULL`` for what must survive power loss,
one with ``NORMAL`` for the rest, which survives kill -9.

**Forks.** SQLite remembers its locks per process and file, also for connections opened later: a
forked child would believe it holds its parent's. Therefore a hook closes the connections before a
fork, and both sides open their own when they next need one. A child that was forked past Python's
hooks is refused.

The order of writers is the gate's (``sqlite_gate.py``): every write transaction is behind it.
"""

import os
import shutil
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from weakref import WeakSet

from headgate.clock import Clock
from headgate.errors import (
    AlreadyExists,
    Corrupt,
    HeadgateError,
    Internal,
    NotFound,
    Refused,
    Unavailable,
)
from headgate.lake.database import Session
from headgate.lake.founding import found_lake
from headgate.lake.lock_holders import holders
from headgate.lake.migrations import MIGRATIONS, Migrations, open_facts
from headgate.lake.mounts import file_system_of, refuse_remote
from headgate.lake.records import Commit
from headgate.lake.sql_metastore import SqlMetastore
from headgate.lake.sqlite_connections import DIALECT, Handles, SqliteSession

OLDEST = (3, 37, 0)
_PATIENCE = timedelta(seconds=30)


_LOG_BYTES = 32 << 20
_RESTART_FACTOR = 4
_RESTART_PATIENCE_MS = 200

_LITTLE_BYTES = 1 << 20


def create_sqlite(
    path: Path,
    *,
    clock: Clock,
    lake_id: str,
    main: str,
    genesis: Commit,
    nodes: Mapping[bytes, bytes],
    unique: str,
) -> None:
    """Create a metastore file, whole or not at all; of several creators one succeeds.

    Args:
        path: the file.
        clock: when that is.
        lake_id: the lake's id.
        main: the name of its first branch.
        genesis: its first commit.
        nodes: the nodes of that commit's tree.
        unique: a name nobody else uses, for the file in the making.

    Raises:
        AlreadyExists: ``lake-exists``.
        Refused: ``network-file-system``, ``sqlite-too-old``.
        Corrupt: ``metastore-missing``.
    """
    refuse_remote(path.parent)
    refuse_orphans(path)
    making = path.with_name(f".{path.name}.{unique}")
    database = SqliteDatabase(making)
    try:
        database.prepare()
        found_lake(database, clock=clock, lake_id=lake_id, main=main, genesis=genesis, nodes=nodes)
        database.close()  # the last connection leaves one whole file
        os.link(making, path)
    except FileExistsError as error:
        raise AlreadyExists(
            "lake-exists", f"There is a lake in {path.parent} already.", path=str(path.parent)
        ) from error
    finally:
        database.close()
        for leftover in path.parent.glob(f"{making.name}*"):
            leftover.unlink(missing_ok=True)
    _sync_path(path.parent)


def open_sqlite(
    path: Path,
    *,
    clock: Clock,
    patience: timedelta = _PATIENCE,
    migrations: Migrations = MIGRATIONS,
) -> SqlMetastore:
    """Open a metastore file.

    Args:
        path: the file.
        clock: for leases, and for when branches moved.
        patience: how long to wait for a lock.
        migrations: the steps from each format to the next.

    Raises:
        NotFound: ``no-lake``.
        Refused: ``network-file-system``, ``lake-too-new``, ``lake-too-old``, ``sqlite-too-old``.
        Corrupt: ``metastore-corrupt``, ``metastore-missing``.
        Unavailable: ``metastore-locked``.
    """
    database = sqlite_database(path, patience=patience)
    try:
        facts = open_facts(database, str(path), migrations=migrations)
    except HeadgateError:
        database.close()
        raise
    return SqlMetastore(database, clock=clock, facts=facts)


def sqlite_database(path: Path, *, patience: timedelta = _PATIENCE) -> "SqliteDatabase":
    """Give the database of a metastore file that is there, whatever its format.

    Raises:
        NotFound: ``no-lake``.
        Refused: ``network-file-system``, ``sqlite-too-old``.
        Corrupt: ``metastore-missing``.
    """
    if not path.is_file():
        refuse_orphans(path)
        raise NotFound(
            "no-lake",
            f"There is no lake in {path.parent}.",
            hint="The first  headgate run  makes one.",
            path=str(path.parent),
        )
    refuse_remote(path.parent)
    return SqliteDatabase(path, patience=patience)


def refuse_orphans(path: Path) -> None:
    """Refuse a directory that holds tables' files, and no metastore: its history was lost.

    Raises:
        Corrupt: ``metastore-missing``.
    """
    kept = [name for name in ("data", "metadata") if _holds_anything(path.parent / name)]
    if kept and not path.exists():
        raise Corrupt(
            "metastore-missing",
            f"{path} is missing, but {path.parent} holds the files of a lake's tables.",
            hint="Restore the metastore's backup; or move the directory away to begin anew.",
            path=str(path),
        )


def _holds_anything(directory: Path) -> bool:
    try:
        return any(directory.iterdir())
    except OSError:
        return False


class SqliteDatabase:
    """An SQLite file as a ``Database``. Opens connections when they are first needed.

    Args:
        path: the file.
        patience: how long to wait for a lock.
        log_bytes: how far the log grows between checkpoints. Each costs two syncs, so that many
            small transactions want a long log; a process that was killed leaves it to be read.
    """

    dialect = DIALECT

    def __init__(
        self, path: Path, *, patience: timedelta = _PATIENCE, log_bytes: int = _LOG_BYTES
    ) -> None:
        if sqlite3.sqlite_version_info < OLDEST:
            raise Refused(
                "sqlite-too-old",
                f"This Python has SQLite {sqlite3.sqlite_version}; headgate needs 3.37 or newer.",
                hint="Use a Python that was built with a newer SQLite.",
                version=sqlite3.sqlite_version,
            )
        self._path = path
        self._wal = path.with_name(f"{path.name}-wal")
        self._patience = patience
        self._texts: dict[tuple[str, int], str] = {}
        self._log_bytes = log_bytes
        self._handles = self._new_handles()
        self._checkpointed_bytes = 0
        _OPEN.add(self)

    @property
    def place(self) -> str:
        """The file."""
        return str(self._path)

    def prepare(self) -> None:
        """Make a new file ready: write-ahead logging is a property of the file."""
        with self._translated():
            self._here().connection(durable=True).execute("pragma journal_mode = wal").fetchall()

    @contextmanager
    def reading(self) -> Iterator[SqliteSession]:
        """See one state: each statement is one. Never waits for a writer."""
        here = self._here()
        with self._translated(), here.lock:
            yield SqliteSession(here.connection(durable=False), self._texts)

    @contextmanager
    def writing(self, *, durable: bool) -> Iterator[SqliteSession]:
        """Open a transaction behind the gate."""
        here = self._here()
        with self._translated():
            self._enter(here)
            try:
                with here.durable_lock if durable else here.lock:
                    yield from self._transaction(here, durable=durable)
            finally:
                here.gate.leave()

    def _transaction(self, here: Handles, *, durable: bool) -> Iterator[SqliteSession]:
        connection = here.connection(durable=durable)
        connection.execute("begin immediate")
        session = SqliteSession(connection, self._texts)
        try:
            yield session
            connection.execute("rollback" if session.undone else "commit")
        finally:
            if connection.in_transaction:  # something was raised, perhaps by the commit itself
                with suppress(sqlite3.Error):
                    connection.execute("rollback")
        self._checkpoint(connection)

    def _checkpoint(self, connection: sqlite3.Connection) -> None:
        """Copy the log into the database when it has grown. Only ever called behind the gate."""
        try:
            size = self._wal.stat().st_size
        except FileNotFoundError:
            return
        # The log starts anew, and is cut to its limit, only when the next transaction finds it
        # copied whole and no reader in it. Until then it is tried again as the log grows, not
        # at every transaction.
        if size < self._checkpointed_bytes:
            self._checkpointed_bytes = 0
        if size - self._checkpointed_bytes <= self._log_bytes:
            return
        self._checkpointed_bytes = size
        with suppress(sqlite3.OperationalError):  # the transaction is committed all the same
            if size < _RESTART_FACTOR * self._log_bytes:
                connection.execute("pragma wal_checkpoint(passive)").fetchall()
                return
            # Readers who take turns would keep the log growing for ever: wait for them a moment.
            connection.execute(f"pragma busy_timeout = {_RESTART_PATIENCE_MS}")
            try:
                connection.execute("pragma wal_checkpoint(restart)").fetchall()
            finally:
                patience_ms = self._patience // timedelta(milliseconds=1)
                connection.execute(f"pragma busy_timeout = {patience_ms}")

    def close(self) -> None:
        """Close this process's connections."""
        if self._handles.pid == os.getpid():
            self._handles.close()

    def check(self) -> Sequence[str]:
        """Give what SQLite finds wrong with the file, if anything. Reads all of it."""
        try:
            with self._translated(), self._here().lock:
                found = self._here().connection(durable=False).execute("pragma integrity_check")
                return [text for (text,) in found if text != "ok"]
        except Corrupt as error:
            return [error.message]

    def describe(self) -> str:
        """Give SQLite's version, and the file system the file is on where that is known."""
        kind = file_system_of(self._path)
        return f"SQLite {sqlite3.sqlite_version}" + (f" on {kind}" if kind else "")

    def identity(self) -> str:
        """Name the file by its file system and inode: a copy has others, whatever its path."""
        with self._translated():
            try:
                found = self._path.stat()
                system = os.statvfs(self._path).f_fsid
            except OSError as error:
                raise sqlite3.OperationalError(str(error)) from error
        return f"sqlite:{system}:{found.st_ino}"

    def copy(self, to: Path) -> None:
        """Write a copy of one state of the database to a file; nobody waits meanwhile.

        The copy is synced. It is whole, or not there; a file of that name is replaced.
        """
        making = to.with_name(f".{to.name}.{os.getpid()}.making")
        making.unlink(missing_ok=True)
        try:
            here = self._here()
            with self._translated(), here.copy_lock, closing(here.reader()) as reader:
                reader.execute("vacuum into ?", (str(making),))
            _sync_path(making)
            making.replace(to)
        finally:
            making.unlink(missing_ok=True)
        _sync_path(to.parent)

    def purge(self) -> bool:
        """Write the file anew, and cut its log: what was deleted is in neither.

        Raises:
            Unavailable: ``metastore-locked``: a reader held on to the log.
        """
        here = self._here()
        with self._translated():
            self._enter(here)
            try:
                with here.durable_lock:
                    connection = here.connection(durable=True)
                    connection.execute("vacuum")
                    cut = connection.execute("pragma wal_checkpoint(truncate)").fetchone()
            finally:
                here.gate.leave()
        if cut[0]:
            raise self._locked()
        return True

    def keep_copy(self, session: Session, name: str) -> str:
        """Keep a copy beside the file. What the transaction changed is not in it."""
        del session
        kept = self._path.with_name(f"{self._path.name}.{name}")
        self.copy(kept)
        return str(kept)

    def _enter(self, here: Handles) -> None:
        if not here.gate.enter(self._patience):
            raise self._locked()

    def _here(self) -> Handles:
        if self._handles.pid != os.getpid():
            raise Refused(
                "carried-across-fork",
                f"{self._path} was opened before this process was forked, past Python's hooks.",
                hint="Open the lake in the process that uses it.",
                path=str(self._path),
            )
        return self._handles

    def _new_handles(self) -> Handles:
        return Handles(self._path, self._patience, self._log_bytes)

    def before_fork(self) -> None:
        """Wait for other threads' transactions and close the connections."""
        self._handles.pause()

    def after_fork(self, *, child: bool) -> None:
        """Go on; in the child with locks of its own."""
        handles = self._handles
        if child:
            self._handles = self._new_handles()
        handles.resume(child=child)

    def _locked(self) -> Unavailable:
        beside = (self._path.with_name(f"{self._path.name}{end}") for end in ("", "-shm", "-gate"))
        found = holders(beside)
        by = f"process {' and '.join(found)}" if found else "another process"
        return Unavailable(
            "metastore-locked",
            f"{self._path} was locked by {by} for {self._patience.total_seconds():g} s.",
            hint="Wait for it, or end it if it is stopped; then try again.",
            path=str(self._path),
            holders=list(found),
        )

    def _is_writable(self) -> bool:
        directory = self._path.parent
        return os.access(directory, os.W_OK) and os.access(self._path, os.W_OK)

    def _is_disk_full(self) -> bool:
        """Tell why SQLite could not write: also readers of a closed metastore write a little."""
        try:
            return shutil.disk_usage(self._path.parent).free < _LITTLE_BYTES
        except OSError:
            return False

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._translation(error) from error

    def _translation(self, error: sqlite3.Error) -> HeadgateError:
        name = getattr(error, "sqlite_errorname", "")
        path = str(self._path)
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return self._locked()
        if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")) or "no such table" in str(error):
            return Corrupt(
                "metastore-corrupt",
                f"{path} is no whole metastore: {error}",
                hint="Restore the metastore's backup.",
                path=path,
            )
        if name.startswith("SQLITE_READONLY") or (
            name.startswith("SQLITE_CANTOPEN") and not self._is_writable()
        ):
            return Refused(
                "metastore-read-only",
                f"{path} may not be written: {error}. Reading a lake takes that, too: SQLite notes "
                "who reads.",
                hint="Give yourself the right to write the file and its directory, or a copy.",
                path=path,
            )
        if name == "SQLITE_FULL" or (name.startswith("SQLITE_IOERR") and self._is_disk_full()):
            return Unavailable(
                "metastore-full",
                f"The disk is full: there is no room to write {path}. Nothing was changed.",
                hint="Free some space, then try again.",
                path=path,
            )
        if name.startswith(("SQLITE_IOERR", "SQLITE_CANTOPEN")):
            return Unavailable(
                "metastore-unreachable",
                f"{path} cannot be read or written: {error}",
                hint="Look at the disk, then try again.",
                path=path,
            )
        return Internal("metastore-statement", f"{path}: {error}", path=path)


# Forking is of the whole process, and so is this list: the hooks must find every open database.
_OPEN: WeakSet[SqliteDatabase] = WeakSet()
_PAUSED: dict[int, list[SqliteDatabase]] = {}


def _before_fork() -> None:
    paused = sorted(_OPEN, key=id)  # one order for all threads that fork
    _PAUSED[threading.get_ident()] = paused
    for database in paused:
        database.before_fork()


def _after_fork(*, child: bool) -> None:
    for database in _PAUSED.pop(threading.get_ident()):
        database.after_fork(child=child)


os.register_at_fork(
    before=_before_fork,
    after_in_parent=partial(_after_fork, child=False),
    after_in_child=partial(_after_fork, child=True),
)


def _sync_path(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
