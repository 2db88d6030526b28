"""Incremental inputs: the rows appended since the step's last published, unreverted run.

Counted from recorded appends along first parents, never from the difference of files: an upsert or
a compaction writes old rows into new files. The position is a cursor: an entry that the run reads
and writes, on which two open runs conflict and which a revert undoes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from headgate.filesets import DataFile
from headgate.lake import (
    AddColumn,
    Append,
    Commit,
    Create,
    Operation,
    Rewrite,
    SetProperties,
    StepRecord,
    operations_in_effect,
)


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """What the cursor of a step with incremental inputs says: which run read them last, and where.

    ``base`` is the base of ``run``, as it was published, and ``base_number`` its publication
    number: a branch that is merged brings its cursors, whose bases are not on the target's line.
    """

    run: str
    base_number: int
    base: str | None = None

    def text(self) -> str:
        """Give the entry's data."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def parse(cls, text: str) -> "Position":
        """Read an entry's data."""
        return msgspec.json.decode(text, type=cls)


@dataclass(frozen=True, slots=True, kw_only=True)
class AppendedRows:
    """The step gets the rows of exactly these files; its output is added as declared."""

    files: tuple[DataFile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Everything:
    """The step gets the whole table. With ``replaces``, its output replaces what it had written."""

    replaces: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedRows:
    """The step gets what happened, in order: it declared ``changes=True``."""

    operations: tuple[Operation, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RefuseInput:
    """The step can only append, and rows it has seen were changed: how, and by which commit."""

    reason: str
    commit: str | None


IncrementalInput: TypeAlias = AppendedRows | Everything | ChangedRows | RefuseInput


def decide(
    key: str,
    step: str,
    position: Position | None,
    commits: Sequence[Commit],
    *,
    own: Sequence[StepRecord] = (),
    changes: bool = False,
    append_only: bool = False,
) -> IncrementalInput:
    """Decide what a step gets of one incremental input.

    ``position`` is what the step's cursor says at the run's base, None at first. ``commits`` are
    the publications after ``position.base_number`` up to the run's base, in order, first-parent.
    ``own`` are the steps this run has done before. ``changes`` and ``append_only`` are the step's
    declaration: it takes change rows; it cannot replace its output.

    An added column changes no row, compaction neither: both yield nothing.
    """
    if position is None:
        return Everything(replaces=False, reason="first-time")
    happened = list(_happened(key, step, position, commits))
    happened += [(None, each) for each in _operations(key, own)]
    other = next(
        (
            (commit, each)
            for commit, each in happened
            if not isinstance(each, Append | AddColumn | Rewrite | SetProperties | Create)
        ),
        None,
    )
    if other is None:
        return AppendedRows(
            files=tuple(
                file for _, each in happened if isinstance(each, Append) for file in each.files
            )
        )
    if changes:
        return ChangedRows(
            operations=tuple(
                each for _, each in happened if not isinstance(each, Rewrite | SetProperties)
            )
        )
    commit, operation = other
    reason = operation.__struct_config__.tag
    if append_only:
        return RefuseInput(reason=str(reason), commit=commit)
    return Everything(replaces=True, reason=str(reason))


def _happened(
    key: str, step: str, position: Position, commits: Sequence[Commit]
) -> Iterable[tuple[str | None, Operation]]:
    """Give the operations on the key that the step's last run has not seen, with their commits."""
    for commit in commits:
        if commit.number <= position.base_number:
            continue
        steps = commit.record.steps
        if commit.record.run == position.run:
            names = [each.step for each in steps]
            steps = steps[names.index(step) :] if step in names else steps
        for operation in _operations(key, steps):
            yield commit.id, operation


def _operations(key: str, steps: Iterable[StepRecord]) -> Iterable[Operation]:
    for each in steps:
        for write in each.writes:
            if write.key == key:
                yield from operations_in_effect(each, write)
