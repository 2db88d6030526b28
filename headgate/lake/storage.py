"""Storage: which files live where. Each is created exclusively, under a name nobody else makes.

::

    <location>/data/<table uuid>/<prefix>-<uuid>.parquet
    <location>/metadata/<table uuid>/<sequence>-<uuid>.metadata.json    Iceberg table metadata
                                     <sequence>-<uuid>.files.json       its file list; may be
                                     dropped <uuid>-list.avro, <uuid>-<n>.avro  Iceberg manifest
                                     list, manifests

Our own records hold paths relative to the location, so that a moved lake finds its files. Iceberg's
files hold absolute ones.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, BinaryIO, Protocol

from headgate.errors import Corrupt, Invalid
from headgate.lake.durability import FileSync
from headgate.stores import Stored

if TYPE_CHECKING:
    from headgate.stores import Bucket

MEND = (
    "Restore it from a backup; a table that a step replaces can be computed again:  "
    "headgate run --force\nLook at every file:  headgate doctor --files"
)
_INSIDE = re.compile(r"(?:^|/)((?:data|metadata)/[0-9a-f-]{36}/.+)\Z")


class Storage(Protocol):
    """Where a lake's files are. Paths are relative to its location unless a name says otherwise."""

    location: str
    """A directory, or a URL; without a slash at its end."""

    store: "Bucket | None"
    """What engines open files with; None where a path is enough."""

    def absolute(self, path: str) -> str:
        """Give what a file of that path is known by outside of the lake."""
        ...

    def relative(self, path: str) -> str:
        """Give a file's path relative to the lake's location.

        Also for a path that was written before the lake was moved: a table's directory is known by
        its uuid.

        Raises:
            Invalid: ``outside-the-lake``.
        """
        ...

    def make_data_directory(self, uuid: str) -> str:
        """Give the directory of a table's data files; make it where directories are made."""
        ...

    def make_metadata_directory(self, uuid: str) -> str:
        """Give the directory of a table's metadata; make it where directories are made."""
        ...

    def create(self, path: str, content: bytes) -> None:
        """Write a new file.

        Raises:
            FileExistsError: the name is taken, which no two writers' names are.
            Unavailable: ``disk-full``, ...; nothing is left of the file.
        """
        ...

    def create_all(self, files: Mapping[str, bytes]) -> None:
        """Write new files, in no order, as many at a time as it pays.

        Where one fails, others may be there: nothing may refer to any of them then.
        """
        ...

    def put(self, path: str, content: bytes) -> None:
        """Write a file that may be there already; readers see the old one or the new one.

        Only the lake's own mark is such a file.
        """
        ...

    def read(self, path: str) -> bytes:
        """Give the bytes of a file of metadata.

        Raises:
            Corrupt: ``metadata-missing``, ``metadata-damaged``.
        """
        ...

    def find(self, path: str) -> bytes | None:
        """Give the bytes of a file that need not be there."""
        ...

    def open(self, path: str) -> BinaryIO:
        """Open a file to read parts of it.

        Raises:
            FileNotFoundError: it is not there.
        """
        ...

    def size(self, path: str, *, fresh: bool = False) -> int:
        """Give a file's size in bytes; ``fresh`` looks again at what was looked at before.

        Raises:
            FileNotFoundError: it is not there.
        """
        ...

    def checksum(self, path: str, *, fresh: bool = False) -> str:
        """Give ``sha256:<hex>`` of a file's bytes; may cost one read of it.

        Raises:
            FileNotFoundError: it is not there.
        """
        ...

    def sync(self, paths: Iterable[str], *, by: FileSync | None = None) -> None:
        """Make files survive a power cut. Returns when they do.

        Raises:
            OSError: a file is missing, or the disk refused; nothing may be published then.
        """
        ...

    def list(self, prefix: str = "") -> Iterator[Stored]:
        """Give the files below a directory (``data``, ``metadata/<uuid>``, all), in no order.

        Files that come or go meanwhile may be told or not. A directory that is not there is empty.
        """
        ...

    def forget(self) -> None:
        """Drop what is remembered of files; nothing is lost."""
        ...

    def delete(self, paths: Iterable[str]) -> None:
        """Delete files for good; those that are not there are no error.

        Only a sweep that has marked them may.
        """
        ...


def inside(path: str) -> str | None:
    """Give the path within its lake of a file of any lake, known by its table's directory."""
    found = _INSIDE.search(path)
    return found[1] if found is not None else None


def outside(path: str, location: str) -> Invalid:
    """Give the error for a path that is not the lake's."""
    return Invalid(
        "outside-the-lake",
        f"{path} is not a file of the lake at {location}.",
        hint="Write data files into the directory the write target names.",
        path=path,
    )


def data_directory(uuid: str) -> str:
    """Give the directory of a table's data files, relative."""
    return f"data/{uuid}"


def metadata_directory(uuid: str) -> str:
    """Give the directory of a table's metadata, relative."""
    return f"metadata/{uuid}"


def metadata_missing(path: str) -> Corrupt:
    """Give the error for a file of Iceberg metadata that is not there."""
    return Corrupt("metadata-missing", f"The Iceberg file {path} is missing.", hint=MEND, path=path)


def metadata_damaged(path: str, error: Exception) -> Corrupt:
    """Give the error for a file of Iceberg metadata that cannot be read."""
    return Corrupt(
        "metadata-damaged",
        f"The Iceberg file {path} is not what was written.",
        hint=MEND,
        path=path,
        reason=str(error),
    )


def data_file_missing(path: str) -> Corrupt:
    """Give the error for a data file that a commit refers to and that is not there."""
    return Corrupt("data-file-missing", f"A data file is missing: {path}.", hint=MEND, path=path)


def data_file_damaged(path: str, reason: str) -> Corrupt:
    """Give the error for a data file whose bytes are not those that were written."""
    return Corrupt(
        "data-file-damaged",
        f"A data file is not what was written: {path}.",
        hint=MEND,
        path=path,
        reason=reason,
    )
