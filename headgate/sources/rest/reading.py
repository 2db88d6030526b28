"""One reading of an API: its lists walked through, what is new of them, and how far it came."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from urllib.parse import quote

import msgspec

from headgate.clock import Clock
from headgate.errors import Invalid, Unavailable
from headgate.http import Crew, shown
from headgate.sources.cursors import Cursor
from headgate.sources.rest.answers import Page
from headgate.sources.rest.batching import Piece
from headgate.sources.rest.boundary import Boundary, another_way, record_digest
from headgate.sources.rest.declaration import KIND, POSITION, WINDOW, Declaration, Windows
from headgate.sources.rest.fetching import Fetcher, filled
from headgate.sources.rest.paging import CountedPager, Pager, State, pager
from headgate.sources.rest.party import Party, Stage
from headgate.sources.rest.paths import MISSING, picker
from headgate.sources.rest.repeats import Identities, Met
from headgate.sources.rest.walk import Given, Walk
from headgate.sources.rest.windows import stretches, value_of

_PLACE_LENGTH: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class _Family:
    """What the children of one parent share."""

    included: Mapping[str, bytes]
    identities: Identities | None

    def joined(self, piece: Piece) -> Sequence[msgspec.Raw | bytes]:
        """Give the records with the parent's fields among their own."""
        if not self.included:
            return piece.records
        pairs = zip(piece.records, piece.positions, strict=True)
        return [_with(record, self.included, position) for record, position in pairs]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One reading. ``appends``: rows are added to those read before."""

    declaration: Declaration
    crew: Crew[Page]
    fetcher: Callable[[Declaration], Fetcher]
    host: str
    clock: Clock
    hidden: frozenset[str]
    appends: bool

    def pieces(self, cursor: Cursor | None) -> Iterator[Piece]:
        """Give what there is after a cursor, in order.

        Raises:
            HeadgateError: what the API or the network did.
        """
        yield from self._pieces(self.declaration, cursor)

    def _pieces(self, declared: Declaration, cursor: Cursor | None) -> Iterator[Piece]:
        if declared.parent is not None:
            yield from self._children(declared, declared.parent, cursor)
        elif isinstance(declared.pages, Windows):
            yield from self._windows(declared, declared.pages, cursor)
        elif declared.grows:
            yield from self._grown(declared, cursor)
        else:
            yield from self._list(declared, cursor)

    # -- one list

    def _list(self, declared: Declaration, cursor: Cursor | None) -> Iterator[Piece]:
        boundary = Boundary.of(declared.since, cursor) if declared.since is not None else None
        if boundary is None and cursor is not None:
            raise another_way(cursor)
        identities = Identities(declared.identity) if declared.identity else None
        asked = boundary.asked() if boundary is not None else None
        named = declared.since.parameter if declared.since is not None else None
        params = {named: asked} if named is not None and asked is not None else {}
        for attempt in range(1, declared.retry.attempts + 1):
            walk, met, least = self._walk(declared, params=params), 0, None
            moves = boundary is not None and identities is None and _may_move(walk)
            before: frozenset[bytes] = frozenset()
            for given in self._given(declared, walk):
                if moves:  # nothing else could tell a record that has come again
                    here = frozenset(map(bytes, given.page.records))
                    if not before.isdisjoint(here):
                        raise _again(self._shown(declared), walk.position(given.ordinal))
                    before = here
                met += len(given.page.records)
                least = walk.total if least is None else min(least, walk.total or 0)
                yield self._new(declared, walk, given, boundary, identities)
            distinct = len(identities) if identities is not None else met
            lost = walk.shrank or self._is_short(walk, distinct, least)
            if not lost or _is_cut_short(declared, boundary):
                break
            if identities is None or attempt == declared.retry.attempts:
                raise _changed(declared, self._shown(declared))
            if boundary is not None:
                boundary.since = replace(boundary.since, order="none")  # read from its beginning
        yield Piece(cursor=boundary.cursor() if boundary is not None else None)

    def _new(
        self,
        declared: Declaration,
        walk: Walk,
        given: Given,
        boundary: Boundary | None,
        identities: Identities | None,
    ) -> Piece:
        where = walk.position(given.ordinal)
        records = given.page.records
        since = declared.since
        if boundary is None and identities is None:
            positions = [f"{where}, record {n}" for n in range(1, len(records) + 1)]
            page = given.page if records else None
            return Piece(records=records, positions=positions, page=page, position=where)
        kept: list[msgspec.Raw] = []
        positions = []
        for number, record in enumerate(records, 1):
            position = f"{where}, record {number}"
            met = identities.meet(record) if identities is not None else Met.NEW
            if met is Met.AGAIN:
                continue
            if met is Met.CHANGED and not self.appends:
                walk.held_back = True
                if boundary is not None:
                    boundary.hold(record, position)
                continue
            if boundary is not None and not boundary.admit(record, position):
                if since is not None and since.order == "descending":
                    self._stop_at(walk, boundary, record, position)
                continue
            kept.append(record)
            positions.append(position)
        # Pages that are counted may move: then what is smaller comes after what is greater.
        ascends = since is not None and since.order == "ascending" and not _may_move(walk)
        return Piece(
            records=kept,
            positions=positions,
            page=given.page if kept else None,
            position=where,
            cursor=boundary.cursor() if boundary is not None and ascends else None,
        )

    def _stop_at(self, walk: Walk, boundary: Boundary, record: msgspec.Raw, where: str) -> None:
        """Ask for no more pages once a record is met that is older than all that is new."""
        if boundary.is_older(record, where):
            with self.crew.lock:
                walk.stop_here()

    # -- a list that grows at its end

    def _grown(self, declared: Declaration, cursor: Cursor | None) -> Iterator[Piece]:
        done, digest, passed = 0, "", 0
        state: State = None
        if cursor is not None:
            sequence = cursor.sequence or ()
            if len(sequence) != _PLACE_LENGTH or sequence[0] != POSITION:
                raise another_way(cursor)
            passed, done = int(sequence[1]), int(sequence[2])
            state, digest = json.loads(str(sequence[3])), str(sequence[4])
        walk = self._walk(declared, start=state, passed=passed)
        counted = isinstance(walk.pager, CountedPager)
        if counted:
            walk.passed = 0
        for given in self._given(declared, walk):
            records = given.page.records
            over = done if given.ordinal == 0 else 0
            if over and (len(records) < over or record_digest(records[over - 1]) != digest):
                raise _not_grown(self._shown(declared))
            if len(records) == over:
                continue
            where = walk.position(given.ordinal)
            positions = [f"{where}, record {n}" for n in range(over + 1, len(records) + 1)]
            last = record_digest(records[-1])
            state, upto = walk.pager.resumed(given.state, given.page, len(records))
            number = passed + given.ordinal + (0 if upto else 1)
            place = (POSITION, number, upto, json.dumps(state), last if upto else "")
            yield Piece(
                records=records[over:],
                positions=positions,
                page=given.page,
                position=where,
                cursor=Cursor(kind=KIND, sequence=place),
            )
        if walk.shrank:
            raise _not_grown(self._shown(declared))

    # -- time windows

    def _windows(
        self, declared: Declaration, windows: Windows, cursor: Cursor | None
    ) -> Iterator[Piece]:
        begin = windows.start
        if cursor is not None:
            sequence = cursor.sequence or ()
            if len(sequence) != 2 or sequence[0] != WINDOW:  # noqa: PLR2004
                raise another_way(cursor)
            begin = datetime.fromisoformat(str(sequence[1]))
        identities = Identities(declared.identity) if declared.identity else None

        def stages() -> Iterator[Stage]:
            for low, high in stretches(windows, begin, self.clock.now()):
                first, last = windows.parameters
                params = {
                    first: value_of(low, windows.format),
                    last: value_of(high - windows.closed, windows.format),
                }
                yield self._walk(declared, params=params, label=f"from {low:%Y-%m-%dT%H:%M:%SZ}")
                yield Cursor(kind=KIND, sequence=(WINDOW, high.isoformat()))

        held_back = False
        for item in self._party(declared).pages(stages()):
            if isinstance(item, Cursor):
                yield Piece(cursor=None if held_back else item)
            else:
                walk, given = item
                yield self._new(declared, walk, given, None, identities)
                held_back = held_back or walk.held_back
                if walk.shrank:
                    raise _changed(declared, self._shown(declared))

    # -- children of parents

    def _children(
        self, declared: Declaration, parent: Declaration, cursor: Cursor | None
    ) -> Iterator[Piece]:
        families: dict[int, _Family] = {}

        def stages() -> Iterator[Stage]:
            for piece in self._pieces(parent, cursor):
                for record, position in zip(piece.records, piece.positions, strict=True):
                    walk = self._child(declared, record, position)
                    families[id(walk)] = _Family(
                        included=_included(declared, record),
                        identities=Identities(declared.identity) if declared.identity else None,
                    )
                    yield walk
                if piece.cursor is not None:
                    yield piece.cursor

        held_back = False
        for item in self._party(declared).pages(stages()):
            if isinstance(item, Cursor):
                yield Piece(cursor=None if held_back else item)
                continue
            walk, given = item
            if walk.shrank:
                raise _changed(declared, self._shown(declared))
            family = families[id(walk)]
            piece = self._new(declared, walk, given, None, family.identities)
            held_back = held_back or walk.held_back
            yield replace(piece, records=family.joined(piece))
            if walk.ended and not walk.ready:
                del families[id(walk)]

    def _child(self, declared: Declaration, record: msgspec.Raw | bytes, position: str) -> Walk:
        values: dict[str, str] = {}
        for name in _braces(declared):
            value = picker(tuple(name.split(".")))(record)
            if value is MISSING or value is None or isinstance(value, (dict, list)):
                raise Invalid(
                    "parent-field-missing",
                    f"{position} of the parent has no {name!r} to ask for its children by.",
                    hint="Name a field that every record of the parent has.",
                    position=position,
                    field=name,
                )
            values[name] = str(value).lower() if isinstance(value, bool) else str(value)
        address = filled(declared.address, {n: quote(v, safe="") for n, v in values.items()})
        params = {
            name: filled(text, values)
            for name, text in declared.params.items()
            if isinstance(text, str) and "{" in text
        }
        label = "/".join(values.values()) or position
        return self._walk(declared, params=params, label=label, address=address)

    # -- walking

    def _walk(
        self,
        declared: Declaration,
        *,
        start: State = None,
        params: Mapping[str, object] | None = None,
        label: str = "",
        address: str = "",
        passed: int = 0,
    ) -> Walk:
        pages = declared.pages.inner if isinstance(declared.pages, Windows) else declared.pages
        made: Pager = pager(pages, self.hidden)
        return Walk(
            pager=made,
            stop=pages.stop if pages is not None else frozenset(),
            attempts=declared.retry.attempts,
            speculate=declared.parallel,
            start=start,
            params=params or {},
            label=label,
            address=address,
            passed=passed,
        )

    def _party(self, declared: Declaration) -> Party:
        fetch = self.fetcher(declared).page
        return Party(self.crew, fetch, self.host, width=declared.parallel)

    def _given(self, declared: Declaration, walk: Walk) -> Iterator[Given]:
        stages: tuple[Stage, ...] = (walk,)
        for item in self._party(declared).pages(iter(stages)):
            if not isinstance(item, Cursor):
                yield item[1]

    @staticmethod
    def _is_short(walk: Walk, distinct: int, least: int | None) -> bool:
        """Say whether there were fewer records than the list said all the time."""
        counted = walk.pager
        if not isinstance(counted, CountedPager) or not counted.counts_records or least is None:
            return False
        return distinct < least

    def _shown(self, declared: Declaration) -> str:
        return shown(declared.address, self.hidden)


def _is_cut_short(declared: Declaration, boundary: Boundary | None) -> bool:
    descends = declared.since is not None and declared.since.order == "descending"
    return descends and boundary is not None and boundary.begun is not None


def _braces(declared: Declaration) -> tuple[str, ...]:
    texts = [declared.address, *(v for v in declared.params.values() if isinstance(v, str))]
    names = [part.partition("}")[0] for text in texts for part in text.split("{")[1:]]
    return tuple(dict.fromkeys(names))


def _included(declared: Declaration, record: msgspec.Raw | bytes) -> Mapping[str, bytes]:
    made: dict[str, bytes] = {}
    for name, path in declared.include.items():
        value = picker(path)(record)
        made[name] = msgspec.json.encode(None if value is MISSING else value)
    return made


def _changed(declared: Declaration, where: str) -> Unavailable:
    hint = "Read it again. Pages by cursor or key do not move."
    if not declared.identity:
        hint = (
            'Say what names a record, identity="id": then the list is read again for what was not'
            " seen. Pages by cursor or key do not move."
        )
    return Unavailable(
        "list-changed",
        f"{where} lost records while its pages were counted: others have moved to pages that were"
        " read before.",
        hint=hint,
        url=where,
    )


def _may_move(walk: Walk) -> bool:
    """Whether records can move to other pages while they are counted."""
    return isinstance(walk.pager, CountedPager)


def _again(url: str, where: str) -> Unavailable:
    return Unavailable(
        "list-changed",
        f"{where[0].upper()}{where[1:]} of {url} has a record of the page before it: the list "
        "moved while its pages were counted.",
        hint='Say what names a record, identity="id": then one that is met twice is given once. '
        "Pages by cursor or key do not move.",
        url=url,
        position=where,
    )


def _not_grown(where: str) -> Invalid:
    return Invalid(
        "list-not-grown",
        f"{where} is not the list that was read before: the last record that was read is not where"
        " it was.",
        hint="grows=True is for lists that only grow at their end. Say since= instead, or write"
        ' with mode="replace".',
        url=where,
    )


def _with(record: msgspec.Raw | bytes, extra: Mapping[str, bytes], position: str) -> bytes:
    """Add fields of the parent to a record; those it has itself are not written over."""
    text = bytes(record)
    if text[:1] != b"{":
        return text
    for name in extra:
        if picker((name,))(text) is not MISSING:
            raise Invalid(
                "include-taken",
                f"{position} has a field {name!r} of its own, which include= would write over.",
                hint="Include the parent's field under another name.",
                position=position,
                field=name,
            )
    added = b",".join(msgspec.json.encode(name) + b":" + value for name, value in extra.items())
    rest = text[1:].lstrip()
    return b"{" + added + (b"" if rest[:1] == b"}" else b",") + rest
