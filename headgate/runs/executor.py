"""Runs the steps of one attempt in the order the graph allows, several at once, in threads.

The coordinator (the calling thread) owns the run's branch: workers compute, it commits.
A step is released only after the transaction that says its upstreams are done. Completions that
arrive while a transaction is in flight share the next one. Nothing polls for them.

Steps run in daemon threads: SQL and engines release the GIL, and Ctrl-C never waits for a worker. A
thread cannot be killed, therefore ``timeout=`` is refused where a step is declared; a process pool
takes the place of ``_Workers`` for steps that need one.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Generic, TypeVar

from headgate.pipelines import Graph

SIGNAL_S = 0.5
"""A signal that arrives just before a wait begins is seen when the wait ends: no wait is longer."""

Outcome = TypeVar("Outcome")


@dataclass(frozen=True, slots=True)
class Finished(Generic[Outcome]):
    """A step that ended: with an outcome, or with the error it raised."""

    step: str
    outcome: Outcome | None
    error: BaseException | None


class _Workers(Generic[Outcome]):
    """Daemon threads that take step names and put what came of them."""

    def __init__(self, work: Callable[[str], Outcome], count: int) -> None:
        self._work = work
        self._todo: SimpleQueue[str | None] = SimpleQueue()
        self._done: SimpleQueue[Finished[Outcome]] = SimpleQueue()
        self._threads = [
            Thread(target=self._loop, name=f"step-{number}", daemon=True) for number in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def give(self, step: str) -> None:
        self._todo.put(step)

    def ended(self) -> list[Finished[Outcome]]:
        """Wait for a step to end, and give all that have."""
        while True:
            try:
                ended = [self._done.get(timeout=SIGNAL_S)]
                break
            except Empty:
                pass
        while not self._done.empty():
            ended.append(self._done.get())
        return ended

    def stop(self) -> None:
        for _ in self._threads:
            self._todo.put(None)

    def _loop(self) -> None:
        while (step := self._todo.get()) is not None:
            try:
                outcome = self._work(step)
            except BaseException as error:  # noqa: BLE001 - the coordinator decides
                self._done.put(Finished(step, None, error))
            else:
                self._done.put(Finished(step, outcome, None))


def execute(
    graph: Graph,
    *,
    done: Collection[str],
    work: Callable[[str], Outcome],
    commit: Callable[[Sequence[Finished[Outcome]], Sequence[str]], bool],
    parallel: int,
) -> None:
    """Run every step that is not in ``done``.

    ``work`` computes one step in a worker thread. ``commit`` is called in this thread, one call per
    transaction, with the steps that just ended and those about to start; it stores both durably and
    answers whether to go on. After a False, or a failure, nothing new starts; what runs is waited
    for and committed, so that a later resume finds it.

    Raises:
        whatever ``commit`` raises.
    """
    ready = graph.ready(done)
    waiting = list(ready.take())
    if not waiting:
        return
    workers = _Workers(work, min(parallel, len(graph)))
    running, going = 0, True
    ended: list[Finished[Outcome]] = []
    try:
        while True:
            for end in ended:
                if end.error is None:
                    ready.done(end.step)
            going = going and all(end.error is None for end in ended)
            waiting += ready.take()
            starting = waiting[: parallel - running] if going else []
            if ended or starting:
                going = commit(ended, starting) and going
            if going:
                del waiting[: len(starting)]
                running += len(starting)
                for step in starting:
                    workers.give(step)
            if running == 0:
                return
            ended = workers.ended()
            running -= len(ended)
    finally:
        workers.stop()
