"""Retention: what is a root, and what each keeps. Pure; where commits are is asked of functions.

A root keeps states (a commit's tree and its tables' files) and recorded operations (their files)
along first parents, from its commit back to a number. Records need no root: a commit keeps its
record as long as any root reaches it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from headgate.lake.metastore import Branch, References, RunRow, RunState
from headgate.lake.pins import Pin

CLOCKS_APART = timedelta(minutes=15)
"""How far the clocks of two hosts may differ."""

SHORTEST_GRACE = timedelta(hours=1)
"""Reads without a lease, and work between two transactions, are shorter than this."""

UNFINISHED = frozenset(
    {RunState.RUNNING, RunState.PUBLISHING, RunState.FAILED, RunState.PARKED},
)
_AT_WORK = frozenset({RunState.RUNNING, RunState.PUBLISHING})


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPolicy:
    """How long what nobody holds is kept.

    ``history``: what readers of a branch saw within this time, ``main@{...}``, and what can be
    reverted. ``unfinished``: a run without a sign of life is given up after it. ``grace``: what may
    go stays so long after it was found.
    """

    history: timedelta = timedelta(days=30)
    unfinished: timedelta = timedelta(days=14)
    grace: timedelta = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """What one root keeps, and why: first parents of ``commit``, itself included.

    States of those with numbers from ``states_since`` on, files of operations of those with numbers
    above ``operations_since``; None keeps none.
    """

    why: str
    commit: str
    states_since: int | None = None
    operations_since: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the roots keep; which branches have had their time, with why; which runs are given up.

    The branch of a run that is given up is among those that go. ``pins`` are those in force. Since
    ``writing_since`` somebody is at work: nothing written later goes, whoever wrote it.
    """

    keeps: tuple[Keep, ...]
    branches: tuple[tuple[Branch, str], ...]
    given_up: tuple[RunRow, ...]
    pins: tuple[Pin, ...]
    writing_since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where commits are: what a decision asks of the history.

    ``number`` of a commit. ``fork``: the number of the youngest commit that two descend from.
    ``seen``: the number of the commit that readers of a branch saw at an instant, or first saw.
    """

    number: Callable[[str], int]
    fork: Callable[[str, str], int]
    seen: Callable[[str, datetime], int]


def decide(
    references: References, policy: RetentionPolicy, places: Places, *, main: str, now: datetime
) -> Decision:
    """Decide what every root keeps."""
    branches = {branch.name: branch for branch in references.branches}
    trunk = branches[main]
    keeps: list[Keep] = []
    gone: dict[str, str] = {}
    given_up: list[RunRow] = []
    of_runs: dict[str, RunRow] = {}
    for run in references.runs:
        of_runs[run.branch] = run
        reason = _over(run, policy, now)
        if reason is not None:
            if run.state in UNFINISHED:
                given_up.append(run)
            if run.branch in branches:
                gone[run.branch] = reason
        else:
            keeps += _of_run(run, branches, places)
    for branch in references.branches:
        if branch.name not in of_runs:
            keeps += _of_branch(branch, trunk, policy, places, now)
    for tag in references.tags:
        keeps.append(_state(f"tag {tag.name}", tag.commit, places))
    pins = tuple(pin for pin in references.pins if in_force(pin, now))
    keeps += [
        Keep(
            why=f"{pin.kind} {pin.holder}: {pin.why}",
            commit=pin.commit,
            states_since=places.number(pin.commit),
            operations_since=pin.since,
        )
        for pin in pins
    ]
    for pin in pins:
        if pin.kind == "sink":
            keeps += _of_sink(
                pin, [b for b in references.branches if b.name not in of_runs], places
            )
    for backup in references.backups:
        if backup.expires is None or backup.expires + CLOCKS_APART > now:
            keeps += [_state(f"backup {backup.name}", each, places) for each in backup.commits]
    return Decision(
        keeps=tuple(keeps),
        branches=tuple((branches[name], reason) for name, reason in gone.items()),
        given_up=tuple(given_up),
        pins=pins,
        writing_since=_writing_since(references, now),
    )


def _writing_since(references: References, now: datetime) -> datetime | None:
    """Give since when the oldest run at work may have written what no commit refers to yet."""
    began = [
        run.began
        for run in references.runs
        if run.state in _AT_WORK and run.lease_until + CLOCKS_APART > now
    ]
    return min(began) - CLOCKS_APART if began else None


def in_force(pin: Pin, now: datetime) -> bool:
    """Whether a pin holds, be its holder's clock as late as it may."""
    return pin.until is None or pin.until + CLOCKS_APART > now


def _over(run: RunRow, policy: RetentionPolicy, now: datetime) -> str | None:
    """Say why a run's branch may go; None while it stays."""
    silent = now - run.lease_until
    if run.state in UNFINISHED or run.state is RunState.ABANDONED:
        if silent <= policy.unfinished:
            return None
        if run.state is RunState.ABANDONED:
            return f"run {run.id} was given up {silent.days} days ago"
        return f"run {run.id} is {run.state} and gave no sign of life for {silent.days} days"
    return f"run {run.id} is over: {run.state}" if silent > CLOCKS_APART else None


def _of_run(run: RunRow, branches: Mapping[str, Branch], places: Places) -> Iterator[Keep]:
    """Keep what a run stands on and has made, and what its target did since."""
    why = f"run {run.id} ({run.state})"
    base = places.number(run.base)
    branch = branches.get(run.branch)
    yield Keep(
        why=why,
        commit=branch.head if branch is not None else run.base,
        states_since=base,
        operations_since=base,
    )
    target = branches.get(run.target)
    if target is not None and run.state in UNFINISHED:
        since = places.fork(run.base, target.head)
        yield Keep(why=why, commit=target.head, operations_since=since)


def _of_branch(
    branch: Branch, trunk: Branch, policy: RetentionPolicy, places: Places, now: datetime
) -> Iterator[Keep]:
    """Keep what its readers saw, and what merging it needs: both lines since they parted."""
    why = f"branch {branch.name}"
    seen = min(places.seen(branch.name, now - policy.history), branch.number)
    if branch.name == trunk.name:
        yield Keep(why=why, commit=branch.head, states_since=seen, operations_since=seen)
        return
    fork = places.fork(branch.head, trunk.head)
    since = min(seen, fork)
    yield Keep(why=why, commit=branch.head, states_since=since, operations_since=since)
    yield Keep(why=f"{why}, to be merged", commit=trunk.head, operations_since=fork)


def _of_sink(pin: Pin, branches: Sequence[Branch], places: Places) -> Iterator[Keep]:
    """Keep what was published after the commit that a sink has: it is yet to be delivered."""
    number = places.number(pin.commit)
    for branch in branches:
        if places.fork(pin.commit, branch.head) == number:
            yield Keep(
                why=f"{pin.kind} {pin.holder}: {pin.why}",
                commit=branch.head,
                states_since=number,
                operations_since=number,
            )


def _state(why: str, commit: str, places: Places) -> Keep:
    return Keep(why=why, commit=commit, states_since=places.number(commit))
