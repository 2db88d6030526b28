"""A crew of threads that do jobs as soon as they may begin; one that has to wait holds no thread.

Jobs are done in the order they were given, each when its time has come: its host's turn, and after
a failure its backoff, or the wait the host asked for.
"""

import heapq
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from random import Random
from types import TracebackType
from typing import Final, Generic, Self, TypeVar

from headgate.clock import Clock
from headgate.http.failures import Failed
from headgate.http.gates import Gate
from headgate.retrying import Retry

_SLICE: Final = timedelta(milliseconds=100)
_MICROSECOND: Final = timedelta(microseconds=1)
_JOIN_S: Final = 2.0

Done = TypeVar("Done")


@dataclass(order=True, slots=True)
class _Job(Generic[Done]):
    order: int
    host: str = field(compare=False)
    do: Callable[[], Done] = field(compare=False)
    finished: Callable[[Done | BaseException], None] = field(compare=False)
    attempt: int = field(default=1, compare=False)


class Crew(Generic[Done]):
    """At most ``width`` jobs are done at once. Threads begin with the first job.

    ``finished`` of a job is called with what it gave, or with its failure, by the thread that did
    it, under ``lock``; it may hand in more jobs. Whoever waits for results waits on ``changed``.
    """

    def __init__(
        self,
        *,
        width: int,
        clock: Clock,
        random: Random,
        retry: Retry,
        gate: Callable[[str], Gate],
    ) -> None:
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self._handed_in = threading.Condition(self.lock)
        self._width = width
        self._clock = clock
        self._random = random
        self._retry = retry
        self._gate = gate
        self._gates: dict[str, Gate] = {}
        self._numbers = count()
        self._ready: dict[str, list[_Job[Done]]] = {}
        self._waiting: list[tuple[int, _Job[Done]]] = []
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._someone_sleeps = False
        self._stopping = False

    def hand_in(
        self,
        host: str,
        do: Callable[[], Done],
        finished: Callable[[Done | BaseException], None],
        *,
        attempt: int = 1,
    ) -> None:
        """Give a job. From its second ``attempt`` on it waits first, as after a failure."""
        with self.lock:
            job = _Job(next(self._numbers), host, do, finished, attempt)
            if attempt > 1:
                delay = self._retry.delay(attempt - 1, self._random)
                heapq.heappush(self._waiting, (self._now() + delay // _MICROSECOND, job))
            else:
                self._put(job)
            if self._idle:
                self._handed_in.notify()
            elif len(self._threads) < self._width and not self._stopping:
                name = f"headgate-http-{len(self._threads) + 1}"
                thread = threading.Thread(target=self._work, name=name, daemon=True)
                self._threads.append(thread)
                thread.start()

    @property
    def waiting(self) -> int:
        """How many jobs wait for their time."""
        return len(self._waiting)

    def close(self) -> None:
        """Begin no further job; wait a moment for those that are being done."""
        with self.lock:
            self._stopping = True
            self._ready.clear()
            self._waiting.clear()
            self._handed_in.notify_all()
        for thread in self._threads:
            thread.join(_JOIN_S / len(self._threads))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def _now(self) -> int:
        return round(self._clock.monotonic_s() * 1_000_000)

    def _work(self) -> None:
        while True:
            with self.lock:
                job = self._next()
            if job is None:
                return
            result: Done | BaseException
            try:
                result = job.do()
            except BaseException as error:  # noqa: BLE001 - handed to who waits for it
                result = error
            with self.lock:
                self._conclude(job, result)

    def _next(self) -> _Job[Done] | None:
        """Wait for a job that may begin; one of those who wait watches the time for all."""
        while not self._stopping:
            now = self._now()
            while self._waiting and self._waiting[0][0] <= now:
                self._put(heapq.heappop(self._waiting)[1])
            soonest = self._waiting[0][0] if self._waiting else None
            for host, jobs in self._ready.items():
                if not jobs:
                    continue
                gate = self._gate_of(host)
                opens = gate.opens(now)
                if opens <= now:
                    gate.take(now)
                    self._handed_in.notify()  # there may be more, or time to be watched
                    return heapq.heappop(jobs)
                soonest = opens if soonest is None else min(soonest, opens)
            if soonest is not None and not self._someone_sleeps:
                self._someone_sleeps = True
                self._sleep(soonest - now)
                self._someone_sleeps = False
            else:
                self._idle += 1
                self._handed_in.wait()
                self._idle -= 1
        return None

    def _put(self, job: _Job[Done]) -> None:
        heapq.heappush(self._ready.setdefault(job.host, []), job)

    def _sleep(self, microseconds: int) -> None:
        """Sleep without the lock, at most a slice: earlier jobs and the end are seen in between."""
        self.lock.release()
        try:
            self._clock.sleep(min(_SLICE, microseconds * _MICROSECOND))
        finally:
            self.lock.acquire()

    def _conclude(self, job: _Job[Done], result: Done | BaseException) -> None:
        if self._stopping:
            return
        gate = self._gate_of(job.host)
        if isinstance(result, Failed):
            failure = result
            if failure.again and job.attempt < self._retry.attempts:
                asked = failure.asked
                if asked is None or asked <= self._retry.patience:
                    delay = self._retry.delay(job.attempt, self._random, asked)
                    due = self._now() + delay // _MICROSECOND
                    if failure.busy:
                        gate.refused(due)
                    job.attempt += 1
                    heapq.heappush(self._waiting, (due, job))
                    self._handed_in.notify()
                    return
        elif not isinstance(result, BaseException):
            gate.answered()
        job.finished(result)
        self.changed.notify_all()

    def _gate_of(self, host: str) -> Gate:
        gate = self._gates.get(host)
        if gate is None:
            gate = self._gates[host] = self._gate(host)
        return gate
