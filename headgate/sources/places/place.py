"""What a place does: list the files that are meant, and bring one to this machine."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A file that is there.

    ``shown`` names it in cursors and messages, without secrets; ``name`` tells by its end what it
    holds. ``state`` is another when its bytes are others. ``path`` is where it lies, if that is on
    this machine, and ``facts`` what the system says of it there: size, time and inode. ``address``
    is what its place finds it by.
    """

    shown: str
    name: str
    state: str
    size_bytes: int | None
    path: Path | None = None
    facts: tuple[int, int, int] | None = None
    address: str = ""


class Place(Protocol):
    """Files by one path, pattern or URL."""

    def listed(self) -> Sequence[Listed]:
        """Give the files that are meant, in order.

        Raises:
            NotFound: ``file-missing``, ``no-files-match``.
            Unavailable: the place does not answer.
        """
        ...

    def again(self, file: Listed) -> Listed:
        """Give a file as it is now."""
        ...

    def bring(self, file: Listed, target: IO[bytes]) -> None:
        """Write a file's bytes into another: those of the state that was listed.

        Raises:
            Unavailable: ``file-changed-meanwhile``; the place does not answer.
        """
        ...
