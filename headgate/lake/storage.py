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
from pathlib import Path

from headgate.errors import Corrupt, Invalid

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

    def data_directory(self, uuid: str) -> str:
        """Give the directory of a table's data files, relative; make it if it is not there."""
        return self._directory("data", uuid)

    def metadata_directory(self, uuid: str) -> str:
        """Give the directory of a table's metadata, relative; make it if it is not there."""
        return self._directory("metadata", uuid)

    def create(self, path: str, content: bytes) -> None:
        """Write a new file.

        Raises:
            FileExistsError: the name is taken, which no two writers' names are.
        """
        with Path(self.absolute(path)).open("xb") as file:
            file.write(content)

    def read(self, path: str) -> bytes:
        """Give a file's bytes.

        Raises:
            Corrupt: ``lake-file-missing``.
        """
        try:
            return Path(self.absolute(path)).read_bytes()
        except FileNotFoundError as error:
            raise missing(self.absolute(path)) from error

    def _directory(self, kind: str, uuid: str) -> str:
        directory = f"{kind}/{uuid}"
        Path(self.absolute(directory)).mkdir(parents=True, exist_ok=True)
        return directory


def missing(path: str) -> Corrupt:
    """Give the error for a file that a commit refers to and that is not there."""
    return Corrupt(
        "lake-file-missing",
        f"The lake's file {path} is missing.",
        hint="Restore it from a backup; headgate doctor names every commit that needs it.",
        path=path,
    )
