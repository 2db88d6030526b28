"""What follows from taking a run back: who read what goes away, and who stands on it.

One walk over the publications since the run, in order. A step is touched if it read a key whose
state, where it read it, holds something of what goes away; or if what it did to a key cannot be had
without what goes away. What a touched step writes is affected in turn; an untouched replacement
ends that. Who read before the run was published is not touched, however late it was published.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from headgate.lake import (
    Commit,
    Operation,
    Read,
    Replace,
    StepRecord,
    Write,
    operations_in_effect,
)

Policy: TypeAlias = Literal["stale", "cascade", "rebuild"]
"""What is done with runs that computed from a reverted one."""

EXECUTABLE = frozenset({"run", "adopt"})
"""The kinds of publication whose steps can be executed again."""

_NOT_COMPUTED = frozenset({"revert", "maintenance"})
"""The kinds whose reads say what must not change meanwhile, not from what they were computed."""

Stands: TypeAlias = Callable[[str, Sequence[Operation], Sequence[Operation], Commit], str | None]
"""Says why operations on a key cannot be had without others that go away: (key, gone, kept, by)."""

SeenAt: TypeAlias = Callable[[Read, Commit], int]
"""Gives the number of the publication at which a publication read a key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Affected:
    """A later publication that is concerned.

    ``read`` maps each step that read what goes away to the key; ``stands`` each that cannot be had
    without it to (key, reason). ``gone``: its steps that are not in effect any more.
    """

    commit: Commit
    read: Mapping[str, str]
    stands: Mapping[str, tuple[str, str]]
    gone: frozenset[str] = frozenset()

    @property
    def run(self) -> str:
        """Its run's id, its own where it is no run's."""
        return self.commit.record.run or self.commit.id


@dataclass(frozen=True, slots=True, kw_only=True)
class Consequences:
    """What follows, in publication order.

    ``stale`` are the tables that hold something of what goes away and stay: their last writer was
    touched. ``keys`` are all keys that the outcome hangs on, to be watched until it is published.
    """

    affected: tuple[Affected, ...]
    stale: frozenset[str]
    keys: frozenset[str]

    @property
    def gone(self) -> tuple[Commit, ...]:
        """The publications of which something goes away with the run."""
        return tuple(each.commit for each in self.affected if each.gone)

    @property
    def names(self) -> tuple[str, ...]:
        """What a record says of it: runs, and ``run/step`` where only some of the steps go."""
        told: list[str] = []
        for each in self.affected:
            if each.gone.issuperset(step.step for step in each.commit.record.steps):
                told.append(each.run)
            else:
                told += [f"{each.run}/{step}" for step in sorted(each.gone)]
        return tuple(told)

    def gone_of(self, commit: Commit) -> frozenset[str]:
        """Give the steps of a publication that go away."""
        return next((a.gone for a in self.affected if a.commit.id == commit.id), frozenset())


def consequences(
    run: Commit,
    later: Sequence[Commit],
    *,
    policy: Policy,
    seen_at: SeenAt,
    stands: Stands,
    kept: frozenset[str] = frozenset(),
) -> Consequences:
    """Decide what follows from taking a publication back.

    ``later`` are the publications since it that stand, in order. ``kept`` are keys that stay as
    they are although the run wrote them (cursors that are kept on purpose).
    """
    walk = _Walk(policy=policy, seen_at=seen_at, stands=stands)
    walk.take_out(run, run.record.steps, kept=kept)
    return walk.over(later)


@dataclass(slots=True)
class _Walk:
    policy: Policy
    seen_at: SeenAt
    stands: Stands
    states: dict[str, list[tuple[int, bool]]] = field(default_factory=dict)
    gone: dict[str, list[Operation]] = field(default_factory=dict)
    keys: set[str] = field(default_factory=set)
    stale: set[str] = field(default_factory=set)
    outputs: set[tuple[str, str]] = field(default_factory=set)

    def over(self, later: Sequence[Commit]) -> Consequences:
        found = [each for commit in later if (each := self._follow(commit)) is not None]
        return Consequences(
            affected=tuple(found), stale=frozenset(self.stale), keys=frozenset(self.keys)
        )

    def take_out(
        self, commit: Commit, steps: Iterable[StepRecord], *, kept: frozenset[str] = frozenset()
    ) -> None:
        """Note that steps go away: their keys are affected, their operations gone."""
        for step in steps:
            self.outputs.add((commit.id, step.step))
            for write in step.writes:
                if write.key in kept:
                    continue
                self.keys.add(write.key)
                self.gone.setdefault(write.key, []).extend(operations_in_effect(step, write))
                self._set(write.key, commit.number, affected=True)

    def _follow(self, commit: Commit) -> Affected | None:
        steps = commit.record.steps
        read, stands = self._touched(commit)
        touched = read.keys() | stands.keys()
        gone: frozenset[str] = frozenset()
        if touched and self.policy == "cascade":
            gone = frozenset(step.step for step in steps)
        elif touched and self.policy == "rebuild":
            gone = _with_fellow_writers(steps, touched)
        self.take_out(commit, [step for step in steps if step.step in gone])
        for step in steps:
            if step.step in gone:
                continue
            for write in step.writes:
                if _replaces(step, write):
                    self.gone.pop(write.key, None)
                if write.key.startswith("table/"):
                    self._keep(commit, step, write, touched=step.step in touched)
        if not touched:
            return None
        return Affected(commit=commit, read=read, stands=stands, gone=gone)

    def _keep(self, commit: Commit, step: StepRecord, write: Write, *, touched: bool) -> None:
        if touched:
            self.stale.add(write.key)
            self.keys.add(write.key)
            self._set(write.key, commit.number, affected=True)
        elif _replaces(step, write) and write.key in self.states:
            self.stale.discard(write.key)
            self._set(write.key, commit.number, affected=False)

    def _touched(self, commit: Commit) -> tuple[dict[str, str], dict[str, tuple[str, str]]]:
        """Give the steps that read what goes away, and those that cannot be had without it."""
        read: dict[str, str] = {}
        stands: dict[str, tuple[str, str]] = {}
        own: dict[str, bool] = {}
        by_hand = commit.record.kind == "transaction"
        looks = commit.record.kind not in _NOT_COMPUTED
        seen: str | None = None
        for step in commit.record.steps:
            reads = step.reads if looks else ()
            why = next((r.key for r in reads if self._is_affected(r, commit, own)), None)
            why = why or self._leans(step)
            if by_hand:  # what was read may be in all that was written then
                why = seen = seen or why
            if why is not None:
                read[step.step] = why
            elif needs := self._needs(step, commit):
                stands[step.step] = needs
            for write in step.writes:
                if not write.key.startswith("table/"):
                    continue
                if step.step in read or step.step in stands:
                    own[write.key] = True
                elif _replaces(step, write):
                    own[write.key] = False
        return read, stands

    def _leans(self, step: StepRecord) -> str | None:
        """Give a key of a step that was skipped for an output that is executed again, or goes.

        What it appended was left out; without the other it is not there at all.
        """
        if self.policy != "rebuild" or step.skipped is None:
            return None
        if (step.skipped.commit, step.step) not in self.outputs:
            return None
        return next((write.key for write in step.writes), None)

    def _is_affected(self, read: Read, commit: Commit, own: Mapping[str, bool]) -> bool:
        if read.key.startswith(("cursor/", "pipeline/")):
            return False  # looked up, not computed from; who moved a cursor on stands on it
        if read.own and read.key in own:
            return own[read.key] or False
        number = self.seen_at(read, commit)
        if read.key.endswith("/"):
            return any(self._at(k, number) for k in self.states if k.startswith(read.key))
        return self._at(read.key, number)

    def _needs(self, step: StepRecord, commit: Commit) -> tuple[str, str] | None:
        for write in step.writes:
            gone = self.gone.get(write.key)
            operations = operations_in_effect(step, write)
            if gone and operations and not write.key.startswith("pipeline/"):
                reason = self.stands(write.key, tuple(gone), operations, commit)
                if reason is not None:
                    return write.key, reason
        return None

    def _at(self, key: str, number: int) -> bool:
        """Say whether a key's state after a publication held something of what goes away."""
        found = False
        for since, affected in self.states.get(key, ()):
            if since > number:
                break
            found = affected
        return found

    def _set(self, key: str, number: int, *, affected: bool) -> None:
        self.states.setdefault(key, []).append((number, affected))


def _with_fellow_writers(steps: Sequence[StepRecord], touched: Iterable[str]) -> frozenset[str]:
    """Give the touched steps, and those that must be executed together with them.

    Those wrote the same tables, or wrote what a touched step had read before.
    """
    found = set(touched)
    while True:
        more = set[str]()
        read: set[str] = set()
        tables = {
            write.key
            for step in steps
            if step.step in found
            for write in step.writes
            if write.key.startswith("table/")
        }
        for step in steps:
            written = {write.key for write in step.writes}
            if step.step in found:
                read.update(each.key for each in step.reads)
            elif written & tables or {k for k in written & read if k.startswith("table/")}:
                more.add(step.step)
        if not more:
            return frozenset(found)
        found |= more


def _replaces(step: StepRecord, write: Write) -> bool:
    return any(isinstance(each, Replace) for each in operations_in_effect(step, write))


# -- which of the steps that go away must be executed again


def live_steps(later: Sequence[Commit], found: Consequences) -> Mapping[str, tuple[str, ...]]:
    """Give the steps to execute again, by the commit's id: those whose output matters in the end.

    A step is left out where a later replacement takes its tables' rows away before anybody who is
    executed again reads them. Steps that move a cursor are never left out.
    """
    needed: dict[str, bool] = {}
    live: dict[str, tuple[str, ...]] = {}
    for commit in reversed(later):
        gone = found.gone_of(commit)
        chosen: list[str] = []
        for step in reversed(commit.record.steps):
            if step.step not in gone:
                for write in step.writes:
                    if _replaces(step, write):
                        needed[write.key] = False
                continue
            tables = [write for write in step.writes if write.key.startswith("table/")]
            moves = any(write.key.startswith("cursor/") for write in step.writes)
            whole = all(_replaces(step, write) for write in tables)
            if not (moves or not whole or any(needed.get(w.key, True) for w in tables)):
                continue
            chosen.append(step.step)
            if whole and not moves:
                needed.update((write.key, False) for write in tables)
            else:
                needed.update((write.key, True) for write in tables)
            needed.update((read.key, True) for read in step.reads)
        if chosen:
            live[commit.id] = tuple(reversed(chosen))
    return live
