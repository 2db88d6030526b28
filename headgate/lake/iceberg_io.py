"""How PyIceberg finds the lake's files, and why it never deletes one."""

from pyiceberg.io import InputFile, OutputFile
from pyiceberg.io.pyarrow import PyArrowFile, PyArrowFileIO
from pyiceberg.typedef import EMPTY_DICT, Properties

from headgate.errors import Invalid
from headgate.lake.storage import Storage


class LakeIO(PyArrowFileIO):
    """Finds the lake's files where the lake is now, wherever it was when they were written."""

    def __init__(self, storage: Storage, properties: Properties = EMPTY_DICT) -> None:
        super().__init__(properties)
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
