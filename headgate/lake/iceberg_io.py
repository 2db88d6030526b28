"""How PyIceberg finds the lake's files, and why it never deletes one."""

from pyiceberg.io import InputFile, OutputFile
from pyiceberg.io.pyarrow import PyArrowFile, PyArrowFileIO
from pyiceberg.typedef import EMPTY_DICT, Properties

from headgate.errors import Invalid
from headgate.lake.storage import Storage

_ANY_REGION = "us-east-1"


class LakeIO(PyArrowFileIO):
    """Finds the lake's files where the lake is now, wherever it was when they were written.

    What reaches an object store is in its properties, as Iceberg's clients know them, so that other
    readers of its tables reach it, too. They are stored nowhere.
    """

    def __init__(self, storage: Storage, properties: Properties = EMPTY_DICT) -> None:
        super().__init__({**_reaching(storage), **properties})
        self._storage = storage

    def new_input(self, location: str) -> PyArrowFile:
        """Open a file for reading."""
        return super().new_input(self._here(location))

    def new_output(self, location: str) -> PyArrowFile:
        """Open a file for writing."""
        return super().new_output(self._here(location))

    def delete(self, location: str | InputFile | OutputFile) -> None:
        """Leave the file: older commits may need it, and only the lake's own sweep knows."""

    def __reduce__(self) -> tuple[object, ...]:
        """Travel to another process."""
        return LakeIO, (self._storage, self.properties)

    def _here(self, location: str) -> str:
        try:
            return self._storage.absolute(self._storage.relative(location))
        except Invalid:
            return location


def _reaching(storage: Storage) -> dict[str, str]:
    """Give the properties with which Iceberg's clients reach the lake's files."""
    if storage.store is None:
        return {}
    options = storage.store.options
    found: dict[str, str | None] = {
        "s3.endpoint": options.endpoint,
        "s3.region": options.region or (_ANY_REGION if options.endpoint else None),
        "s3.request-timeout": str(options.timeout_s),
    }
    if options.credentials is not None:
        found |= {
            "s3.access-key-id": options.credentials.access_key_id,
            "s3.secret-access-key": options.credentials.secret_access_key,
            "s3.session-token": options.credentials.session_token,
        }
    return {name: value for name, value in found.items() if value is not None}
