"""What the log says of a table before its first change: its columns, and by what rows are known."""

import struct
from dataclasses import dataclass
from typing import Final

from headgate.errors import Corrupt

FULL: Final = "f"
"""The replica identity of a table whose old rows come whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column as it was when the change was made: ``modifier`` is PostgreSQL's typmod.

    ``is_identity`` says that it is part of what rows are known by.
    """

    name: str
    type_oid: int
    modifier: int
    is_identity: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """A table as a ``Relation`` message has it. ``identity`` is d, n, f or i, as in pg_class."""

    oid: int
    namespace: str
    name: str
    identity: str
    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names, in the order in which rows come."""
        return tuple(column.name for column in self.columns)


def read_relation(body: bytes) -> Relation:
    """Read a ``Relation`` message, without the byte that says what it is.

    Raises:
        Corrupt: ``bad-replication-message``.
    """
    try:
        [oid] = struct.unpack_from(">I", body)
        namespace, at = _text(body, 4)
        name, at = _text(body, at)
        identity, count = struct.unpack_from(">cH", body, at)
        at += 3
        columns = []
        for _ in range(count):
            flags = body[at]
            column, at = _text(body, at + 1)
            type_oid, modifier = struct.unpack_from(">Ii", body, at)
            at += 8
            columns.append(
                Column(
                    name=column,
                    type_oid=type_oid,
                    modifier=modifier,
                    is_identity=bool(flags & 1),
                )
            )
        identity_text = identity.decode("ascii")
    except (struct.error, IndexError, ValueError) as error:
        raise bad_message("a Relation message ends too early or holds no text") from error
    if at != len(body):
        raise bad_message("a Relation message goes on after its last column")
    return Relation(
        oid=oid,
        namespace=namespace or "pg_catalog",
        name=name,
        identity=identity_text,
        columns=tuple(columns),
    )


def bad_message(what: str) -> Corrupt:
    """Give the error of a message that is not as the protocol has it."""
    return Corrupt(
        "bad-replication-message",
        f"What came over the replication connection cannot be read: {what}.",
        readers="Nothing of it was taken.",
        hint="Does something between here and the server change what passes by?",
    )


def _text(body: bytes, at: int) -> tuple[str, int]:
    end = body.index(0, at)
    return body[at:end].decode("utf-8"), end + 1
