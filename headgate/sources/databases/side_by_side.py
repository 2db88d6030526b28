"""Several streams of tables at a time, as one; in no order."""

import queue
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from typing import Final, TypeAlias

import pyarrow as pa

Work: TypeAlias = Callable[[], Generator[pa.Table]]

_WAITING_TABLES: Final = 4
_LOOK_S: Final = 0.1


def side_by_side(works: Sequence[Work]) -> Generator[pa.Table]:
    """Give the tables of all works, each in a thread of its own.

    What one raises is raised here, and ends the others. Closing the iterator ends them, too; it
    returns when their threads have ended. A few tables wait in memory, no more.
    """
    done: queue.Queue[pa.Table | BaseException | None] = queue.Queue(_WAITING_TABLES)
    stopped = threading.Event()
    threads = [
        threading.Thread(target=_follow, args=(work, done, stopped), daemon=True) for work in works
    ]
    for thread in threads:
        thread.start()
    try:
        running = len(threads)
        while running:
            given = done.get()
            if given is None:
                running -= 1
            elif isinstance(given, BaseException):
                raise given
            else:
                yield given
    finally:
        stopped.set()
        for thread in threads:
            thread.join()


def _follow(
    work: Work,
    done: "queue.Queue[pa.Table | BaseException | None]",
    stopped: threading.Event,
) -> None:
    last: BaseException | None = None
    try:
        with closing(work()) as tables:
            for table in tables:
                if not _put(done, table, stopped):
                    return
    except BaseException as error:  # noqa: BLE001 - raised again where the tables are taken
        last = error
    _put(done, last, stopped)


def _put(
    done: "queue.Queue[pa.Table | BaseException | None]",
    given: pa.Table | BaseException | None,
    stopped: threading.Event,
) -> bool:
    """Hand over; False where nobody takes any more."""
    while not stopped.is_set():
        try:
            done.put(given, timeout=_LOOK_S)
        except queue.Full:
            continue
        return True
    return False
