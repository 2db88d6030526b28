"""The serialization graph: is there a serial order in which a run reads what it has read?

Nodes are publications, and the run that wants to become one. An edge says which of two comes first
in every serial order (SEMANTICS 3)::

    read-write    it read a key before the other's write to it became visible
    write-read    it wrote what the other read
    write-write   both wrote a key, unless every operation of both on it is an append

Read edges are narrowed by footprints, write-write edges never. Between publications every edge
follows publication order except a read-write edge, and ``Record.low`` is the farthest one such edge
goes back. A run adds edges from itself only to publications after its base, so a cycle through it
must pass one of those; where none leads back beyond the base, the commits since the base decide.
Where one does, the window grows to it, and the exact graph decides: a ``low`` alone would starve
every report beside a stream.

A revert is a barrier: an open run that read what it took back conflicts, at any level.

A publication at snapshot isolation stands in the graph with its writes only: it acts as its
recorded operations, and promises nothing about what it read.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Literal, NamedTuple, TypeAlias

from headgate.errors import Internal
from headgate.lake.accesses import Touched, Where, shares_rows, touched, writes_in_effect
from headgate.lake.effects import reads_at_base
from headgate.lake.operations import Footprint, Rename
from headgate.lake.records import Commit, Isolation, Read, StepRecord, Write

Why: TypeAlias = Literal["read-write", "write-read", "write-write"]
Extend: TypeAlias = Callable[[int], Sequence[Commit]]
"""Gives the branch's commits from a publication number on, in order, up to the window or beyond."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """What the graph test needs of a run that is not published.

    ``base_number`` is the publication number of the commit it began from; where its reads were
    taken at several commits (``Read.at``), that of the oldest. ``in_effect`` names commits of the
    target that hold this very work already (earlier merges of the same branch): they are no nodes
    against it. Take ``reads`` and ``writes`` from the steps by :meth:`of`: not every read of a
    record counts.

    The footprints of writes must hold on the head. Where applying an operation there may touch
    other rows than on the base, ask with what the merge has recorded, not with what the steps did.
    """

    base_number: int
    isolation: Isolation
    reads: tuple[Read, ...]
    writes: tuple[Write, ...]
    in_effect: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls,
        steps: Sequence[StepRecord],
        *,
        base_number: int,
        isolation: Isolation = "serializable",
        in_effect: frozenset[str] = frozenset(),
    ) -> "Transaction":
        """Give the transaction these steps make, in the order they ran."""
        return cls(
            base_number=base_number,
            isolation=isolation,
            reads=reads_at_base(steps),
            writes=writes_in_effect(steps),
            in_effect=in_effect,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """``before`` comes before ``after`` in every serial order, because of ``key``.

    None stands for the run.
    """

    before: str | None
    after: str | None
    key: str
    why: Why


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphConflict:
    """Why the run cannot be published as it is.

    ``path`` leads from the run back to itself (for a ``fresh`` run: to the publication that changed
    what it had read). ``commit`` is the first publication on it, ``keys`` are the keys of all its
    edges.
    """

    commit: str
    keys: tuple[str, ...]
    path: tuple[Edge, ...]


def conflict(run: Transaction, window: Sequence[Commit], *, extend: Extend) -> GraphConflict | None:
    """Say why the run cannot be published on the head, or None where it can.

    ``window`` holds the commits after the run's base up to the head, in order (older ones do no
    harm). ``extend`` is asked for older ones only where an edge leads back beyond the base.

    A caller that asks often asks a ``KeptHistory`` instead: it condenses each commit once.
    """
    if not may_overtake(run, window):
        return None
    return History(window).conflict(run, extend=extend)


def low(run: Transaction, window: Sequence[Commit]) -> int | None:
    """Give the least publication after the run's base that wrote what the run had read."""
    return History(window).low(run) if may_overtake(run, window) else None


def may_overtake(run: Transaction, window: Sequence[Commit]) -> bool:
    """Whether a commit may have written what the run read; cheap, and mostly the whole answer."""
    keys = {read.key for read in run.reads}
    if any(key.endswith("/") for key in keys):
        return True
    return any(
        write.key in keys or any(type(each) is Rename for each in write.operations)
        for commit in window
        for step in commit.record.steps
        for write in step.writes
    )


class _Write(NamedTuple):
    number: int
    appends: bool
    where: Where
    restores: bool


class _Read(NamedTuple):
    number: int
    at: int
    footprint: Footprint | None


class _Node(NamedTuple):
    id: str
    low: int | None
    reads: tuple[tuple[str, int, Footprint | None], ...]
    writes: tuple[Touched, ...]


class History:
    """A stretch of a branch's publications, condensed to what the graph test asks, each once.

    Grows at the head by :meth:`add`, and backwards by itself where a test has to look there. May be
    dropped and built again at any time. Not shared between threads.
    """

    def __init__(self, commits: Iterable[Commit] = ()) -> None:
        self._commits: list[Commit] = []
        self._nodes: list[_Node] = []
        self._numbers: dict[str, int] = {}
        self._writes: dict[str, list[_Write]] = {}
        self._reads: dict[str, list[_Read]] = {}
        for commit in commits:
            self.add(commit)

    def __len__(self) -> int:
        return len(self._nodes)

    @property
    def first(self) -> int | None:
        """The least publication number held; None where there is none."""
        return self._commits[0].number if self._commits else None

    @property
    def last(self) -> int | None:
        """The greatest publication number held; None where there is none."""
        return self._commits[-1].number if self._commits else None

    def add(self, commit: Commit) -> None:
        """Add the publication after the last one.

        Raises:
            Internal: ``history-gap``.
        """
        number = commit.number
        if self._commits and number != self._commits[-1].number + 1:
            raise Internal(
                "history-gap",
                f"Publication {number} does not follow publication {self._commits[-1].number}.",
                commit=commit.id,
            )
        node = self._condensed(commit)
        self._commits.append(commit)
        self._nodes.append(node)
        self._numbers[commit.id] = number
        for key, at, footprint in node.reads:
            self._reads.setdefault(key, []).append(_Read(number, at, footprint))
        for key, appends, where, restores in node.writes:
            write = _Write(number, appends, where, restores)
            self._writes.setdefault(key, []).append(write)

    def conflict(self, run: Transaction, *, extend: Extend) -> GraphConflict | None:
        """Say why the run cannot be published after the last commit, or None where it can.

        Costs a look-up per key the run read.
        """
        overtaken, reverted = self._overtaken(run)
        if not overtaken:
            return None
        if reverted or run.isolation == "fresh":
            number, key = reverted[0] if reverted else min(overtaken.items())
            edge = Edge(before=None, after=self._id(number), key=key, why="read-write")
            return GraphConflict(commit=self._id(number), keys=(key,), path=(edge,))
        if run.isolation == "snapshot-isolation":
            return None
        start = run.base_number + 1
        while True:
            search = _Search(self, run, start)
            found = search.cycle(overtaken)
            if found is not None or search.beyond is None:
                return found
            start = search.beyond
            self._grow_back_to(start, extend)

    def low(self, run: Transaction) -> int | None:
        """Give the least publication after the run's base that wrote what the run had read."""
        if run.isolation == "snapshot-isolation":
            return None
        return min(self._overtaken(run)[0], default=None)

    # -- what the search asks

    def node(self, number: int) -> _Node:
        """Give the condensed publication of that number."""
        return self._nodes[number - self._commits[0].number]

    def writes(self, key: str, after: int) -> Iterator[_Write]:
        """Give the writes of a key by publications after that number, in order."""
        found = self._writes.get(key, ())
        for index in range(bisect_left(found, (after + 1,)), len(found)):
            yield found[index]

    def reads(self, key: str, after: int) -> Iterator[_Read]:
        """Give the reads of a key by publications after that number, in order."""
        found = self._reads.get(key, ())
        for index in range(bisect_left(found, (after + 1,)), len(found)):
            yield found[index]

    def at(self, run: Transaction, read: Read) -> int:
        """Give the publication number at which a run's read was taken."""
        return run.base_number if read.at is None else self._numbers.get(read.at, run.base_number)

    def _id(self, number: int) -> str:
        return self.node(number).id

    def _overtaken(self, run: Transaction) -> tuple[dict[int, str], list[tuple[int, str]]]:
        """Give the publications that wrote what the run had read before, each with such a key.

        And those of them that took it back by a revert.
        """
        found: dict[int, str] = {}
        reverted: list[tuple[int, str]] = []
        mine = {self._numbers.get(id) for id in run.in_effect}
        for read in run.reads:
            for write in self.writes(read.key, self.at(run, read)):
                if write.number in mine or (write.number in found and not write.restores):
                    continue
                if shares_rows(write.where, read.footprint):
                    found[write.number] = read.key
                    if write.restores:
                        reverted.append((write.number, read.key))
        return found, reverted

    def _condensed(self, commit: Commit) -> _Node:
        record = commit.record
        reads: list[tuple[str, int, Footprint | None]] = []
        if record.isolation != "snapshot-isolation":
            seen: set[tuple[str, str | None]] = set()
            for read in reads_at_base(record.steps):
                if (read.key, read.at) not in seen:
                    if read.footprint is None:
                        seen.add((read.key, read.at))
                    at = record.base_number
                    if read.at is not None:
                        at = self._numbers.get(read.at, at)
                    reads.append((read.key, at, read.footprint))
        return _Node(commit.id, record.low, tuple(reads), touched(writes_in_effect(record.steps)))

    def _grow_back_to(self, number: int, extend: Extend) -> None:
        first = self.first
        if first is None or number >= first:
            return
        older = [commit for commit in extend(number) if commit.number < first]
        # Condensed anew, not put in front: a read's commit may be known only now.
        grown = History([*older, *self._commits])
        if grown.first != number:
            raise Internal(
                "history-gap",
                f"The graph test needs publication {number} and was given {grown.first}.",
            )
        self._commits, self._nodes, self._numbers = grown._commits, grown._nodes, grown._numbers
        self._writes, self._reads = grown._writes, grown._reads


class _Search:
    """A walk along the edges from the run, among the publications from ``start`` on.

    Publications are visited in order of their numbers, so that for each key a few marks say which
    of its writers and readers have been reached already: the cost follows the accesses, not their
    pairs.
    """

    def __init__(self, history: History, run: Transaction, start: int) -> None:
        self.beyond: int | None = None
        self._history = history
        self._run = run
        self._start = start
        self._steps_from: dict[int, tuple[int | None, str, Why]] = {}
        self._waiting: list[int] = []
        self._before_run = self._nodes_before_run()
        self._all_writers_after: dict[str, int] = {}
        self._other_writers_after: dict[str, int] = {}
        self._readers_after: dict[str, int] = {}
        self._overwriters_after: dict[str, int] = {}

    def cycle(self, overtaken: dict[int, str]) -> GraphConflict | None:
        """Give the first way found from the run back to itself.

        Sets ``beyond`` where none was found and an edge leads to a publication before ``start``.
        """
        for number, key in sorted(overtaken.items()):
            if self._reach(number, None, key, "read-write"):
                return self._path(number)
        while self._waiting:
            number = heappop(self._waiting)
            for follower, key, why in self._followers(number):
                if self._reach(follower, number, key, why):
                    return self._path(follower)
        return None

    def _reach(self, number: int, origin: int | None, key: str, why: Why) -> bool:
        """Mark a publication as reached; True where it comes before the run: a cycle."""
        if number in self._steps_from or number < self._start:
            return False
        node = self._history.node(number)
        if node.id in self._run.in_effect:
            return False
        self._steps_from[number] = (origin, key, why)
        if number in self._before_run:
            return True
        if node.low is not None and node.low < self._start:
            self.beyond = node.low if self.beyond is None else min(self.beyond, node.low)
        heappush(self._waiting, number)
        return False

    def _followers(self, number: int) -> Iterator[tuple[int, str, Why]]:
        """Give the publications that come after this one in every serial order."""
        node = self._history.node(number)
        for key, appends, where, _ in node.writes:
            for later in self._later_writers(number, key, appends=appends):
                yield later, key, "write-write"
            for reader in self._later_readers(number, key, where):
                yield reader, key, "write-read"
        for key, at, footprint in node.reads:
            for writer in self._overwriters(at, key, footprint):
                if writer != number:
                    yield writer, key, "read-write"

    def _later_writers(self, number: int, key: str, *, appends: bool) -> Iterator[int]:
        marks = self._other_writers_after if appends else self._all_writers_after
        mark = marks.get(key)
        if mark is not None and mark <= number:
            return
        marks[key] = number
        for write in self._history.writes(key, number):
            if mark is not None and write.number > mark:
                return
            if not (appends and write.appends):
                yield write.number

    def _later_readers(self, number: int, key: str, where: Where) -> Iterator[int]:
        if where is None:
            mark = self._readers_after.get(key)
            if mark is not None and mark <= number:
                return
            self._readers_after[key] = number
        for read in self._history.reads(key, number):
            if (
                read.at >= number
                and read.number not in self._steps_from
                and shares_rows(where, read.footprint)
            ):
                yield read.number

    def _overwriters(self, at: int, key: str, footprint: Footprint | None) -> Iterator[int]:
        after = max(at, self._start - 1)
        mark = None
        if footprint is None:
            mark = self._overwriters_after.get(key)
            if mark is not None and mark <= after:
                return
            self._overwriters_after[key] = after
        for write in self._history.writes(key, after):
            if mark is not None and write.number > mark:
                return
            if write.number not in self._steps_from and shares_rows(write.where, footprint):
                yield write.number

    def _nodes_before_run(self) -> dict[int, tuple[str, Why]]:
        """Give the publications that come before the run in every serial order."""
        history, run, after = self._history, self._run, self._start - 1
        found: dict[int, tuple[str, Why]] = {}
        for read in run.reads:
            at = history.at(run, read)
            for write in history.writes(read.key, after):
                if write.number > at:
                    break
                if shares_rows(write.where, read.footprint):
                    found.setdefault(write.number, (read.key, "write-read"))
        for key, appends, where, _ in touched(run.writes):
            for write in history.writes(key, after):
                if not (appends and write.appends):
                    found.setdefault(write.number, (key, "write-write"))
            for earlier in history.reads(key, after):
                if shares_rows(where, earlier.footprint):
                    found.setdefault(earlier.number, (key, "read-write"))
        return found

    def _path(self, number: int) -> GraphConflict:
        key, why = self._before_run[number]
        edges = [Edge(before=self._id(number), after=None, key=key, why=why)]
        at: int | None = number
        while at is not None:
            origin, key, why = self._steps_from[at]
            edges.append(Edge(before=self._id(origin), after=self._id(at), key=key, why=why))
            at = origin
        edges.reverse()
        return GraphConflict(
            commit=edges[0].after or "",
            keys=tuple(dict.fromkeys(edge.key for edge in edges)),
            path=tuple(edges),
        )

    def _id(self, number: int | None) -> str | None:
        return None if number is None else self._history.node(number).id
