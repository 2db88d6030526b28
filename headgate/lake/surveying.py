"""Surveying a lake: what there is, what roots keep of it, and what that reaches. Changes nothing.

The order is what makes it right beside others' work. Files are listed before the roots are read: a
file that was there is reached by one of them, or by nobody yet. Commits are read after the roots:
every root's commit is among them.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Protocol, TypeVar

from headgate.lake.commits import ancestor, merge_base
from headgate.lake.lake import Lake
from headgate.lake.pins import CommitRow, MarkKind
from headgate.lake.reachability import Reachability
from headgate.lake.records import Commit
from headgate.lake.retention import UNFINISHED, Decision, Keep, Places, RetentionPolicy, decide
from headgate.lake.swept import LostRun
from headgate.lake.tallies import GOING, KEPT, PARTS, WAITING, Tallies

ROWS_AT_ONCE = 1000
_DIRECTORIES = ("data", "metadata")
_KINDS: tuple[MarkKind, ...] = (*PARTS, "file")

_T = TypeVar("_T")


class Needs(Protocol):
    """What the entries of a commit need beyond it: the positions of steps in their inputs."""

    def __call__(self, commit: Commit, *, line: str, why: str) -> Iterable[Keep]:
        """Give what is to be kept for a commit's entries.

        ``line`` is the commit whose first parents the steps would go on from; ``why`` its root.
        """
        ...


def no_needs(commit: Commit, *, line: str, why: str) -> Iterable[Keep]:
    """Give nothing: entries need nothing beyond their commit."""
    del commit, line, why
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What was found: what roots keep, and which runs lose the state they began from."""

    decision: Decision
    lost: tuple[LostRun, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Surveyor:
    """Surveys one lake. What is marked since before ``before`` is found to be going."""

    lake: Lake
    policy: RetentionPolicy
    needs: Needs
    now: datetime
    before: datetime
    progress: Callable[[str], None]

    def survey(self, tallies: Tallies) -> Survey:
        """Look at all of it, and note it down.

        Raises:
            Corrupt: what is kept is damaged, so that what it reaches cannot be known.
        """
        self.progress("listing files")
        for directory in _DIRECTORIES:
            tallies.list_files(self.lake.storage.list(directory))
        self.progress("reading the history")
        for kind in _KINDS:
            for marks in _marks(self.lake, kind):
                tallies.add_marks(kind, marks)
        decision = self._decision(tallies)
        tallies.let_wait(now=self.now, before=self.before)
        self.progress("reading what is kept")
        return Survey(decision=decision, lost=self._walk(tallies))

    def _decision(self, tallies: Tallies) -> Decision:
        references = self.lake.metastore.references()
        for rows in commit_rows(self.lake):
            tallies.add_commits(rows)
        pins = tuple(pin for pin in references.pins if tallies.knows(pin.commit))
        decision = decide(
            replace(references, pins=pins),  # a lease that was over may be renewed too late
            self.policy,
            self._places(),
            main=self.lake.main,
            now=self.now,
        )
        needed = [need for keep in decision.keeps for need in self._needed(tallies, keep)]
        for keep in _joined([*decision.keeps, *needed]):
            tallies.keep(
                keep.commit,
                states_since=keep.states_since,
                operations_since=keep.operations_since,
            )
        if decision.writing_since is not None:
            tallies.keep_recent(decision.writing_since)
        given_up = {run.id for run in decision.given_up}
        tallies.keep_written(
            run.id for run in references.runs if run.state in UNFINISHED and run.id not in given_up
        )
        return decision

    def _places(self) -> Places:
        store = self.lake.metastore

        def seen(branch: str, at: datetime) -> int:
            head = store.head_at(branch, at)
            if head is None:
                _, head = store.first_move(branch) or (at, "")
            return store.link(head).number if head else 0

        return Places(
            number=lambda commit: store.link(commit).number,
            fork=lambda a, b: merge_base(a, b, store.link).number,
            seen=seen,
        )

    def _needed(self, tallies: Tallies, keep: Keep) -> Iterator[Keep]:
        """Give what the entries at both ends of a root's states need; between them it is no more.

        Positions go forward along first parents, or back to one that was there before.
        """
        if keep.states_since is None:
            return
        store = self.lake.metastore
        ends = {keep.commit}
        first = ancestor(keep.commit, keep.states_since, store.link)
        if first is not None:
            ends.add(first.id)
        for id in sorted(ends):
            if tallies.level("commit", id) is not None:
                yield from self.needs(self.lake.commit(id), line=keep.commit, why=keep.why)

    def _walk(self, tallies: Tallies) -> tuple[LostRun, ...]:
        """Walk what is kept, then what waits; what goes is told by what is left."""
        walk = Reachability(self.lake.metastore, self.lake.tables, tallies)
        lost: list[LostRun] = []

        def see(commit: Commit) -> None:
            record = commit.record
            if record.kind != "run" or record.run is None or record.base is None:
                return
            level = tallies.level("commit", record.base)
            if level in (GOING, WAITING):
                lost.append(
                    LostRun(
                        run=record.run,
                        pipeline=record.pipeline,
                        commit=commit.id,
                        at=record.at,
                        base=record.base,
                        now=level == GOING,
                    )
                )

        for level in (KEPT, WAITING):
            walk.states(tallies.at_level("commit", level), level=level)
            walk.operations(tallies.at_level("operations", level), level=level)
        walk.records(tallies.following(), see)
        return tuple(sorted(lost, key=lambda run: (run.at, run.run)))


def commit_rows(lake: Lake) -> Iterator[Sequence[CommitRow]]:
    """Give all commits, in pieces."""
    retention = lake.metastore.retention
    rows = retention.commit_rows(after="", limit=ROWS_AT_ONCE)
    while rows:
        yield rows
        rows = retention.commit_rows(after=rows[-1].id, limit=ROWS_AT_ONCE)


def pieces(values: Iterable[_T], size: int) -> Iterator[list[_T]]:
    """Give values in lists of at most so many."""
    values = iter(values)
    while piece := list(islice(values, size)):
        yield piece


def _marks(lake: Lake, kind: MarkKind) -> Iterator[Sequence[tuple[str, datetime]]]:
    retention = lake.metastore.retention
    found = retention.marks(kind, after="", limit=ROWS_AT_ONCE)
    while found:
        yield found
        found = retention.marks(kind, after=found[-1][0], limit=ROWS_AT_ONCE)


def _joined(keeps: Iterable[Keep]) -> Iterable[Keep]:
    """Give one root for all that begin at the same commit: its first parents are walked once."""
    found: dict[str, Keep] = {}
    for keep in keeps:
        there = found.setdefault(keep.commit, keep)
        found[keep.commit] = replace(
            there,
            states_since=_least(there.states_since, keep.states_since),
            operations_since=_least(there.operations_since, keep.operations_since),
        )
    return found.values()


def _least(a: int | None, b: int | None) -> int | None:
    return min(each for each in (a, b) if each is not None) if (a, b) != (None, None) else None
