"""Logical replication messages, written and read plainly, one by one."""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

Value = bytes | None | type(...)
"""A column's text, NULL, or not told (``...``)."""
Row = tuple[Value, ...]


def data(body: bytes, position: int = 1) -> bytes:
    """Wrap a message as a server sends it."""
    return struct.pack(">cqqq", b"w", position, position, 0) + body


def relation(oid: int, name: str, columns: Sequence[str], identity: str = "d") -> bytes:
    body = struct.pack(">cI", b"R", oid) + b"public\0" + name.encode() + b"\0"
    body += struct.pack(">cH", identity.encode(), len(columns))
    for number, column in enumerate(columns):
        body += struct.pack(">B", int(number == 0)) + column.encode() + b"\0"
        body += struct.pack(">Ii", 25, -1)
    return data(body)


def begin(position: int, committed: int, number: int) -> bytes:
    return data(struct.pack(">cqqI", b"B", position, committed, number))


def commit(position: int, end: int, committed: int) -> bytes:
    return data(struct.pack(">cBqqq", b"C", 0, position, end, committed))


def insert(oid: int, row: Row) -> bytes:
    return data(struct.pack(">cI", b"I", oid) + b"N" + _tuple(row))


def update(oid: int, row: Row, older: Row | None = None, mark: str = "K") -> bytes:
    told = b"" if older is None else mark.encode() + _tuple(older)
    return data(struct.pack(">cI", b"U", oid) + told + b"N" + _tuple(row))


def delete(oid: int, older: Row, mark: str = "K") -> bytes:
    return data(struct.pack(">cI", b"D", oid) + mark.encode() + _tuple(older))


def truncate(*oids: int) -> bytes:
    return data(struct.pack(">cIB", b"T", len(oids), 0) + b"".join(map(_oid, oids)))


def _oid(oid: int) -> bytes:
    return struct.pack(">I", oid)


def _tuple(row: Row) -> bytes:
    told = struct.pack(">H", len(row))
    for value in row:
        if value is None:
            told += b"n"
        elif value is ...:
            told += b"u"
        else:
            told += b"t" + struct.pack(">I", len(value)) + value
    return told


@dataclass
class Plain:
    """Reads messages one by one; ``seen`` is what was done to the table of one name."""

    wanted: str
    seen: list[tuple[object, ...]] = field(default_factory=list)
    _names: dict[int, str] = field(default_factory=dict)
    _columns: dict[int, int] = field(default_factory=dict)
    _in: tuple[int, int, int] = (0, 0, 0)

    def read(self, messages: Sequence[bytes]) -> list[tuple[object, ...]]:
        for message in messages:
            self._one(message[25:])
        return self.seen

    def _one(self, body: bytes) -> None:
        kind = body[:1]
        if kind == b"R":
            oid = int.from_bytes(body[1:5], "big")
            rest = body[5:].split(b"\0", 2)
            self._names[oid] = rest[1].decode()
        elif kind == b"B":
            self._in = struct.unpack(">qqI", body[1:])
        elif kind == b"C":
            self.seen.append(("commit", struct.unpack(">q", body[10:18])[0]))
        elif kind == b"T":
            for at in range(6, len(body), 4):
                if self._names[int.from_bytes(body[at : at + 4], "big")] == self.wanted:
                    self.seen.append(("T", *self._in))
        elif kind in b"IUD" and self._names[int.from_bytes(body[1:5], "big")] == self.wanted:
            rows = dict(_rows(body[5:]))
            row = rows.get(b"N") or rows.get(b"K") or rows.get(b"O")
            older = (rows.get(b"K") or rows.get(b"O")) if kind == b"U" else None
            self.seen.append((kind.decode(), *self._in, row, older))


def _rows(told: bytes) -> Iterator[tuple[bytes, Row]]:
    at = 0
    while at < len(told):
        mark, count = told[at : at + 1], int.from_bytes(told[at + 1 : at + 3], "big")
        at += 3
        row: list[Value] = []
        for _ in range(count):
            kind = told[at : at + 1]
            at += 1
            if kind == b"t":
                length = int.from_bytes(told[at : at + 4], "big")
                row.append(told[at + 4 : at + 4 + length])
                at += 4 + length
            else:
                row.append(None if kind == b"n" else ...)
        yield mark, tuple(row)
