"""A database that is a file: where it is, and what people call it."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from headgate.sinks.sink import Description


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseFile:
    """The file of a database, and what the database calls itself."""

    called: str
    path: Path

    def __str__(self) -> str:
        return f"{self.called} {self.path.name}"

    def described(self, kind: str) -> Description:
        """Give it for people."""
        return Description(kind=kind, title=str(self), facts={"path": str(self.path)})

    def place(self) -> Path:
        """Make its directory, if there is none, and give the path."""
        with suppress(OSError):  # the database says what is wrong
            self.path.parent.mkdir(parents=True, exist_ok=True)
        return self.path
