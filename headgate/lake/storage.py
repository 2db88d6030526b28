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

import errno
import os
import re
from pathlib import Path

from headgate.errors import Corrupt, Invalid, Unavailable

MEND = (
    "Restore it from a backup; a table that a step replaces can be computed again:  "
    "headgate run --force\nLook at every file:  headgate doctor --files"
)
_FULL = (errno.ENOSPC, errno.EDQUOT)
_INSIDE = re.compile(r"(?:^|/)((?:data|metadata)/[0-9a-f-]{36}/.+)\Z")


class Storage:
    """A lake's directory."""

    def __init__(self, location: Path) -> None:
        self.location = location.absolute()
        self._prefix = f"{self.location}/"

    def absolute(self, path: str) -> str:
        """Give the absolute path of a path relative to the lake's location."""
        return self._prefix + path

    def relative(self, path: str) -> str:
        """Give a file's path relative to the lake's location.

        Also for a path that was written before the lake was moved: a table's directory is known by
        its uuid.

        Raises:
            Invalid: ``outside-the-lake``.
        """
        path = path.removeprefix("file://")
        if path.startswith(self._prefix):
            return path[len(self._prefix) :]
        found = _INSIDE.search(path)
        if found is None:
            raise Invalid(
                "outside-the-lake",
                f"{path} is not a file of the lake at {self.location}.",
                hint="Write data files into the directory the write target names.",
                path=path,
            )
        return found[1]

    def make_data_directory(self, uuid: str) -> str:
        """Give the directory of a table's data files, relative; make it if it is not there."""
        return self._directory(f"data/{uuid}")

    def make_metadata_directory(self, uuid: str) -> str:
        """Give the directory of a table's metadata, relative; make it if it is not there."""
        return self._directory(metadata_directory(uuid))

    def create(self, path: str, content: bytes) -> None:
        """Write a new file.

        Raises:
            FileExistsError: the name is taken, which no two writers' names are.
            Unavailable: ``disk-full``; nothing is left of the file.
        """
        place = Path(self.absolute(path))
        try:
            with place.open("xb") as file:
                file.write(content)
        except OSError as error:
            if error.errno not in _FULL:
                raise
            place.unlink(missing_ok=True)
            raise Unavailable(
                "disk-full",
                f"No space left on the disk for {place}.",
                hint="Free space.",
                path=str(place),
            ) from error

    def put(self, path: str, content: bytes) -> None:
        """Write a file that may be there already; readers see the old one or the new one."""
        place = Path(self.absolute(path))
        making = place.with_name(f".{place.name}.{os.getpid()}.making")
        try:
            making.write_bytes(content)
            making.replace(place)
        finally:
            making.unlink(missing_ok=True)

    def read(self, path: str) -> bytes:
        """Give the bytes of a file of metadata.

        Raises:
            Corrupt: ``metadata-missing``, ``metadata-damaged``.
        """
        place = self.absolute(path)
        try:
            return Path(place).read_bytes()
        except FileNotFoundError as error:
            raise Corrupt(
                "metadata-missing",
                f"The Iceberg file {place} is missing.",
                hint=MEND,
                path=place,
            ) from error
        except OSError as error:
            raise metadata_damaged(place, error) from error

    def _directory(self, directory: str) -> str:
        Path(self.absolute(directory)).mkdir(parents=True, exist_ok=True)
        return directory


def metadata_directory(uuid: str) -> str:
    """Give the directory of a table's metadata, relative."""
    return f"metadata/{uuid}"


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
