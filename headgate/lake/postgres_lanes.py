"""Connections to PostgreSQL: as many as threads need at once, each made anew when it is lost.

A *lane* is a connection that comes and goes. Each has a row of its own in ``receipts``, and every
transaction that writes puts its number there: whoever lost the answer to a COMMIT asks the row. The
question waits until the server has ended the transaction; numbers of a lane never go back.

Nothing of ours lives in a server's session: no prepared statement, no setting, no lock outlasts its
transaction. A pooler may hand every transaction to another session.

**Forks.** A child that used, or merely closed, its parent's connection would end the parent's
session. A hook gives the child lanes of its own, and takes the parent's sockets from it, so that
the server still notices when the parent dies.
"""

import os
import secrets
import select
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import Any, TypeAlias
from weakref import WeakSet

import psycopg
from psycopg.pq import TransactionStatus

from headgate.clock import SystemClock
from headgate.errors import HeadgateError, Refused, Unavailable
from headgate.lake import postgres_errors
from headgate.lake.database import Undone
from headgate.lake.postgres_addresses import Address

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

OLDEST = 14
MOST_LANES = 8
_IDLE_S = 60.0
_FIRST_PAUSE = timedelta(milliseconds=20)
_LONGEST_PAUSE = timedelta(seconds=1)
_CLOCKS_APART = timedelta(seconds=10)
_GREET = "select current_setting('server_encoding'), extract(epoch from clock_timestamp())::float8"


class Lane:
    """A connection that is made when it is needed. Used by one thread at a time."""

    def __init__(self, lanes: "Lanes") -> None:
        self._lanes = lanes
        self._connection: Connection | None = None
        self.name = secrets.token_hex(8)
        self.number = 0
        self.used_s = 0.0

    def connection(self) -> Connection:
        """Give the connection; wait for a server that went away.

        Raises:
            Unavailable: ``metastore-unreachable``. Refused: ``metastore-login``, ...
        """
        if self._connection is not None and _is_stale(self._connection):
            self.drop()
        if self._connection is None:
            self._connection = self._lanes.connect()
        return self._connection

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection, as far as is known without asking."""
        return self._connection is not None and not _is_stale(self._connection)

    def is_lost(self, error: psycopg.Error) -> bool:
        """Say whether it was the connection that failed, and no statement."""
        connection = self._connection
        return connection is None or postgres_errors.is_lost(error, connection)

    def lost(self, error: psycopg.Error) -> Undone:
        """Give the error for a transaction that went away with its connection."""
        return postgres_errors.lost(error, self._lanes.address)

    def roll_back(self) -> None:
        """End a transaction that is open, and undo it; or give the connection up."""
        connection = self._connection
        if connection is None or connection.info.transaction_status is TransactionStatus.IDLE:
            return
        try:
            connection.execute("rollback")
        except psycopg.Error:
            self.drop()

    def drop(self) -> None:
        """Give the connection up."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):
                connection.close()

    def abandon(self) -> None:
        """Leave the connection to the process that was forked from: close our end of its socket."""
        if self._connection is not None:
            with suppress(psycopg.Error, OSError):
                os.close(self._connection.fileno())


class Lanes:
    """The lanes of one process to one server. Safe between threads."""

    def __init__(self, address: Address, *, most: int = MOST_LANES) -> None:
        self.address = address
        self._most = most
        # Servers and sockets live in real time, whatever clock the lake lives by.
        self._clock = SystemClock()
        self._greeted = False
        self._gave_up = False
        self._closed = False
        self._new()
        _OPEN.add(self)

    def _new(self) -> None:
        self._free = threading.Semaphore(self._most)
        self._lock = threading.Lock()
        self._idle: list[Lane] = []
        self._all: WeakSet[Lane] = WeakSet()
        self._used: set[str] = set()

    @contextmanager
    def lane(self) -> Iterator[Lane]:
        """Lend a lane; the one that was used last, so that those nobody needs grow old."""
        with self._free:
            with self._lock:
                lane = self._idle.pop() if self._idle else Lane(self)
                self._all.add(lane)
            try:
                yield lane
            finally:
                for each in self._take_back(lane):
                    each.drop()

    def _take_back(self, lane: Lane) -> list[Lane]:
        """Keep a lane for the next; give those to be dropped: too old, or come after the end."""
        lane.used_s = self._clock.monotonic_s()
        with self._lock:
            if lane.number:
                self._used.add(lane.name)
            if self._closed:
                return [lane]
            old = [each for each in self._idle if lane.used_s - each.used_s > _IDLE_S]
            self._idle = [each for each in self._idle if each not in old]
            self._idle.append(lane)
        return old

    def used(self) -> list[str]:
        """Give the names of the lanes that have written since this was last asked."""
        with self._lock:
            used, self._used = self._used, set()
        return sorted(used)

    def close(self) -> None:
        """Drop all connections; one in use, a heartbeat's for example, when it is given back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for lane in idle:
            lane.drop()

    def connect(self) -> Connection:
        """Connect; a server that was there before is waited for, once, until patience ends."""
        began_s = self._clock.monotonic_s()
        pause = _FIRST_PAUSE
        while True:
            try:
                connection = self._greet(self._dial())
            except psycopg.OperationalError as error:
                refused = postgres_errors.refusal(error, self.address)
                if refused is not None:
                    raise refused from error
                waited_s = self._clock.monotonic_s() - began_s
                hopes = self._greeted or postgres_errors.is_passing(error)
                if not hopes or self._gave_up or waited_s > self.address.patience.total_seconds():
                    waited = f" (waited {waited_s:.0f} s)" if hopes and not self._gave_up else ""
                    self._gave_up = self._greeted
                    raise postgres_errors.unreachable(error, self.address, waited) from error
                self._clock.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                self._gave_up = False
                return connection

    def _dial(self) -> Connection:
        return psycopg.connect(
            **self.address.options,  # type: ignore[arg-type]  # libpq's own, all texts
            autocommit=True,
            prepare_threshold=None,  # a prepared statement would outlast its transaction
        )

    def _greet(self, connection: Connection) -> Connection:
        """Look at a server once: whether it is one that we can work with."""
        if self._greeted:
            return connection
        try:
            version = connection.info.server_version // 10_000
            ((encoding, epoch_s),) = connection.execute(_GREET).fetchall()
            now = self._clock.now()
            apart = abs(now - datetime.fromtimestamp(epoch_s, now.tzinfo))
            self._refuse_unfit(version, encoding, apart)
        except (HeadgateError, psycopg.Error):
            connection.close()
            raise
        self._greeted = True
        return connection

    def _refuse_unfit(self, version: int, encoding: str, apart: timedelta) -> None:
        facts = self.address.facts
        if version < OLDEST:
            raise Refused(
                "postgres-too-old",
                f"{self.address} is PostgreSQL {version}; headgate needs {OLDEST} or newer: older "
                "ones get no corrections any more.",
                hint="Upgrade the server.",
                version=version,
                **facts,
            )
        if encoding != "UTF8":
            raise Refused(
                "postgres-encoding",
                f"The database of {self.address} is in {encoding}; names and records are UTF-8.",
                hint=f"createdb --encoding=UTF8 --template=template0 {self.address.database}",
                **facts,
            )
        if apart > _CLOCKS_APART:
            raise Unavailable(
                "clocks-apart",
                f"This machine's clock and that of {self.address} are {apart.total_seconds():,.0f}"
                " s apart: leases that others hold would be misread.",
                hint="Set the clock that is wrong, by NTP for example.",
                **facts,
            )

    def after_fork(self) -> None:
        """Begin anew in a child; what is the parent's stays the parent's."""
        for lane in list(self._all):
            lane.abandon()
            _PARENTS.append(lane)  # closing it, were it only by being forgotten, is not ours to do
        self._new()


def _is_stale(connection: Connection) -> bool:
    """Say whether the server has closed a connection nobody was using; costs no round trip."""
    if connection.closed:
        return True
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


# Forking is of the whole process, and so are these: the hook must find all that is open.
_OPEN: WeakSet[Lanes] = WeakSet()
_PARENTS: list[Lane] = []


def _after_fork() -> None:
    for lanes in list(_OPEN):
        lanes.after_fork()


os.register_at_fork(after_in_child=_after_fork)
