"""Readers' leases: who reads a commit for long holds it, so that no file goes under its hands.

A short read needs none, the grace covers it. So nothing is written while a reading is young: one
thread looks after all of a process's readings of a lake, gives those that grew old a pin that ends
by itself, and renews it. It begins with the first reading.
"""

import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from weakref import finalize

from headgate.clock import Clock
from headgate.errors import HeadgateError
from headgate.lake.metastore import Metastore
from headgate.lake.pins import Pin
from headgate.lake.records import Commit
from headgate.names import Ids

YOUNG = timedelta(minutes=1)
"""A reading that lasts longer gets a lease; far below every grace beside which people work."""

LEASE = timedelta(minutes=10)
"""How long a lease lasts without its reader."""

_BEAT = timedelta(seconds=30)


@dataclass(slots=True)
class _Reading:
    commit: Commit
    why: str
    since_s: float
    count: int = 1
    pin: str | None = None


class Leases:
    """The readings of one lake by this process. Safe between threads; costs nothing while young.

    Args:
        metastore: where leases are written down.
        clock: how old readings are.
        ids: names leases.
        owner: names the process to people.
    """

    def __init__(self, metastore: Metastore, *, clock: Clock, ids: Ids, owner: str) -> None:
        self._metastore = metastore
        self._clock = clock
        self._ids = ids
        self._owner = owner
        self._readings: dict[str, _Reading] = {}
        self._ended: list[str] = []
        self._lock = threading.Lock()
        self._beating = threading.Lock()
        self._closed = threading.Event()
        self._keeper: threading.Thread | None = None
        self._pid = 0

    def hold(self, reader: object, commit: Commit, *, why: str) -> None:
        """Hold a commit's files for as long as ``reader`` lives. Writes nothing yet."""
        with self._lock:
            reading = self._readings.get(commit.id)
            if reading is None:
                since = self._clock.monotonic_s()
                self._readings[commit.id] = _Reading(commit, why, since)
            else:
                reading.count += 1
            self._start()
        finalize(reader, self._ended.append, commit.id).atexit = False

    def beat(self) -> None:
        """Give old readings a lease, renew those there are, let go of what nobody reads any more.

        The keeper does this now and then.
        """
        with self._beating:
            if not self._closed.is_set():
                self._beat()

    def close(self) -> None:
        """Let go of everything. Closing twice is no error."""
        self._closed.set()
        if self._pid != os.getpid():
            return  # nobody reads, or the readings are those of the process this was forked from
        with self._beating, self._lock:
            pins = [reading.pin for reading in self._readings.values()]
            self._readings.clear()
        self._let_go(pin for pin in pins if pin is not None)

    # -- parts

    @property
    def _holder(self) -> str:
        return f"{self._owner}/{id(self):x}"

    def _beat(self) -> None:
        now = self._clock.now()
        old = self._clock.monotonic_s() - YOUNG.total_seconds()
        with self._lock:
            dropped = self._settle()
            waiting = [r for r in self._readings.values() if r.pin is None and r.since_s <= old]
            renew = any(reading.pin is not None for reading in self._readings.values())
        retention = self._metastore.retention
        self._let_go(dropped)
        if renew:
            retention.renew(self._holder, until=now + LEASE)
        for reading in waiting:
            pin = Pin(
                id=self._ids.unique(),
                kind="reader",
                holder=self._holder,
                commit=reading.commit.id,
                created=now,
                until=now + LEASE,
                why=reading.why,
            )
            if retention.pin(pin):  # else it was swept away before, and reading it says so
                reading.pin = pin.id

    def _start(self) -> None:
        """Begin to look after readings; after a fork, anew, with none of the parent's leases."""
        if self._pid != os.getpid():
            self._pid = os.getpid()
            for reading in self._readings.values():
                reading.pin = None
            self._closed = threading.Event()
            self._beating = threading.Lock()
            self._keeper = None
        if self._keeper is None and not self._closed.is_set():
            self._keeper = threading.Thread(
                target=self._keep, args=(self._closed,), name="headgate-leases", daemon=True
            )
            self._keeper.start()

    def _keep(self, closed: threading.Event) -> None:
        while not closed.wait(_BEAT.total_seconds()):
            try:
                self.beat()
            except HeadgateError:  # locked, or out of reach: the next beat may come through
                continue

    def _settle(self) -> list[str]:
        """Count the readers that are gone; give the leases nobody needs any more."""
        dropped: list[str] = []
        while self._ended:
            reading = self._readings.get(commit := self._ended.pop())
            if reading is None:
                continue
            reading.count -= 1
            if reading.count == 0:
                del self._readings[commit]
                if reading.pin is not None:
                    dropped.append(reading.pin)
        return dropped

    def _let_go(self, pins: Iterable[str]) -> None:
        for pin in pins:
            self._metastore.retention.unpin(pin)
