"""The record of a commit: what a run read, wrote, was judged by and spent.

Everything later asks this record: validation of other runs, skips, incremental reads, lineage,
revert, reproduction, audit. It is part of the commit's id. Stored, therefore msgspec structs.
"""

from datetime import datetime
from typing import Literal, TypeAlias

import msgspec

from headgate.lake.operations import Footprint, Operation
from headgate.verdicts import Verdict

Isolation: TypeAlias = Literal["serializable", "snapshot-isolation", "fresh"]
Kind: TypeAlias = Literal[
    "genesis",
    "run",
    "checkpoint",
    "transaction",
    "merge",
    "revert",
    "adopt",
    "catalog",
    "maintenance",
]


class Read(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A key that was looked at, absent keys and listings (``.../``) included.

    ``content`` is the content id that was seen, None where the key was absent. ``at`` is the commit
    it was read at, None for the run's base. ``own`` says the run had changed the key itself before.
    The footprint narrows what was looked at; None is everything.
    """

    key: str
    content: str | None = None
    at: str | None = None
    own: bool = False
    footprint: Footprint | None = None


class RowCounts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an upsert or a deletion did to the rows of the table it was applied to.

    ``files_rewritten`` counts the table's files that held a row which was hit.
    """

    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    files_rewritten: int = 0

    def __add__(self, other: "RowCounts") -> "RowCounts":
        """Give what both did."""
        return RowCounts(
            inserted=self.inserted + other.inserted,
            updated=self.updated + other.updated,
            deleted=self.deleted + other.deleted,
            files_rewritten=self.files_rewritten + other.files_rewritten,
        )


class Write(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A key and what was done to it, in order.

    ``before`` and ``content`` are the content ids before the first and after the last operation.
    ``rows`` counts what its upserts and deletions did, where they were applied last by whoever
    computed them; a merge by other means carries it over.
    """

    key: str
    operations: tuple[Operation, ...]
    before: str | None = None
    content: str | None = None
    rows: RowCounts | None = None


class Skip(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a step did not run: its fingerprint is that of this published commit's output."""

    commit: str


class StepRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One step of a run: a checkpoint on the run's branch, kept in the publication.

    A skipped step keeps the reads and writes of the run that computed its output. ``violations``
    counts per row check over exactly the rows this step wrote, as they were counted while writing.
    ``origin`` is the commit of a branch from which a merge took the step, None for a run's own.
    ``replayed`` marks one that wrote quarantined rows once more: a skip does not write them again.
    """

    step: str
    fingerprint: str | None = None
    reads: tuple[Read, ...] = ()
    writes: tuple[Write, ...] = ()
    skipped: Skip | None = None
    commit: str | None = None
    origin: str | None = None
    attempt: int = 1
    replayed: bool = False
    rows_in: int = 0
    rows_out: int = 0
    rows_quarantined: int = 0
    violations: dict[str, int] = {}
    wall_s: float = 0.0
    cpu_s: float = 0.0


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a commit says of itself.

    ``base`` is the commit the run (last) began from; ``low`` is the smallest publication number in
    the commit's own delta (base, parent] whose commit wrote something this one had read, None where
    there is none (SEMANTICS 3). ``fence`` is the attempt that published. ``reverts`` names what is
    not in effect any more: runs, and ``run/step`` where only some of a run's steps are not.
    """

    kind: Kind
    at: datetime
    run: str | None = None
    pipeline: str | None = None
    message: str = ""
    author: str = ""
    isolation: Isolation = "serializable"
    base: str | None = None
    base_number: int = 0
    low: int | None = None
    fence: int = 0
    attempts: int = 1
    steps: tuple[StepRecord, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    reverts: tuple[str, ...] = ()

    @property
    def reads(self) -> tuple[Read, ...]:
        """Every read of every step, in order."""
        return tuple(read for step in self.steps for read in step.reads)

    @property
    def writes(self) -> tuple[Write, ...]:
        """Every write of every step, in order; a key that two steps changed occurs twice."""
        return tuple(write for step in self.steps for write in step.writes)


class Commit(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One state of the whole lake.

    ``number`` counts along first parents, from 0 at the genesis commit.
    """

    id: str
    parent: str | None
    number: int
    tree: str
    record: Record

    def __repr__(self) -> str:
        """Say in a line which it is; the record is too long to be read so."""
        run = f" of run {self.record.run[:4]}" if self.record.run else ""
        at = self.record.at.strftime("%Y-%m-%d %H:%M:%S")
        return f"<Commit {self.id[:6]}, number {self.number}{run}, {at}>"
