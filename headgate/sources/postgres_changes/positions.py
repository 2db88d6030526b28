"""Positions in a server's log, and cursors: how far it was read, and of what."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from headgate.digests import canonical_json
from headgate.errors import Invalid
from headgate.sources.cursors import Cursor

KIND: Final = "postgres_changes"

ColumnsSeen = tuple[tuple[str, int, int], ...]
"""Columns as they were: name, type's oid, type's modifier."""

Entry = tuple[int, int]
"""A column in the server's catalog: its number, and the transaction that wrote the entry last."""


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

    ``server`` is the system's identifier, ``timeline`` counts how often it was promoted or
    restored. ``table`` is the table's oid, ``published`` how it belongs to the publication: oids,
    its columns and its filter. ``columns`` are the table's, ``entries`` what the catalog knows them
    by. ``files`` says where its rows lie: for the table, or each of its partitions, by oid, the
    file and how it came to be a partition.
    """

    server: str
    database: str
    table: int
    published: tuple[str, ...]
    columns: ColumnsSeen
    timeline: int = 0
    entries: tuple[Entry, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)

    def text(self) -> str:
        """Give it as JSON."""
        body = {name: getattr(self, name) for name in self.__dataclass_fields__}
        lists = {name: [list(each) for each in body[name]] for name in ("columns", "entries")}
        return canonical_json({**body, **lists, "files": dict(self.files)}).decode()

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
            timeline=body.get("timeline", 0),
            entries=tuple((number, written) for number, written in body.get("entries", ())),
            files=body.get("files", {}),
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

    def at(self, position: int) -> "Reached":
        """Give a later place."""
        return replace(self, position=position)


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
