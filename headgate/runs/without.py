"""The lake without a run: what each key is where a publication, and perhaps others, never were.

By recorded operations only: nothing is executed. Deciding reads the history; applying costs what
the followers' operations cost.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import msgspec

from headgate.digests import digest_json
from headgate.errors import Invalid, Refused
from headgate.lake import (
    AddColumn,
    Append,
    Commit,
    Create,
    Entry,
    Operation,
    Read,
    RefuseRevert,
    Replace,
    Restore,
    Rewrite,
    Tree,
    Upsert,
    Write,
    operations_in_effect,
    revert_decision,
    table_key,
)
from headgate.runs.applying import apply_operations
from headgate.runs.consequences import (
    EXECUTABLE,
    Affected,
    Consequences,
    Policy,
    consequences,
)
from headgate.runs.folded_cursors import adds_items, moved_on
from headgate.runs.merging import RowFacts
from headgate.runs.quarantine import quarantine_table
from headgate.runs.skipping import Output, reverted_runs
from headgate.runs.standing import standing
from headgate.runs.wiring import Wiring

MEANWHILE = "reverted-meanwhile"
_CURSOR = "cursor/"
_QUARANTINE = table_key(quarantine_table(""))


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What a kept publication did to a key of which something before it goes away."""

    commit: Commit
    operations: tuple[Operation, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WithoutKey:
    """A key of which something goes away: who wrote that first, what is kept since."""

    key: str
    first: Commit
    kept: tuple[Kept, ...]

    @property
    def replayed(self) -> tuple[Operation, ...]:
        """The kept operations that matter: from the last replacement on, without compactions."""
        found = [o for each in self.kept for o in each.operations if not isinstance(o, Rewrite)]
        last = max((i for i, each in enumerate(found) if isinstance(each, Replace)), default=0)
        return tuple(found[last:])


@dataclass(frozen=True, kw_only=True)
class Without:
    """A publication taken out of a history, with what follows from that."""

    wiring: Wiring = field(repr=False)
    commit: Commit
    head: Commit
    later: tuple[Commit, ...]
    policy: Policy
    found: Consequences
    kept_cursors: frozenset[str]

    @property
    def run(self) -> str:
        """The reverted run's id."""
        return self.commit.record.run or self.commit.id

    @property
    def runs(self) -> tuple[str, ...]:
        """The runs that are not in effect as they were: the reverted one, and what goes with it."""
        gone = [commit.record.run or commit.id for commit in self.found.gone]
        return tuple(dict.fromkeys([self.run, *gone]))

    @property
    def names(self) -> tuple[str, ...]:
        """What the revert's record says is not in effect: runs, and steps of runs."""
        return tuple(dict.fromkeys([self.run, *self.found.names]))

    @property
    def gone_runs(self) -> Mapping[str, Commit]:
        """The publications that go away with the reverted one, by their runs."""
        return {commit.record.run or commit.id: commit for commit in self.found.gone}

    @cached_property
    def now(self) -> Tree:
        """The head's tree."""
        return self.wiring.lake.tree(self.head)

    def tree_before(self, commit: Commit) -> Tree:
        """Give the tree that a publication was put on."""
        lake = self.wiring.lake
        return lake.tree(lake.commit(commit.parent or commit.id))

    @cached_property
    def keys(self) -> tuple[WithoutKey, ...]:
        """The keys of which something goes away, in the order in which it was written."""
        first: dict[str, Commit] = {}
        kept: dict[str, list[Kept]] = {}
        for commit in (self.commit, *self.later):
            whole = commit.id == self.commit.id
            gone = self.found.gone_of(commit)
            for step in commit.record.steps:
                for write in step.writes:
                    if whole and write.key in self.kept_cursors:
                        continue
                    operations = operations_in_effect(step, write)
                    if whole or step.step in gone:
                        first.setdefault(write.key, commit)
                    elif write.key in first and operations:
                        each = Kept(commit=commit, operations=operations)
                        kept.setdefault(write.key, []).append(each)
        return tuple(
            WithoutKey(key=key, first=commit, kept=tuple(kept.get(key, ())))
            for key, commit in first.items()
        )

    def base(self, one: WithoutKey) -> Entry | None:
        """Give what a key was before anything of it that goes away."""
        return self.tree_before(one.first).get(one.key)

    def emptied(self, one: WithoutKey) -> tuple[Operation, ...]:
        """Give what leaves a table that the run created there, empty, where its cursor is kept.

        A source whose table is gone is read from the beginning.
        """
        if one.first.id != self.commit.id or one.kept or self.base(one) is not None:
            return ()
        for step in self.commit.record.steps:
            if not any(write.key in self.kept_cursors for write in step.writes):
                continue
            for write in step.writes:
                grown = any(isinstance(each, Append | Upsert) for each in write.operations)
                if write.key == one.key and grown:
                    return tuple(o for o in write.operations if isinstance(o, Create | AddColumn))
        return ()

    def founding(self, key: str, operations: Sequence[Operation]) -> tuple[Operation, ...]:
        """Give what must come before kept operations on a quarantine that a gone run created.

        A quarantine has the same columns whoever creates it: later rows need not the run for that.
        """
        if not operations or not key.startswith(_QUARANTINE):
            return ()
        if any(isinstance(each, Create | Replace) for each in operations):
            return ()
        created = (
            each
            for commit in (self.commit, *self.later)
            for write in commit.record.writes
            if write.key == key
            for each in write.operations
            if isinstance(each, Create | AddColumn)
        )
        return tuple(created)

    def value(self, one: WithoutKey) -> Entry | None:
        """Give what a key that is no table becomes: a cursor, a step's last output, a contract."""
        lake, base = self.wiring.lake, self.base(one)
        if one.key.startswith(_CURSOR):
            text = base.data if base else None
            for kept in one.kept:
                before = self.tree_before(kept.commit).get(one.key)
                after = lake.tree(kept.commit).get(one.key)
                then, later = (e.data if e else None for e in (before, after))
                _, text = moved_on(text, then, later)
            return cursor_entry(text, base)
        for kept in reversed(one.kept):
            entry = lake.tree(kept.commit).get(one.key)
            if not one.key.startswith("pipeline/") or not self.leans(one.key, entry):
                return entry
        return base

    def applied(self, *, prefix: str) -> tuple[dict[str, Entry | None], tuple[Write, ...]]:
        """Give the entries to set at the head, and the writes to record. Writes tables' files."""
        changes: dict[str, Entry | None] = {}
        writes: list[Write] = []
        for one in self.keys:
            there = self.now.get(one.key)
            operations: tuple[Operation, ...] = ()
            if one.key.startswith("table/"):
                operations = one.replayed or self.emptied(one)
                entry = self.base(one)
                if entry is None:
                    operations = (*self.founding(one.key, operations), *operations)
                if operations:
                    entry = apply_operations(
                        self.wiring,
                        entry,
                        operations,
                        key=one.key,
                        prefix=prefix,
                        owner=_owner(there),
                    ).entry
            else:
                entry = self.value(one)
            if entry == there:
                continue
            changes[one.key] = entry
            writes.append(
                Write(
                    key=one.key,
                    operations=(Restore(commit=one.first.parent or one.first.id), *operations),
                    before=there.content if there else None,
                    content=entry.content if entry else None,
                )
            )
        for key in sorted(self.found.stale):
            entry = changes.get(key, self.now.get(key))
            if entry is not None:
                marks = tuple(sorted({*entry.stale, self.run}))
                changes[key] = msgspec.structs.replace(entry, stale=marks)
        return changes, tuple(writes)

    def leans(self, key: str, entry: Entry | None) -> bool:
        """Whether a step's last output must satisfy no skip.

        It goes away, or it knew more of its source than its cursor says then.
        """
        if entry is None or entry.data is None:
            return False
        output, step = Output.parse(entry.data), key.rpartition("/")[2]
        cursor = _CURSOR + key.partition("/")[2]
        return any(one.key == cursor for one in self.keys) or any(
            name in self.names
            for run in (output.run, output.origin)
            for name in (run, f"{run}/{step}")
        )


def without(
    wiring: Wiring, commit: Commit, head: Commit, *, policy: Policy, keep_cursor: bool
) -> Without:
    """Decide what becomes of the lake without a publication. Reads the history, writes nothing.

    Raises:
        Invalid: ``already-reverted``. Refused: ``revert-followed``, ``rebuild-by-hand``.
    """
    lake = wiring.lake
    window = [commit, *lake.window(head, since=commit.number)]
    if commit.record.run in reverted_runs(window):
        by = next(c for c in reversed(window) if commit.record.run in c.record.reverts)
        raise Invalid(
            "already-reverted",
            f"Run {commit.record.run} was taken back already, by {by.id[:6]}.",
            hint=f"To bring it back:  headgate revert {by.id[:6]}",
            run=commit.record.run,
            by=by.id,
        )
    later = tuple(standing(window[1:]))
    kept_cursors = frozenset(
        write.key
        for write in (commit.record.writes if keep_cursor else ())
        if write.key.startswith(_CURSOR)
    )
    history = _History(wiring, commit, head)
    found = consequences(
        commit,
        later,
        policy=policy,
        seen_at=history.seen_at,
        stands=history.stands,
        kept=kept_cursors,
    )
    _refuse(commit, found, policy)
    return Without(
        wiring=wiring,
        commit=commit,
        head=head,
        later=later,
        policy=policy,
        found=found,
        kept_cursors=kept_cursors,
    )


class _History:
    """Answers of the history and of the rows, for the walk that decides."""

    def __init__(self, wiring: Wiring, commit: Commit, head: Commit) -> None:
        self._wiring = wiring
        self._commit = commit
        self._head = head
        self._numbers: dict[str, int] = {}

    def seen_at(self, read: Read, commit: Commit) -> int:
        """Give the number on the head's line of the commit that a read saw."""
        at = read.at or commit.record.base
        if at is None:
            return commit.record.base_number
        if at not in self._numbers:
            lake = self._wiring.lake
            seen = lake.metastore.commit(at)
            self._numbers[at] = (
                commit.record.base_number
                if seen is None
                else seen.number
                if lake.is_ancestor(at, self._head)
                else lake.merge_base(seen, self._head).number
            )
        return self._numbers[at]

    def stands(
        self, key: str, gone: Sequence[Operation], kept: Sequence[Operation], by: Commit
    ) -> str | None:
        """Say why operations on a key cannot be had without others; None where they can."""
        lake = self._wiring.lake
        if any(isinstance(each, Restore) for each in kept):
            return MEANWHILE
        if key.startswith(_CURSOR):
            before = lake.tree(lake.commit(by.parent or by.id)).get(key)
            after = lake.tree(by).get(key)
            then, later = (entry.data if entry else None for entry in (before, after))
            return None if adds_items(then, later) else "cursor-moved"
        now = lake.tree(self._head).get(key)
        if key.startswith(_QUARANTINE):  # its columns are nobody's
            gone = [each for each in gone if not isinstance(each, Create | AddColumn)]
        decision = revert_decision(
            key,
            gone,
            kept,
            before=lake.tree(lake.commit(self._commit.parent or self._commit.id)).get(key),
            now=now,
            facts=RowFacts(self._wiring, now),
        )
        return decision.reason if isinstance(decision, RefuseRevert) else None


def _refuse(commit: Commit, found: Consequences, policy: Policy) -> None:
    """Refuse what cannot be had without the run.

    Raises:
        Refused: ``revert-followed``, ``rebuild-by-hand``.
    """
    run = commit.record.run or commit.id
    walls = [
        each
        for each in found.affected
        if each.stands
        and (policy == "stale" or any(why == MEANWHILE for _, why in each.stands.values()))
    ]
    if walls:
        reasons = dict(pair for each in walls for pair in each.stands.values())
        told = ", ".join(f"{_name(key)}: {reason}" for key, reason in reasons.items())
        runs = [each.run for each in walls]
        newest_first = "  ".join(f"headgate revert {id[:6]}" for id in reversed(runs))
        hint = f"Revert the later runs first, newest first:  {newest_first}"
        if policy == "stale" and not any(why == MEANWHILE for why in reasons.values()):
            hint += (
                f"\nOr take them back with it:  headgate revert {run[:6]} --cascade"
                f"\nOr let them run again without it:  headgate revert {run[:6]} --rebuild"
            )
        raise Refused(
            "revert-followed",
            f"Later runs changed what run {run} did in a way that needs it ({told}): "
            f"{', '.join(runs)}.",
            readers="Nothing was changed.",
            hint=hint,
            run=run,
            runs=runs,
            keys=sorted(reasons),
        )
    by_hand = [each for each in found.affected if policy == "rebuild" and not _is_executable(each)]
    if by_hand:
        told = ", ".join(f"{each.run} ({each.commit.record.kind})" for each in by_hand)
        raise Refused(
            "rebuild-by-hand",
            f"What was made by hand from run {run} has no steps to execute again: {told}.",
            readers="Nothing was changed.",
            hint=f"Take it back as well:  headgate revert {run[:6]} --cascade\n"
            f"Or keep it, marked stale:  headgate revert {run[:6]}",
            run=run,
            runs=[each.run for each in by_hand],
        )


def _is_executable(each: Affected) -> bool:
    record = each.commit.record
    return record.kind in EXECUTABLE and record.run is not None and record.pipeline is not None


def cursor_entry(text: str | None, base: Entry | None) -> Entry | None:
    """Give a cursor's entry; ``base`` itself where it says the same."""
    if text is None:
        return None
    if base is not None and base.data == text:
        return base
    return Entry(kind="cursor", content=digest_json(text), data=text)


def _name(key: str) -> str:
    return key.partition("/")[2] or key


def _owner(entry: Entry | None) -> str | None:
    return entry.table.owner if entry and entry.table else None
