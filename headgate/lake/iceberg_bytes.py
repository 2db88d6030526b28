"""Files as PyIceberg's readers and writers take them, in memory.

What is written goes to the disk in one exclusive write; what is read was read by us, who know where
the lake is.
"""

import io

from pyiceberg.io import InputFile, InputStream, OutputFile, OutputStream


class _Written(io.BytesIO):
    """Keeps its bytes when PyIceberg closes it."""

    def close(self) -> None:
        """Stay open; the bytes are taken afterwards."""


class MemoryOutput(OutputFile):
    """Collects a file's bytes, to be created in one exclusive write."""

    def __init__(self, location: str) -> None:
        super().__init__(location)
        self.stream = _Written()

    def __len__(self) -> int:
        return self.stream.getbuffer().nbytes

    def exists(self) -> bool:
        """Nothing is there before it is created."""
        return False

    def to_input_file(self) -> InputFile:
        """Give the bytes back."""
        return MemoryInput(self.location, self.stream.getvalue())

    def create(self, overwrite: bool = False) -> OutputStream:  # noqa: FBT001, FBT002, ARG002
        """Give the buffer."""
        return self.stream


class MemoryInput(InputFile):
    """A file that was read already."""

    def __init__(self, location: str, content: bytes) -> None:
        super().__init__(location)
        self._content = content

    def __len__(self) -> int:
        return len(self._content)

    def exists(self) -> bool:
        """It was read."""
        return True

    def open(self, seekable: bool = True) -> InputStream:  # noqa: FBT001, FBT002, ARG002
        """Give the bytes."""
        return io.BytesIO(self._content)
