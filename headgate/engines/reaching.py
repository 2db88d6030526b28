"""Which object stores a DuckDB database reaches."""

from threading import Lock
from typing import TYPE_CHECKING

import duckdb

if TYPE_CHECKING:
    from headgate.engines.object_files import ObjectFiles
    from headgate.stores import Bucket


class Reaching:
    """Tells a database of object stores as tables need them. Safe between threads."""

    def __init__(self, database: duckdb.DuckDBPyConnection) -> None:
        self._database = database
        self._files: ObjectFiles | None = None
        self._known: dict[int, Bucket] = {}  # keeps them, so that no id is used twice
        self._lock = Lock()

    def add(self, store: "Bucket | None") -> None:
        """Make files of a store readable and writable by their URLs; None is a local disk."""
        if store is None or id(store) in self._known:
            return
        with self._lock:
            if self._files is None:
                from headgate.engines.object_files import (  # noqa: PLC0415 - only where needed
                    ObjectFiles,
                )

                self._files = ObjectFiles()
                self._database.register_filesystem(self._files)
            self._files.add(store)
            self._known[id(store)] = store
