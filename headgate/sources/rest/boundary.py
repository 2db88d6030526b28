"""Reading only what is new: by a field that grows, with no record lost or doubled at the boundary.

Asked from the greatest value on, an API gives the records that have this very value again, and
perhaps others that had come to it meanwhile. Digests of the records given at the boundary tell the
two apart; there are as many as share one value, or as lie within ``overlap``. Pure.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias, cast

import msgspec

from headgate.errors import Invalid, Refused
from headgate.sources.cursors import Cursor
from headgate.sources.rest.declaration import KIND, SINCE, Since
from headgate.sources.rest.paths import picker, written

_MOST: Final = 100_000
_INSTANT: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?)(?:[.,](\d+))?\s*(Z|z|[+-]\d\d:?\d\d)?)?\Z"
)
_DIGEST_BYTES: Final = 8
_FRACTION: Final = 9

Rank: TypeAlias = int | float | str
"""A value in a form that compares as the values do."""


@dataclass(frozen=True, slots=True)
class _Known:
    """A value: how it compares, and how it was written."""

    rank: Rank
    value: int | float | str


@dataclass(slots=True, kw_only=True)
class Boundary:
    """How far a reading has come. ``admit`` is called for each record, in order."""

    since: Since
    begun: _Known | None = None
    top: _Known | None = None
    sort: str = ""
    _pick: Callable[[msgspec.Raw], object] = field(init=False)
    _before: Mapping[str, Rank] = field(default_factory=dict)
    _edge: list[tuple[Rank, bytes]] = field(default_factory=list)
    _held: _Known | None = None

    def __post_init__(self) -> None:
        self._pick = picker(self.since.field)

    @classmethod
    def of(cls, since: Since, cursor: Cursor | None) -> "Boundary":
        """Begin where a cursor says, or at the declared start.

        Raises:
            Invalid: ``cursor-of-another-source``: it was written by another way of reading.
        """
        made = cls(since=since)
        if cursor is None:
            if since.start is not None and since.parameter is None:
                made.sort, rank = _ranked(since.start, as_text=False)
                made.begun = _Known(rank, since.start)  # what is older is left out here
            return made
        sequence = cursor.sequence or ()
        if len(sequence) != 6 or sequence[0] != SINCE:  # noqa: PLR2004 - see `cursor`
            raise another_way(cursor)
        _, sort, rank, _, value, edge = sequence
        made.sort = str(sort)
        made.begun = made.top = _Known(rank, value)
        made._before = {
            digest: each for each, digests in json.loads(str(edge)) for digest in digests
        }
        return made

    def asked(self) -> int | float | str | None:
        """Give the value to ask from; None where all is asked for."""
        if self.begun is None:
            return self.since.start
        overlap = self.since.overlap
        if not overlap:
            return self.begun.value
        low = self._low(self.begun.rank)
        if isinstance(low, str):
            return low.replace(f".{'0' * _FRACTION}Z", "Z")
        return low

    def admit(self, record: msgspec.Raw, where: str) -> bool:
        """Say whether a record is new, and remember it if it is at the boundary.

        Raises:
            Invalid: ``since-missing``, ``since-mixed``; ``since-unordered``: the API does not keep
                the declared order.
        """
        rank, value = self._value(record, where)
        begun, top = self.begun, self.top
        if begun is not None:
            if _below(rank, self._low(begun.rank)):
                return False
            if not _below(begun.rank, rank) and record_digest(record) in self._before:
                return False
        if top is None or _below(top.rank, rank):
            self.top = top = _Known(rank, value)
            if not self.since.overlap:
                self._edge.clear()
        elif self.since.order == "ascending" and _below(rank, top.rank):
            raise _unordered(self.since, where)
        if rank == top.rank or not _below(rank, self._low(top.rank)):
            self._edge.append((rank, bytes(record)))
            if len(self._edge) > 2 * _MOST:
                self._prune()
        return True

    def is_older(self, record: msgspec.Raw, where: str) -> bool:
        """Say whether a record was read before: in descending order, all after it were as well."""
        if self.begun is None:
            return False
        rank, _ = self._value(record, where)
        return _below(rank, self._low(self.begun.rank))

    def hold(self, record: msgspec.Raw, where: str) -> None:
        """Hear that a record was passed over: the next reading must meet it again."""
        rank, value = self._value(record, where)
        if self._held is None or _below(rank, self._held.rank):
            self._held = _Known(rank, value)

    def cursor(self) -> Cursor | None:
        """Give the cursor that covers all that was admitted; None where nothing ever was.

        Its sequence is ``since``, how values compare, the greatest value as it compares, how many
        records are at the boundary, the value as it was written, and their digests.

        Raises:
            Refused: ``since-too-wide``: so many records share the greatest value that they cannot
                be remembered.
        """
        top = self.top
        if self._held is not None and top is not None and _below(self._held.rank, top.rank):
            top = self._held
        if top is None:
            return None
        low = self._low(top.rank)
        edge = {each: rank for each, rank in self._before.items() if not _below(rank, low)}
        for rank, record in self._edge:
            if not _below(rank, low):
                edge[record_digest(record)] = rank
        if len(edge) > _MOST:
            raise _too_wide(self.since, len(edge))
        ranks: dict[Rank, list[str]] = {}
        for digest, rank in sorted(edge.items()):
            ranks.setdefault(rank, []).append(digest)
        text = json.dumps(sorted(ranks.items()), separators=(",", ":"))
        return Cursor(kind=KIND, sequence=(SINCE, self.sort, top.rank, len(edge), top.value, text))

    def _prune(self) -> None:
        if self.top is not None:
            low = self._low(self.top.rank)
            self._edge = [pair for pair in self._edge if not _below(pair[0], low)]
        if len(self._edge) > 2 * _MOST:
            raise _too_wide(self.since, len(self._edge))

    def _low(self, rank: Rank) -> Rank:
        """Give the lowest value that late records may have."""
        overlap = self.since.overlap
        if not overlap:
            return rank
        if isinstance(rank, str):
            if self.sort != "instant":
                raise Invalid(
                    "bad-option",
                    f"{written(self.since.field)} holds texts, which have no overlap.",
                    option="since.overlap",
                )
            wide = overlap if isinstance(overlap, timedelta) else timedelta(seconds=overlap)
            instant = datetime.fromisoformat(rank[:19] + "+00:00") - wide
            return f"{instant.astimezone(UTC):%Y-%m-%dT%H:%M:%S}{rank[19:]}"
        return rank - (overlap.total_seconds() if isinstance(overlap, timedelta) else overlap)

    def _value(self, record: msgspec.Raw, where: str) -> tuple[Rank, float | str]:
        """Give how a record's value compares, and how it is written."""
        value = self._pick(record)
        sort, rank = _ranked(value, as_text=self.sort == "text")
        if not sort or sort != self.sort:
            self._settle(sort, where)
        return rank, cast("float | str", value)

    def _settle(self, sort: str, where: str) -> None:
        """Take the kind of the first value for that of all."""
        name = written(self.since.field)
        if not sort:
            raise Invalid(
                "since-missing",
                f"{where} has no {name!r}: nobody could tell whether it was read before.",
                hint="Name a field that every record has, or leave since= out.",
                position=where,
                field=name,
            )
        if self.sort:
            raise Invalid(
                "since-mixed",
                f"{where} has a {sort} as {name!r}, where others have a {self.sort}: they cannot be"
                " compared.",
                hint="Name a field of one kind.",
                position=where,
            )
        self.sort = sort


def _ranked(value: object, *, as_text: bool) -> tuple[str, Rank]:
    """Give which kind a value is of, nothing where it is none, and how it compares."""
    if isinstance(value, str) and value:
        rank = None if as_text else instant_rank(value)
        if rank is not None:
            return "instant", rank
        if not as_text and value.isascii() and value.isdigit():
            return "number", int(value)
        return "text", value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return "number", value
    return "", ""


def _below(one: Rank, other: Rank) -> bool:
    """Compare two ranks of one kind."""
    return one < other  # type: ignore[operator]


def instant_rank(text: str) -> str | None:
    """Give an instant as a text that compares as instants do; None where it is none.

    ``2026-01-01T01:00:00.5+01:00`` and ``2026-01-01T00:00:00.500Z`` are equal. Without a zone it is
    UTC. Nine digits of a second count.
    """
    found = _INSTANT.match(text)
    if found is None:
        return None
    day, time, fraction, zone = found.groups()
    digits = (fraction or "").ljust(_FRACTION, "0")[:_FRACTION]
    plain = f"{day}T{time or '00:00'}"
    try:
        instant = datetime.fromisoformat(plain + (zone if zone and zone not in "Zz" else ""))
        if instant.tzinfo is not None:
            instant = instant.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return None
    return f"{instant.isoformat()}.{digits}Z"


def another_way(cursor: Cursor) -> Invalid:
    """Give the error for a cursor of the same kind that says something else."""
    first = (cursor.sequence or ("nothing",))[0]
    return Invalid(
        "cursor-of-another-source",
        f"The cursor was written when the API was read by {first}, and it is now read in another"
        " way.",
        hint="Give the step another name, or read the source from its beginning.",
        kind=cursor.kind,
    )


def record_digest(record: msgspec.Raw | bytes) -> str:
    """Give a record's digest; the order of its fields and its white space do not count."""
    plain = normal(record)
    return hashlib.blake2b(plain, digest_size=_DIGEST_BYTES).hexdigest()


def normal(record: msgspec.Raw | bytes) -> bytes:
    """Give a record's JSON with its fields in order; as it is, where a number is beyond floats."""
    try:
        return msgspec.json.encode(msgspec.json.decode(record), order="deterministic")
    except msgspec.DecodeError:
        return bytes(record)


def _unordered(since: Since, where: str) -> Invalid:
    return Invalid(
        "since-unordered",
        f"{where} has a smaller {written(since.field)!r} than a record before it.",
        hint='The API does not keep the order: leave "order" out of since=.',
        position=where,
    )


def _too_wide(since: Since, count: int) -> Refused:
    return Refused(
        "since-too-wide",
        f"{count:,} records share the greatest {written(since.field)!r}, or lie within its overlap:"
        " too many to remember which were read.",
        hint="Choose a field that tells records apart better, a smaller overlap, or"
        ' mode="replace".',
        records=count,
    )
