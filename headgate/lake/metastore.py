"""The metastore: the one owner of mutable state, in SQL. What every implementation must do.

Every method is one SQL transaction (or a read of one), safe between threads and processes. A write
that another process may race is a compare-and-swap whose row count decides. Nothing here decides
anything about runs or merges: that is done above, by pure functions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from headgate.lake.commits import Link
from headgate.lake.pins import Pin, Retention
from headgate.lake.records import Commit

if TYPE_CHECKING:
    from headgate.lake.sql_erasing import SqlErasing


class RunState(StrEnum):
    """Where a run is in its life. ``published``, ``abandoned`` and ``adopted`` are final."""

    RUNNING = "running"
    PUBLISHING = "publishing"
    PUBLISHED = "published"
    NOTHING = "nothing-to-do"
    DONE = "done"
    FAILED = "failed"
    PARKED = "parked"
    ABANDONED = "abandoned"
    ADOPTED = "adopted"


class StepState(StrEnum):
    """Where a step of a run is."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """A branch: its head moves by compare-and-swap only. A protected one only by publication."""

    name: str
    head: str
    number: int
    protected: bool
    created: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """A tag never moves."""

    name: str
    commit: str
    created: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """A run's mutable state.

    ``fence`` counts take-overs: whoever holds an older one has lost the run.
    """

    id: str
    pipeline: str
    target: str
    branch: str
    state: RunState
    fence: int
    base: str
    began: datetime
    owner: str
    lease_until: datetime
    commit: str | None = None
    reason: Mapping[str, object] | None = None
    settings: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRow:
    """A step's mutable state within a run; ``reason`` holds a failure."""

    run: str
    step: str
    state: StepState
    attempt: int
    commit: str | None = None
    reason: Mapping[str, object] | None = None
    started: datetime | None = None
    ended: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """Something that happened, as stored; ``body`` is the event's JSON."""

    run: str | None
    step: str | None
    kind: str
    at: datetime
    body: Mapping[str, object]
    number: int = 0


class Outcome(StrEnum):
    """How a conditional write ended."""

    DONE = "done"
    HEAD_MOVED = "head-moved"
    NOT_MINE = "not-mine"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """Keys a run lost on, kept free of juniors until an instant (G6)."""

    run: str
    began: datetime
    keys: tuple[str, ...]
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """What the sweep must keep for a copy of the metastore elsewhere.

    ``commits`` are roots as the heads of branches are, until ``expires``; None is for ever.
    """

    name: str
    created: datetime
    location: str
    commits: tuple[str, ...]
    expires: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class References:
    """All that keeps something, as it was at one moment.

    ``runs`` are those that are unfinished, and those whose branch is still there.
    """

    branches: tuple[Branch, ...]
    tags: tuple[Tag, ...] = ()
    runs: tuple[RunRow, ...] = ()
    pins: tuple[Pin, ...] = ()
    backups: tuple[Backup, ...] = ()


class Turns(Protocol):
    """In which order runs publish. It decides nothing, and whoever dies is soon out of the way."""

    def take_ticket(
        self, branch: str, *, run: str, fence: int, keys: Sequence[str], lease: timedelta
    ) -> bool:
        """Take a ticket for these keys unless another live one overlaps them.

        Held for milliseconds.
        """
        ...

    def drop_ticket(self, branch: str, *, run: str) -> None: ...
    def reserve(self, branch: str, reservation: Reservation) -> None: ...
    def drop_reservation(self, branch: str, *, run: str) -> None: ...
    def reservations(self, branch: str) -> Sequence[Reservation]: ...


class Metastore(Protocol):
    """The SQL database of a lake."""

    # -- the lake itself
    def lake_id(self) -> str: ...
    def main(self) -> str: ...
    def check(self) -> Sequence[str]: ...
    def describe(self) -> Mapping[str, str]: ...
    def close(self) -> None: ...

    # -- copies of the whole, and who may delete files (``epochs``, ``backups``)
    def copy(self, to: Path) -> None:
        """Write one state of everything to a file, as an SQLite metastore; nobody waits."""
        ...

    def identity(self) -> str:
        """Name this very database: a copy of it has another name, after a move it may have."""
        ...

    def epoch(self) -> str:
        """Give the epoch now."""
        ...

    def take_epoch(self, epoch: str) -> None:
        """Set the epoch, durably."""
        ...

    def backups(self) -> Sequence[Backup]: ...
    def put_backup(self, backup: Backup) -> None: ...
    def delete_backup(self, name: str) -> bool: ...

    # -- what is kept, and what may go
    @property
    def retention(self) -> Retention: ...
    @property
    def erasing(self) -> "SqlErasing": ...
    @property
    def turns(self) -> Turns: ...
    def purge(self) -> bool:
        """Leave nothing in the database's own files that is not in the database any more.

        False where only the database's administrator can see to that.
        """
        ...

    def references(self) -> References: ...
    def first_move(self, branch: str) -> tuple[datetime, str] | None: ...

    # -- tree nodes: immutable, content-addressed
    def get_nodes(self, hashes: Sequence[bytes]) -> Mapping[bytes, bytes]: ...
    def put_nodes(self, nodes: Mapping[bytes, bytes]) -> None: ...

    # -- commits and refs
    def commit(self, id: str) -> Commit | None: ...
    def commits(self, ids: Sequence[str]) -> Sequence[Commit]: ...
    def link(self, id: str) -> Link:
        """Give a commit's place in the history.

        Raises:
            NotFound: ``unknown-commit``.
        """
        ...

    def chain(
        self, id: str, *, since: int = -1, limit: int | None = None, cached: bool = True
    ) -> Sequence[Commit]:
        """Give a commit and its first parents with numbers above ``since``, newest first.

        One round trip, however many. Unless ``cached``, all are read from the database.
        """
        ...

    def find_commits(self, prefix: str, limit: int) -> Sequence[str]: ...
    def branches(self) -> Sequence[Branch]: ...
    def branch(self, name: str) -> Branch | None: ...
    def create_branch(self, branch: Branch) -> bool: ...
    def delete_branch(self, name: str, *, head: str) -> Outcome: ...
    def protect(self, name: str, *, protected: bool) -> bool: ...
    def tags(self) -> Sequence[Tag]: ...
    def tag(self, name: str) -> Tag | None: ...
    def create_tag(self, tag: Tag) -> bool: ...
    def delete_tag(self, name: str) -> bool: ...
    def head_at(self, branch: str, instant: datetime) -> str | None: ...

    # -- moving a branch
    def advance(
        self,
        branch: str,
        *,
        head: str,
        commit: Commit,
        nodes: Mapping[bytes, bytes],
        run: str | None = None,
        fence: int = 0,
        steps: Sequence[StepRow] = (),
        events: Sequence[EventRow] = (),
    ) -> Outcome:
        """Move a branch from ``head`` to ``commit``.

        With ``run``, only if its fence is mine and it is not published (a checkpoint).
        """
        ...

    def publish(
        self,
        branch: str,
        *,
        head: str,
        commit: Commit,
        nodes: Mapping[bytes, bytes],
        run: str,
        fence: int,
        events: Sequence[EventRow] = (),
    ) -> Outcome:
        """Move the target's head, and the run to ``published``, in one durable transaction.

        ``synchronous=FULL``. The head only if it is ``head``, the run only if it is ``publishing``
        and its fence is mine. Frees the run's tickets and reservations in the same transaction.
        """
        ...

    # -- runs
    def begin_run(self, run: RunRow, *, fork_from: str) -> None:
        """Record the run and create its branch at ``fork_from``, in one transaction."""
        ...

    def run(self, id: str) -> RunRow | None: ...
    def runs(
        self,
        *,
        states: Sequence[RunState] = (),
        pipeline: str | None = None,
        limit: int | None = None,
    ) -> Sequence[RunRow]: ...
    def find_runs(self, prefix: str, limit: int) -> Sequence[str]: ...
    def take_over(self, id: str, *, owner: str, lease_until: datetime) -> RunRow | None:
        """Give the run with fence + 1 and state ``running``.

        None where it is final (published, abandoned, adopted).
        """
        ...

    def set_run(
        self,
        id: str,
        *,
        fence: int,
        state: RunState,
        base: str | None = None,
        commit: str | None = None,
        reason: Mapping[str, object] | None = None,
        lease_until: datetime | None = None,
        events: Sequence[EventRow] = (),
    ) -> bool:
        """Change a run's row only if the fence is mine and it is not final."""
        ...

    def rebase_run(self, id: str, *, fence: int, head: str, base: str) -> Outcome:
        """Put the run's branch on a new base (re-execution).

        Branch from ``head`` to ``base``, run's base too.
        """
        ...

    def heartbeat(self, id: str, *, fence: int, lease_until: datetime) -> bool: ...
    def steps(self, run: str) -> Sequence[StepRow]: ...
    def record(
        self,
        run: str,
        *,
        fence: int,
        steps: Sequence[StepRow] = (),
        events: Sequence[EventRow] = (),
    ) -> bool:
        """Store step states and events in one cheap transaction.

        It survives kill -9, not power loss.
        """
        ...

    def events(
        self, *, after: int = 0, run: str | None = None, limit: int = 1000
    ) -> Sequence[EventRow]: ...

    # -- ids of columns, schemas and specs, lake-wide
    def allocate(self, table: str, names: Sequence[str], *, at_least: int = 1) -> Mapping[str, int]:
        """Give each name its number within ``table`` (a uuid): its own, or the next free one.

        A name is any text that says what the id is for. Equal names get equal numbers, on every
        branch, for ever.
        """
        ...
