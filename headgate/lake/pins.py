"""Pins: who holds which commits, until when. A reader's lease is a pin that must be renewed."""
# ruff: noqa: D102

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol, TypeAlias

from headgate.errors import NotFound

PinKind: TypeAlias = Literal["reader", "run", "person", "sink"]
MarkKind: TypeAlias = Literal["commit", "operations", "file"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """A commit that must keep its tree and its tables' files.

    With ``since`` the commit and its first parents with greater numbers keep the files of their
    operations, too. A sink's pin also keeps all that came after its commit, on every branch that
    follows it. ``holder`` owns it: a run's id, a process; ``until`` None has no end.
    """

    id: str
    kind: PinKind
    holder: str
    commit: str
    created: datetime
    why: str
    until: datetime | None = None
    since: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitRow:
    """A commit's place in the history, and since when it lacks what it held.

    ``collected``: its tree and its tables' files. ``emptied``: its operations' files.
    """

    id: str
    parent: str | None
    number: int
    collected: datetime | None = None
    emptied: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedRun:
    """A run that is over, as far as it matters to what may go."""

    id: str
    state: str
    branch: str
    commit: str | None


class Retention(Protocol):
    """What the metastore knows of what may go: pins, marks, and how it is taken away.

    Whatever gives a commit a root locks its row, refuses a collected one and clears its mark.
    """

    # -- pins
    def pins(self) -> Sequence[Pin]: ...
    def pin(self, pin: Pin) -> bool:
        """Hold a commit; False where it is collected. The same id again sets a new end."""
        ...

    def renew(self, holder: str, *, until: datetime) -> None:
        """Set a new end to all of a holder's pins that have one."""
        ...

    def unpin(self, id: str) -> None: ...
    def unpin_all(self, holder: str) -> None: ...
    def expire_pins(self, *, before: datetime) -> int: ...

    # -- what is gone
    def gone(self, ids: Sequence[str]) -> Mapping[str, CommitRow]:
        """Give those of the commits that have lost anything."""
        ...

    def commit_rows(self, *, after: str, limit: int) -> Sequence[CommitRow]: ...

    # -- marks: what may go, since when
    def marks(
        self, kind: MarkKind, *, after: str, limit: int
    ) -> Sequence[tuple[str, datetime]]: ...
    def put_marks(self, kind: MarkKind, names: Sequence[str], *, at: datetime) -> None:
        """Mark names; those that are marked keep their time."""
        ...

    def drop_marks(self, kind: MarkKind, names: Sequence[str]) -> None: ...

    # -- taking away
    def collect(
        self,
        commits: Sequence[str],
        operations: Sequence[str],
        *,
        at: datetime,
        leases_since: datetime,
        is_known: Callable[[str], bool],
    ) -> Sequence[str]:
        """Say of commits that they lose their tree and files, of others their operations' files.

        Reads all roots in the same transaction: where one is, or follows, one of ``commits``,
        nothing is done and those are given. Roots are followed back to commits that are known.
        """
        ...

    def delete_commits(self, ids: Sequence[str]) -> int:
        """Delete the rows of collected commits; give how many were there."""
        ...

    def node_names(self, *, after: bytes, limit: int) -> Sequence[bytes]: ...
    def doom(self, names: Sequence[bytes], *, token: str) -> None:
        """Say that a collection is about to delete nodes. Storing one again spares it."""
        ...

    def spare(self, names: Sequence[bytes], *, token: str) -> None: ...
    def delete_doomed(self, names: Sequence[bytes], *, token: str) -> int:
        """Delete those of the nodes that are doomed still; give how many."""
        ...

    # -- rows that say nothing any more
    def forget_moves(self, branch: str, *, before: datetime) -> int:
        """Forget where a branch was before an instant, but for where it was then."""
        ...

    def ended_runs(self, *, before: datetime, after: str, limit: int) -> Sequence[EndedRun]:
        """Give a piece of the runs that were over before an instant and leave something behind."""
        ...

    def forget_runs(self, parts: Sequence[str], whole: Sequence[str]) -> None:
        """Forget the steps and events of runs; of others all."""
        ...


def commit_collected(
    id: str, *, at: datetime, of: datetime | None = None, need: str = "its tables"
) -> NotFound:
    """Give the error for looking into a commit whose tree and files are gone."""
    when = f" of {of:%Y-%m-%d %H:%M}" if of is not None else ""
    return NotFound(
        "commit-collected",
        f"Commit {id[:12]}{when} is past what the lake keeps: {need} were swept away"
        f" on {at:%Y-%m-%d at %H:%M} UTC.",
        readers="What branches and tags point to is whole.",
        hint=f"What it did is still told:  headgate show {id[:12]}\n"
        "To keep commits for longer, tag them, or set lake.retention.history.",
        commit=id,
        collected=at.isoformat(),
    )
