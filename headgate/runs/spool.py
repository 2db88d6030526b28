"""Rows kept on disk for a while, in Arrow's own format, in a file without a name.

A file nobody can name goes away with its process, however that ends.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pyarrow as pa

from headgate.errors import Internal


class Spool:
    """Tables one after the other, each under a schema of its own. Written first, then read."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._files: list[IO[bytes]] = []
        self._writer: pa.RecordBatchStreamWriter | None = None
        self._schema: pa.Schema | None = None
        self._closed = False

    def add(self, table: pa.Table) -> None:
        """Take rows."""
        if self._closed:
            raise Internal("spool-closed", "Rows came to a spool that is closed.")
        if self._writer is None or not table.schema.equals(self._schema):
            self._finish()
            self._directory.mkdir(parents=True, exist_ok=True)
            file = tempfile.TemporaryFile(dir=self._directory, buffering=0)  # noqa: SIM115 - close()
            self._files.append(file)
            self._writer = pa.ipc.new_stream(file, table.schema)
            self._schema = table.schema
        self._writer.write_table(table)

    def batches(self) -> Iterator[pa.Table]:
        """Give the rows in their order, batch by batch."""
        self._finish()
        for file in self._files:
            file.seek(0)
            for batch in pa.ipc.open_stream(file):
                yield pa.Table.from_batches([batch])

    def close(self) -> None:
        """Free the disk."""
        self._closed = True
        self._finish()
        for file in self._files:
            file.close()
        self._files.clear()

    def _finish(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._writer = self._schema = None
