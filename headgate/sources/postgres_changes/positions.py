"""Positions in a server's log, and cursors: how far it was read, and of what."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from headgate.digests import canonical_json
from headgate.errors import Invalid
from headgate.sources.cursors import Cursor

KIND: Final = "postgres_changes"

ColumnsSeen = tuple[tuple[str, int, int], ...]
"""Columns as they were: name, type's oid, type's modifier."""


def read_lsn(text: str) -> int:
    """Read a position as PostgreSQL writes it: ``16/B374D848``."""
    high, _, low = text.partition("/")
    return int(high, 16) << 32 | int(low, 16)


def lsn_text(position: int) -> str:
    """Write a position so that PostgreSQL reads it, and that texts have the order of positions."""
    return f"{position >> 32:08X}/{position & 0xFFFFFFFF:08X}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a position is of: another one of these, and the log does not lead from there to here.

    ``server`` is the system's identifier, ``table`` the table's oid, ``published`` how it belongs
    to the publication: oids, its columns and its filter. ``columns`` are the table's.
    """

    server: str
    database: str
    table: int
    published: tuple[str, ...]
    columns: ColumnsSeen

    def text(self) -> str:
        """Give it as JSON."""
        body = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return canonical_json({**body, "columns": [list(each) for each in self.columns]}).decode()

    @classmethod
    def parse(cls, text: str) -> "Standing":
        """Read it back."""
        body = json.loads(text)
        return cls(
            server=body["server"],
            database=body["database"],
            table=body["table"],
            published=tuple(body["published"]),
            columns=tuple((name, oid, modifier) for name, oid, modifier in body["columns"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """How far a table's changes were read: a cursor, understood.

    ``number`` counts how often the table was read in full. ``slot`` is the one it was read by.
    """

    number: int
    position: int
    slot: str
    standing: Standing

    def cursor(self) -> Cursor:
        """Give it as a cursor: a later one is greater."""
        place = lsn_text(self.position)
        return Cursor(kind=KIND, sequence=(self.number, place, self.slot, self.standing.text()))

    def at(self, position: int, columns: ColumnsSeen | None = None) -> "Reached":
        """Give a later place, and the columns seen until there."""
        standing = self.standing
        if columns is not None and columns != standing.columns:
            standing = replace(standing, columns=columns)
        return replace(self, position=position, standing=standing)


def reached(cursor: Cursor) -> Reached:
    """Understand a cursor.

    Raises:
        Invalid: ``bad-cursor``.
    """
    match cursor.sequence:
        case (int(number), str(position), str(slot), str(standing)):
            try:
                return Reached(
                    number=number,
                    position=read_lsn(position),
                    slot=slot,
                    standing=Standing.parse(standing),
                )
            except (ValueError, KeyError, TypeError):
                pass
    raise Invalid("bad-cursor", f"This is no cursor of {KIND}: {cursor.text()[:80]!r}.")


def added_columns(before: ColumnsSeen, now: ColumnsSeen) -> Sequence[str] | None:
    """Give the columns that came behind the others; None where anything else is different."""
    if now[: len(before)] != before:
        return None
    return [name for name, _, _ in now[len(before) :]]


def difference(before: ColumnsSeen, now: ColumnsSeen) -> str:
    """Say how columns differ."""
    had: Mapping[str, tuple[int, int]] = {name: (oid, more) for name, oid, more in before}
    has = {name: (oid, more) for name, oid, more in now}
    told = [
        *(f"{name} came" for name in has if name not in had),
        *(f"{name} went" for name in had if name not in has),
        *(f"{name} has another type" for name in has if had.get(name, has[name]) != has[name]),
    ]
    return ", ".join(told) or "they have another order"
