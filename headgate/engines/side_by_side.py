"""Writing several results at once, each into a file of its own.

One COPY occupies a core per row group it writes: few large files are written one after the other,
many small ones side by side. Otherwise cores would wait.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue

import duckdb

from headgate.engines.engine import WriteTarget, Written
from headgate.engines.parquet_files import Files, copy_rows, remove_files
from headgate.engines.queries import Query
from headgate.names import Ids

ROW_GROUP = 122_880
"""How many rows a core writes at a time: DuckDB's size of a row group."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A query, its tables made ready, and where its rows go."""

    query: Query
    target: WriteTarget


def at_once(works: int, rows: int, threads: int) -> int:
    """Decide how many of so many files of so many rows in all are written at a time."""
    cores_of_one = max(1, min(threads, rows // max(works, 1) // ROW_GROUP))
    return max(1, min(works, threads // cores_of_one))


def write_side_by_side(
    works: Sequence[Work], connections: Sequence[duckdb.DuckDBPyConnection], ids: Ids
) -> tuple[Written, ...]:
    """Write each work's rows, as many at a time as there are connections; in the works' order.

    Where one fails, the others are stopped, and nothing that was written stays.
    """
    free: SimpleQueue[duckdb.DuckDBPyConnection] = SimpleQueue()
    for connection in connections:
        free.put(connection)
    done: list[tuple[Files, WriteTarget]] = []
    failed: list[BaseException] = []

    def write(work: Work) -> Files | None:
        connection = free.get()
        try:
            if failed:
                return None
            files = copy_rows(
                connection,
                work.query.text,
                work.target,
                unique=ids.unique(),
                parameters=work.query.parameters,
            )
            done.append((files, work.target))
        except BaseException as error:
            failed.append(error)
            for each in connections:
                with suppress(duckdb.Error):
                    each.interrupt()
            raise
        else:
            return files
        finally:
            free.put(connection)

    try:
        if len(connections) == 1:
            found = [write(work) for work in works]
        else:
            with ThreadPoolExecutor(len(connections), "headgate-write") as pool:
                waiting = [pool.submit(write, work) for work in works]
                found = [each.result() for each in waiting]
    except BaseException:
        for files, target in done:
            remove_files(files.paths, target)
        if failed:  # the others only tell that they were stopped
            raise failed[0]  # noqa: B904
        raise
    return tuple(
        Written(paths=files.paths, rows=files.rows, rows_read=files.rows)
        for files in found
        if files is not None
    )
