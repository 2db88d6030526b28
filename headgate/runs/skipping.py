"""Skips: a step does not run where its output for exactly these inputs is published and stands.

The entry at (pipeline, step) says what the step last published, and by which run. It is read by the
look-up and written by the publication, like a cursor, so that two open runs of one pipeline meet
there. A step that touches the outside is skipped by its cursor, never here.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

import msgspec

from headgate.digests import digest_json
from headgate.lake import (
    AddColumn,
    Append,
    Commit,
    Create,
    Delete,
    Operation,
    Put,
    Replace,
    Skip,
    StepRecord,
    Upsert,
    operations_in_effect,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """All that a step's output depends on.

    ``code``, ``parameters``, ``environment`` and ``contract`` are digests. ``now`` and ``seed`` are
    set only where the step uses them. ``inputs`` maps each key the step reads to its content id,
    None where absent: also the step's own target, where it reads that.
    """

    code: str
    parameters: str = ""
    environment: str = ""
    contract: str = ""
    now: datetime | None = None
    seed: int | None = None
    inputs: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """The digest of all of it."""
        return digest_json(
            {
                "code": self.code,
                "parameters": self.parameters,
                "environment": self.environment,
                "contract": self.contract,
                "now": None if self.now is None else self.now.isoformat(),
                "seed": self.seed,
                "inputs": dict(self.inputs),
            }
        )


class Output(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the entry at (pipeline, step) says of the step's last published output.

    ``run`` published it last, ``origin`` computed it: they differ where ``run`` skipped the step.
    Reverting either ends every skip that leans on it.
    """

    fingerprint: str
    run: str
    origin: str

    def passed_on(self, run: str) -> "Output":
        """Give the entry as a run leaves it that skipped the step."""
        return msgspec.structs.replace(self, run=run)

    def text(self) -> str:
        """Give the entry's data."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def parse(cls, text: str) -> "Output":
        """Read an entry's data."""
        return msgspec.json.decode(text, type=cls)


def last_output(text: str) -> Output:
    """Read what an entry at (pipeline, step) says of the step's last published output."""
    return Output.parse(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class SkippedWrite:
    """What a skipped step still does to a key.

    ``pointer``: the entry it was given in the publication is written again. Else ``operations`` are
    applied again, in order, to the entry as it is, and recorded with the footprints they have
    there. ``settled``: the entry already is what would come of it, so it stays; the operations are
    in the record and meet what others publish meanwhile.
    """

    key: str
    operations: tuple[Operation, ...]
    pointer: bool
    settled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SkipStep:
    """Do not run. ``record`` stands for the step in this run, with its reads and writes kept.

    Appends are left out: they are in ``record`` and not in ``writes``.
    """

    record: StepRecord
    writes: tuple[SkippedWrite, ...]

    @property
    def settled(self) -> bool:
        """Whether skipping changes nothing. A run of only such steps has nothing to do."""
        return all(write.settled for write in self.writes)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStep:
    """Run, because of ``reason``.

    ``never-published``, ``reverted``, ``changed``, ``record-gone`` (its publication was folded
    away), ``output-gone`` (a table it wrote), ``mixed-operations`` (it both appended to a table and
    changed rows there: such a step can neither be left out nor applied again).
    """

    reason: str


SkipDecision: TypeAlias = SkipStep | RunStep


def decide(  # noqa: PLR0911 - one line per reason
    fingerprint: str,
    output: Output | None,
    *,
    entry: str,
    reverted: Collection[str],
    published: Callable[[str], tuple[Commit, StepRecord] | None],
    now: Callable[[str], str | None],
) -> SkipDecision:
    """Decide whether a step may be skipped.

    ``output`` is what ``entry``, the key (pipeline, step), says at the run's base, None where
    absent. ``reverted`` are the runs whose publication is reverted there (:func:`reverted_runs`).
    ``published`` gives a run's publication and this step's record in it, None where it is gone.
    ``now`` gives a key's content id in the run's tree as the step finds it.

    The record comes without the look-up itself: reading and writing ``entry`` is the caller's, for
    steps that run as for those that do not.
    """
    if output is None:
        return RunStep(reason="never-published")
    if output.run in reverted or output.origin in reverted:
        return RunStep(reason="reverted")
    if output.fingerprint != fingerprint:
        return RunStep(reason="changed")
    found = published(output.run)
    if found is None:
        return RunStep(reason="record-gone")
    commit, step = found
    if any(now(write.key) is None for write in step.writes if write.key != entry and write.content):
        return RunStep(reason="output-gone")
    if step.replayed:
        return _after_replay(commit, step, entry, now)
    if any(_is_mixed(write.operations) for write in step.writes):
        return RunStep(reason="mixed-operations")
    kept = msgspec.structs.replace(step, skipped=Skip(commit=commit.id), commit=None)
    writes = tuple(
        SkippedWrite(
            key=write.key,
            operations=operations,
            pointer=any(isinstance(each, Replace | Put) for each in operations),
            settled=now(write.key) == write.content and _is_idempotent(operations),
        )
        for write in kept.writes
        if write.key != entry and (operations := operations_in_effect(kept, write))
    )
    record = msgspec.structs.replace(
        kept,
        reads=tuple(
            msgspec.structs.replace(read, content=now(read.key), at=None)
            for read in kept.reads
            if read.key != entry
        ),
        writes=tuple(write for write in kept.writes if write.key != entry),
    )
    return SkipStep(record=record, writes=writes)


def _after_replay(
    commit: Commit, step: StepRecord, entry: str, now: Callable[[str], str | None]
) -> SkipStep:
    """Skip a step whose rejected rows were played again since: all of it stays as it is.

    The record keeps what says that the table is there; what was in quarantine is no input.
    """
    record = msgspec.structs.replace(
        step,
        skipped=Skip(commit=commit.id),
        commit=None,
        reads=tuple(
            msgspec.structs.replace(read, content=now(read.key), at=None)
            for read in step.reads
            if read.key != entry and not read.key.startswith("table/_quarantine.")
        ),
        writes=tuple(
            write
            for write in step.writes
            if all(isinstance(each, Append | Create | AddColumn) for each in write.operations)
        ),
    )
    return SkipStep(record=record, writes=())


def reverted_runs(commits: Sequence[Commit]) -> frozenset[str]:
    """Give the runs whose publication is reverted after these commits, in publication order.

    Reverting a revert brings back what it had reverted.
    """
    undone: set[str] = set()
    for commit in reversed(commits):
        if commit.record.reverts and commit.record.run not in undone:
            undone.update(commit.record.reverts)
    return frozenset(undone)


def _is_mixed(operations: Sequence[Operation]) -> bool:
    if any(isinstance(each, Replace) for each in operations):
        return False
    appends = any(isinstance(each, Append) for each in operations)
    return appends and any(isinstance(each, Upsert | Delete) for each in operations)


def _is_idempotent(operations: Sequence[Operation]) -> bool:
    """Whether doing it twice is doing it once.

    An upsert of some columns beside a delete is not: what was deleted comes back with the other
    columns NULL.
    """
    if any(isinstance(each, Replace | Put) for each in operations):
        return True
    partial = any(isinstance(each, Upsert) and each.columns is not None for each in operations)
    deletes = any(isinstance(each, Delete) for each in operations)
    return not (partial and deletes) and not any(isinstance(each, Append) for each in operations)
