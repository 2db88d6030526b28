"""How far files have been read: which, in which state, and how much of the one being read."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from headgate.errors import Invalid
from headgate.sources.cursors import Cursor
from headgate.sources.places.place import Listed


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What a cursor of files says.

    ``read`` maps a file to the state in which it was read. Of the file being read the state is
    followed by ``#MEMBER.RECORDS``: members of an archive that are done, and records of the next
    one. A file that has vanished stays, so that it is not read again when it comes back.
    """

    kind: str
    read: Mapping[str, str] = field(default_factory=dict)
    begun: bool = False

    @classmethod
    def of(cls, kind: str, cursor: Cursor | None) -> Self:
        """Read a cursor."""
        if cursor is None:
            return cls(kind=kind)
        return cls(kind=kind, read=dict(cursor.items or {}), begun=True)

    def covers(self, file: Listed) -> bool:
        """Say whether all of a file was read in the state it is in."""
        return self.read.get(file.shown) == file.state

    def has_changed(self, file: Listed) -> bool:
        """Say whether any of a file was read in another state."""
        there = self.read.get(file.shown)
        return there is not None and there.partition("#")[0] != file.state

    def is_within(self, file: Listed) -> bool:
        """Say whether a file was begun and not read to its end."""
        return self.done_of(file) != (0, 0)

    def done_of(self, file: Listed) -> tuple[int, int]:
        """Give the members of a file that are done, and the records of the next one.

        Raises:
            Invalid: ``bad-cursor``.
        """
        state, _, done = self.read.get(file.shown, "").partition("#")
        if state != file.state or not done:
            return 0, 0
        member, _, records = done.partition(".")
        if not member.isdigit() or not records.isdigit():
            raise Invalid("bad-cursor", f"The cursor of {file.shown} cannot be read: {done!r}.")
        return int(member), int(records)

    def after(self, file: Listed) -> Self:
        """Say that all of a file is read."""
        return replace(self, read={**self.read, file.shown: file.state}, begun=True)

    def within(self, file: Listed, member: int, records: int) -> Self:
        """Say that a file is read up to some records of a member."""
        here = f"{file.state}#{member}.{records}"
        return replace(self, read={**self.read, file.shown: here}, begun=True)

    def cursor(self) -> Cursor:
        """Give the cursor that says this."""
        return Cursor(kind=self.kind, items=self.read)
