"""Runs, workers and steps of the abstract publisher: what they record, and what really happened."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeAlias

import msgspec

from headgate.lake.merging import merge_decision
from headgate.lake.operations import AddColumn, Column, Operation, Put, Replace
from headgate.lake.records import StepRecord, Write
from headgate.lake.reverting import revert_decision
from headgate.lake.serialization import GraphConflict, conflict, low
from headgate.runs import incremental, reexecution, skipping
from headgate.testing.abstract_lake import Cell, Shelf, Tree, widened
from headgate.testing.histories import Look, RunPlan, StepPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """The product's decisions; a test may put a wrong one in, to see it found."""

    conflict: Callable[..., GraphConflict | None] = conflict
    low: Callable[..., int | None] = low
    merge: Callable[..., object] = merge_decision
    plan: Callable[..., tuple[reexecution.StepDecision, ...]] = reexecution.plan
    step: Callable[..., reexecution.StepDecision] = reexecution.decide
    skip: Callable[..., skipping.SkipDecision] = skipping.decide
    new_rows: Callable[..., incremental.IncrementalInput] = incremental.decide
    revert: Callable[..., object] = revert_decision


class Seen(NamedTuple):
    """What a step really saw, whatever the record says: compared with every serial order."""

    kind: str
    key: str
    look: Look | None
    value: object
    whole: object = None


@dataclass(slots=True)
class Done:
    """What a step did: its record for others, and the truth for the oracle.

    ``leans_on`` is the run that computed the output for which this step was skipped.
    """

    plan: StepPlan
    record: StepRecord
    seen: tuple[Seen, ...]
    did: tuple[tuple[str, Operation], ...]
    changes: Mapping[str, Cell | None]
    settled: bool = False
    leans_on: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A publication as the oracle sees it: who, what it saw and did, what it takes back.

    Where it takes back all that follows (``cascades``), nobody who stays has seen anything of it.
    """

    run: str
    name: str
    binding: bool
    steps: tuple[Done, ...]
    reverts: tuple[str, ...] = ()
    cascades: bool = False


@dataclass(slots=True)
class Worker:
    """A process that works on a run, or did: it believes what it has seen."""

    fence: int
    version: int
    base: int
    fork: int
    done: list[Done]
    tree: Tree
    own: set[str] = field(default_factory=set)
    dead: bool = False

    def copy(self) -> "Worker":
        """Give a worker that believes the same."""
        return replace(self, done=list(self.done), tree=dict(self.tree), own=set(self.own))

    def take(self, other: "Worker") -> None:
        """Believe what another has seen of the branch."""
        self.base, self.fork, self.version = other.base, other.fork, other.version
        self.done, self.tree, self.own = list(other.done), dict(other.tree), set(other.own)


@dataclass(slots=True)
class Run:
    """A run's row in the metastore, its branch, and those who work on it."""

    id: str
    plan: RunPlan
    steps: tuple[StepPlan, ...]
    fence: int = 0
    version: int = 0
    state: str = "new"
    worker: Worker | None = None
    branch: Worker | None = None
    zombies: list[Worker] = field(default_factory=list)
    attempts: int = 0

    @property
    def name(self) -> str:
        """The pipeline's name."""
        return f"p{self.plan.pipeline}"

    @property
    def over(self) -> bool:
        """Whether nothing more happens to it."""
        return self.state in ("published", "nothing", "abandoned")


class StepFails(Exception):  # noqa: N818
    """A step whose declaration does not fit the table it finds: the run is abandoned."""


class NoProgressError(Exception):
    """A run lost more often than there are others: nobody can be in its way for ever."""


Became: TypeAlias = dict[int, tuple[Operation, str | None]]
"""What operations (by identity) became by being applied to a head, and each content after them."""


class Merged(NamedTuple):
    """What a run's keys become on a head, and what its operations became by being applied there."""

    changes: Mapping[str, Cell | None]
    became: Became
    columns: Mapping[str, tuple[Column, ...]] = {}


class Lost(NamedTuple):
    """Why a run cannot be merged, and the keys whose steps must run again whatever they read."""

    because: tuple[str, ...]
    forced: frozenset[str]


def all_merged(steps: Sequence[Done], merged: Merged, head: Tree, shelf: Shelf) -> list[Done]:
    """Give all steps of a run as they turned out on the head.

    Columns that others added to a table the run replaced come after its last step: what it saw of
    its own rows before had them not.
    """
    found = [
        replace(as_merged(done, merged, head, shelf), did=_without_schemas(done, merged))
        for done in steps
    ]
    added = tuple(
        (key, AddColumn(column=column))
        for key, columns in merged.columns.items()
        for column in columns
    )
    return [*found[:-1], replace(found[-1], did=found[-1].did + added)] if added else found


def _without_schemas(done: Done, merged: Merged) -> tuple[tuple[str, Operation], ...]:
    return tuple(
        (key, each if isinstance(each, Replace) else merged.became.get(id(each), (each,))[0])
        for key, each in done.did
    )


def as_merged(done: Done, merged: Merged, head: Tree, shelf: Shelf) -> Done:
    """Give a step as it turned out on the head: its operations, contents and changes."""
    became, changes = merged.became, dict(done.changes)
    befores: dict[str, str | None] = {}
    writes: list[Write] = []
    for write in done.record.writes:
        if write.key.startswith("table/") and is_pointer(write.operations):
            cell = widened(done.changes.get(write.key), merged.columns.get(write.key, ()), shelf)
        else:
            cell = merged.changes.get(write.key, done.changes.get(write.key))
        if write.key in merged.changes:
            changes[write.key] = cell
        content = write.content
        now = [became[id(each)][1] for each in write.operations if id(each) in became]
        if is_pointer(write.operations):
            content = cell.entry.content if cell else None
        elif now:
            content = now[-1]
        writes.append(
            msgspec.structs.replace(
                write,
                operations=tuple(became.get(id(each), (each,))[0] for each in write.operations),
                before=befores.get(write.key, content_of(head, write.key)),
                content=content,
            )
        )
        befores[write.key] = writes[-1].content
    return replace(
        done,
        record=msgspec.structs.replace(done.record, writes=tuple(writes)),
        did=tuple((key, became.get(id(each), (each,))[0]) for key, each in done.did),
        changes=changes,
    )


def take(tree: Tree, changes: Mapping[str, Cell | None]) -> None:
    """Change a tree."""
    for key, cell in changes.items():
        if cell is None:
            tree.pop(key, None)
        else:
            tree[key] = cell


def is_pointer(operations: Sequence[Operation]) -> bool:
    """Whether the result depends on nothing that was there before."""
    return any(isinstance(each, Replace | Put) for each in operations)


def content_of(tree: Tree, key: str) -> str | None:
    """Give a key's content id, None where absent; a listing's is its text."""
    if key == "table/":
        return ",".join(tables_of(tree))
    cell = tree.get(key)
    return cell.entry.content if cell else None


def tables_of(tree: Mapping[str, object]) -> tuple[str, ...]:
    """Give the keys of the tables there are."""
    return tuple(sorted(key for key, cell in tree.items() if key.startswith("table/") and cell))
