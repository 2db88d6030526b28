"""The messages of logical replication (pgoutput, version 1), many at a time. No I/O.

PostgreSQL, "Logical Replication Message Formats": transactions come whole, one after the other, in
the order of their commits; before a table's first change, and after each change of its columns,
stands a ``Relation`` message.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from headgate.sources.postgres_changes.relations import Relation, bad_message, read_relation
from headgate.sources.postgres_changes.tuples import Bytes, Marks, Places, Values, read_tuples

INSERT, UPDATE, DELETE = ord("I"), ord("U"), ord("D")

Message: TypeAlias = bytes | memoryview
Wanted: TypeAlias = Callable[[Relation], bool]

_DATA, _HEADER = ord("w"), 25
_BEGIN, _COMMIT, _RELATION, _TRUNCATE = ord("B"), ord("C"), ord("R"), ord("T")
_ROWS: Final = np.frombuffer(b"IUD", np.uint8)
_KNOWN: Final = np.frombuffer(b"BCRTYOMIUD", np.uint8)
_NEW, _KEY, _OLD = ord("N"), ord("K"), ord("O")
_SIZES: Final = {_BEGIN: _HEADER + 21, _COMMIT: _HEADER + 26}


@dataclass(frozen=True, slots=True, kw_only=True)
class Transactions:
    """For each of some changes: its transaction's number, commit position and commit time.

    Times are microseconds since 2000, UTC.
    """

    numbers: Places
    positions: Places
    committed: Places


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """Rows of one table that were inserted, updated, deleted, in order.

    ``rows`` has each change's row: as it is now; of a deletion, as much of it as was told.
    ``older`` has, for the changes ``with_older``, as much of the row before an update as was told.
    """

    relation: Relation
    operations: NDArray[np.uint8]
    transactions: Transactions
    rows: tuple[Values, ...]
    with_older: Places
    older: tuple[Values, ...]

    def __len__(self) -> int:
        """Give how many changes there are."""
        return len(self.operations)


@dataclass(frozen=True, slots=True, kw_only=True)
class Truncated:
    """All rows of a table went."""

    relation: Relation
    transactions: Transactions


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A table's columns were told: those of the changes that follow."""

    relation: Relation


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """Every change before this one belongs to a transaction that ends at or before ``position``."""

    position: int


Event: TypeAlias = Changed | Truncated | Told | Committed


class Decoder:
    """Reads messages as they come, in portions of any size. Tables that are not wanted are skipped.

    After ``Corrupt`` it is of no more use.
    """

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._relations: dict[int, Relation | None] = {}
        self._open: tuple[int, int, int] | None = None

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction has begun whose end has not come."""
        return self._open is not None

    def decode(self, messages: Sequence[Message]) -> Iterator[Event]:
        """Give what happened to wanted tables. Each message is one ``XLogData``.

        ``Committed`` stands behind the last transaction that ends here, if one does.

        Raises:
            Corrupt: ``bad-replication-message``.
        """
        if messages:
            yield from self._events(_Portion(messages))

    def _events(self, portion: "_Portion") -> Iterator[Event]:
        commits = portion.of(_COMMIT)
        transactions = self._transactions(portion, commits)
        stops = np.flatnonzero((portion.kinds == _RELATION) | (portion.kinds == _TRUNCATE))
        last = int(commits[-1]) if len(commits) else -1
        cuts = sorted({*stops.tolist(), *([last] if last >= 0 else []), len(portion.kinds)})
        before = 0
        for cut in cuts:
            yield from self._changes(portion, before, cut, transactions)
            if cut == last:
                yield Committed(position=int(portion.eights(commits[-1:], 9)[0]))
            elif cut < len(portion.kinds):
                yield from self._stop(portion, cut, transactions)
            before = cut + 1

    def _transactions(self, portion: "_Portion", commits: Places) -> Transactions:
        """Give for each message the transaction it is in.

        Raises:
            Corrupt: ``bad-replication-message``: a change stands outside of a transaction.
        """
        begins = portion.of(_BEGIN)
        begun = 1 if self._open is not None else 0
        depth = np.zeros(len(portion.kinds), np.int64)
        depth[begins] = 1
        depth[commits] = -1
        depth = begun + np.cumsum(depth)
        inside = depth.copy()
        inside[commits] += 1
        if ((depth < 0) | (depth > 1)).any() or (
            (inside != 1) & np.isin(portion.kinds, _ROWS)
        ).any():
            raise bad_message("a change stands outside of a transaction, or one within another")
        told = [portion.eights(begins, 0), portion.eights(begins, 8), portion.fours(begins, 16)]
        told[2] &= 0xFFFFFFFF
        if self._open is not None:
            pairs = zip(told, self._open, strict=True)
            told = [np.concatenate([np.array([one]), rest]) for rest, one in pairs]
        number = np.searchsorted(begins, np.arange(len(portion.kinds)), "right") - 1 + begun
        ends_open = bool(depth[-1])
        self._open = (int(told[0][-1]), int(told[1][-1]), int(told[2][-1])) if ends_open else None
        if not len(told[0]):
            told = [np.zeros(1, np.int64)] * 3
        number = np.maximum(number, 0)
        return Transactions(
            positions=told[0][number], committed=told[1][number], numbers=told[2][number]
        )

    def _stop(self, portion: "_Portion", index: int, transactions: Transactions) -> Iterator[Event]:
        body = portion.body(index)
        if portion.kinds[index] == _RELATION:
            relation = read_relation(body)
            wanted = self._wanted(relation)
            self._relations[relation.oid] = relation if wanted else None
            if wanted:
                yield Told(relation=relation)
            return
        for oid in _truncated(body):
            if oid not in self._relations:
                raise bad_message(f"table {oid} is truncated and was never told of")
            relation_or_none = self._relations[oid]
            if relation_or_none is not None:
                yield Truncated(
                    relation=relation_or_none,
                    transactions=_at(transactions, np.array([index])),
                )

    def _changes(
        self, portion: "_Portion", first: int, end: int, transactions: Transactions
    ) -> Iterator[Changed]:
        kinds = portion.kinds[first:end]
        rows = first + np.flatnonzero(np.isin(kinds, _ROWS))
        if not len(rows):
            return
        if (portion.ends[rows] - portion.bodies[rows] < 5).any():  # noqa: PLR2004 - oid and mark
            raise bad_message("a change ends before its row")
        oids = portion.fours(rows, 0) & 0xFFFFFFFF
        bounds = [0, *(np.flatnonzero(np.diff(oids)) + 1).tolist(), len(rows)]
        if len(bounds) > 2 and len(known := np.unique(oids)) > 1:  # noqa: PLR2004 - ends
            wanted = [oid for oid in known.tolist() if self._relation(oid) is not None]
            if len(wanted) <= 1:  # one run, whatever lies between
                rows = rows[oids == wanted[0]] if wanted else rows[:0]
                oids = oids[oids == wanted[0]] if wanted else oids[:0]
                bounds = [0, len(rows)]
        for low, high in pairwise(bounds):
            relation = self._relation(int(oids[low])) if high > low else None
            if relation is not None:
                yield _changed(portion, relation, rows[low:high], transactions)

    def _relation(self, oid: int) -> Relation | None:
        if oid not in self._relations:
            raise bad_message(f"a row of table {oid}, which was never told of")
        return self._relations[oid]


class _Portion:
    """Some messages in one buffer: where each begins and ends, and what it is."""

    def __init__(self, messages: Sequence[Message]) -> None:
        sizes = np.fromiter(map(len, messages), np.int64, len(messages))
        if (sizes <= _HEADER).any():
            raise bad_message("a message has no body")
        self.buffer = Bytes(b"".join(messages))
        self.ends: Places = np.cumsum(sizes)
        starts = self.ends - sizes
        self.kinds: NDArray[np.uint8] = self.buffer.bytes[starts + _HEADER]
        self.bodies: Places = starts + _HEADER + 1
        if (self.buffer.bytes[starts] != _DATA).any() or not np.isin(self.kinds, _KNOWN).all():
            raise bad_message("a message is of an unknown kind")
        for kind, size in _SIZES.items():
            if (sizes[self.kinds == kind] != size).any():
                raise bad_message("the beginning or end of a transaction has a wrong length")

    def of(self, kind: int) -> Places:
        """Give which messages are of a kind."""
        return np.flatnonzero(self.kinds == kind)

    def body(self, index: int) -> bytes:
        """Give a message after the byte that says what it is."""
        return self.buffer.data[int(self.bodies[index]) : int(self.ends[index])]

    def fours(self, messages: Places, offset: int) -> Places:
        """Give the 32-bit numbers at an offset of messages' bodies."""
        return self.buffer.four(self.bodies[messages] + offset)

    def eights(self, messages: Places, offset: int) -> Places:
        """Give the 64-bit numbers at an offset of messages' bodies."""
        return self.buffer.eight(self.bodies[messages] + offset)


def _changed(
    portion: _Portion, relation: Relation, rows: Places, transactions: Transactions
) -> Changed:
    kinds, at, ends = portion.kinds[rows], portion.bodies[rows] + 4, portion.ends[rows]
    marks = portion.buffer.bytes[at]
    updates, deletes = kinds == UPDATE, kinds == DELETE
    has_older: Marks = updates & ((marks == _KEY) | (marks == _OLD))
    has_only_older = deletes & ((marks == _KEY) | (marks == _OLD))
    if not (has_older | has_only_older | ((marks == _NEW) & ~deletes)).all():
        raise bad_message("a change does not say which of its rows follows")
    with_older = np.flatnonzero(has_older)
    count = len(relation.columns)
    older: tuple[Values, ...] = ()
    at = at + 1
    if len(with_older):
        older, behind = read_tuples(portion.buffer, at[with_older], ends[with_older], count)
        if (behind >= ends[with_older]).any() or (portion.buffer.bytes[behind] != _NEW).any():
            raise bad_message("an update has no new row")
        at[with_older] = behind + 1
    values, last = read_tuples(portion.buffer, at, ends, count)
    if (last != ends).any():
        raise bad_message("a change goes on after its row")
    return Changed(
        relation=relation,
        operations=kinds,
        transactions=_at(transactions, rows),
        rows=values,
        with_older=with_older,
        older=older,
    )


def _at(transactions: Transactions, messages: Places) -> Transactions:
    return Transactions(
        numbers=transactions.numbers[messages],
        positions=transactions.positions[messages],
        committed=transactions.committed[messages],
    )


def _truncated(body: bytes) -> list[int]:
    many = int.from_bytes(body[:4], "big")
    if len(body) != 5 + 4 * many:
        raise bad_message("a Truncate message has a wrong length")
    return [int.from_bytes(body[5 + 4 * n : 9 + 4 * n], "big") for n in range(many)]
