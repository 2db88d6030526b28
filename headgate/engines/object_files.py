"""Files of object stores as DuckDB opens them: through Python, without its extension for the web.

Reads are ranges, one request each. Writes go up while they are written, and appear only when they
are whole: DuckDB closes a file the same way whether its query succeeded or failed, but only the
file of a query that succeeded ends with Parquet's mark.
"""

import re
from datetime import UTC, datetime
from threading import Lock
from typing import Any, BinaryIO

from fsspec import AbstractFileSystem

from headgate.engines.carrying import carried
from headgate.engines.failures import MEND
from headgate.engines.flat_names import flat_name
from headgate.errors import Corrupt, HeadgateError, Unavailable
from headgate.stores import Bucket, ObjectReader, Upload

_END = b"PAR1"
_ALWAYS = datetime(2000, 1, 1, tzinfo=UTC)
_CLASS_OF_ONE = re.compile(r"\[([*?\[])\]")


class ObjectFiles(AbstractFileSystem):  # type: ignore[misc]  # fsspec ships no types
    """Opens what is in the stores it was told of."""

    protocol = "s3"
    cachable = False

    def __init__(self) -> None:
        super().__init__()
        self._stores: dict[str, Bucket] = {}
        self._lock = Lock()

    def add(self, store: Bucket) -> None:
        """Open URLs below a store's own with it from now on."""
        with self._lock:
            self._stores[f"{store.url}/"] = store

    # -- as DuckDB calls it

    def open(self, path: str, mode: str = "rb", **_: object) -> "BinaryIO | _Written":
        """Open an object to be read, or begin one."""
        with carried():
            store, key = self._place(path)
            if "r" in mode:
                try:
                    return ObjectReader(store, key)  # type: ignore[return-value]  # raw is enough
                except FileNotFoundError as error:
                    raise _missing(path) from error
            return _Written(store.upload(key))

    def size(self, path: str) -> int:
        """Give an object's size."""
        with carried():
            store, key = self._place(path)
            try:
                return store.size(key)
            except FileNotFoundError as error:
                raise _missing(path) from error

    def glob(self, path: str, **_: object) -> list[str]:
        """Give the path: none is a pattern, but marks of patterns were escaped."""
        return [_CLASS_OF_ONE.sub(r"\1", path)]

    def modified(self, path: str) -> datetime:  # noqa: ARG002 - objects never change
        """Give the same instant always."""
        return _ALWAYS

    def exists(self, path: str, **_: object) -> bool:  # noqa: ARG002 - names are new
        """Say no: DuckDB asks this of what it is about to write."""
        return False

    def isfile(self, path: str) -> bool:  # noqa: ARG002 - as above
        """Say no."""
        return False

    def isdir(self, path: str) -> bool:  # noqa: ARG002 - as above
        """Say no."""
        return False

    def mkdir(self, path: str, create_parents: bool = True, **_: Any) -> None:  # noqa: ANN401, FBT001, FBT002
        """Do nothing: there are no directories."""

    def _place(self, path: str) -> tuple[Bucket, str]:
        url = flat_name(path)
        with self._lock:
            found = [start for start in self._stores if url.startswith(start)]
            if found:
                start = max(found, key=len)
                return self._stores[start], url[len(start) :]
        raise Unavailable(
            "location-unreachable",
            f"{path} is in no object store that the query's tables are in.",
            hint="Read it in a source, or through a table.",
            path=path,
        )


class _Written:
    """A file being written, as DuckDB closes it: only what is whole appears."""

    mode = "wb"

    def __init__(self, upload: Upload) -> None:
        self._upload = upload

    def write(self, piece: "bytes | memoryview") -> int:
        with carried():
            return self._upload.write(piece)

    def tell(self) -> int:
        return self._upload.size_bytes

    def flush(self) -> None:
        """Do nothing: parts go up when they are full."""

    def close(self) -> None:
        with carried():
            if self._upload.tail.endswith(_END):
                self._upload.finish()
            else:
                self._upload.abandon()


def _missing(path: str) -> HeadgateError:
    return Corrupt("data-file-missing", f"A data file is missing: {path}.", hint=MEND, path=path)
