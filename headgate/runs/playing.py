"""Playing a history again without a run: what there is to play, and what is carried as it was.

Each commit of the branch on which it is played says, by a mark, up to which publication it was
played: equal marks, equal histories.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from headgate.digests import digest
from headgate.lake import (
    Commit,
    Entry,
    Operation,
    Rewrite,
    StepRecord,
    Tree,
    operations_in_effect,
)
from headgate.runs.applying import apply_operations
from headgate.runs.consequences import live_steps
from headgate.runs.folded_cursors import moved_on
from headgate.runs.without import Without, cursor_entry

BEFORE = "before "
"""What stands before the mark where only the kept steps of a publication were played."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One thing to play: publications whose kept steps are carried, then steps executed again."""

    carried: tuple[tuple[Commit, tuple[StepRecord, ...]], ...]
    again: Commit | None = None
    steps: tuple[str, ...] = ()
    mark: str = ""


def carry(
    found: Without,
    here: Tree,
    carried: Sequence[tuple[Commit, tuple[StepRecord, ...]]],
    *,
    prefix: str,
) -> tuple[dict[str, Entry | None], tuple[StepRecord, ...]]:
    """Give what kept steps of publications make of another tree, and their records.

    Keys that are there what they were for them are taken as they became; else their operations are
    applied. Writes tables' files.
    """
    lake = found.wiring.lake
    changes: dict[str, Entry | None] = {}
    records: list[StepRecord] = []
    for commit, steps in carried:
        before, after = found.tree_before(commit), lake.tree(commit)
        names = {step.step for step in steps}
        others = {
            write.key
            for step in commit.record.steps
            if step.step not in names
            for write in step.writes
        }
        records += (step if step.origin else carried_step(commit, step) for step in steps)
        operations: dict[str, list[Operation]] = {}
        for step in steps:
            for write in step.writes:
                operations.setdefault(write.key, []).extend(operations_in_effect(step, write))
        for key, did in operations.items():
            there = changes[key] if key in changes else here.get(key)
            was, became = before.get(key), after.get(key)
            todo: tuple[Operation, ...] = tuple(o for o in did if not isinstance(o, Rewrite))
            if key not in others and is_equal(there, was):
                changes[key] = became
            elif key.startswith("table/"):
                if todo:
                    if there is None:
                        todo = (*found.founding(key, todo), *todo)
                    changes[key] = apply_operations(
                        found.wiring,
                        there,
                        todo,
                        key=key,
                        prefix=prefix,
                        owner=became.table.owner if became and became.table else None,
                    ).entry
            elif key.startswith("cursor/"):
                texts = [entry.data if entry else None for entry in (there, was, became)]
                _, text = moved_on(*texts)
                if text is not None and became is not None:
                    changes[key] = cursor_entry(text, became)
            elif not (key.startswith("pipeline/") and found.leans(key, became)):
                changes[key] = became
    return changes, tuple(records)


def carried_step(commit: Commit, step: StepRecord) -> StepRecord:
    """Give a publication's step as a step of a commit that carries it."""
    return msgspec.structs.replace(step, step=f"{commit.id[:8]}_{step.step}", origin=commit.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """How far a branch was played: so many publications, and the kept steps of the next."""

    publications: int = 0
    kept_too: bool = False


def mark_of(found: Without) -> str:
    """Name the beginning: nothing is played yet."""
    return digest(found.commit.id, *sorted(found.kept_cursors))


def marks_of(found: Without) -> list[str]:
    """Name what is played up to each of the later publications: equal names, equal histories."""
    marks, mark = [], mark_of(found)
    for commit in found.later:
        mark = digest(mark, commit.id, *sorted(found.found.gone_of(commit)))
        marks.append(mark)
    return marks


def played_by(found: Without, message: str) -> Played | None:
    """Say how far a branch was played by its last commit's message; None: of another history."""
    marks = marks_of(found)
    if message == mark_of(found):
        return Played()
    if message.removeprefix(BEFORE) not in marks:
        return None
    index = marks.index(message.removeprefix(BEFORE))
    if message.startswith(BEFORE):
        return Played(publications=index, kept_too=True)
    return Played(publications=index + 1)


def turns_of(found: Without, played: Played) -> list[Turn]:
    """Give what is left to be played, in order. Each mark names what was played up to there."""
    live = live_steps(found.later, found.found)
    marks = marks_of(found)
    turns: list[Turn] = []
    group: list[tuple[Commit, tuple[StepRecord, ...]]] = []
    mark = ""
    for index, commit in enumerate(found.later):
        if index < played.publications:
            continue
        mark = marks[index]
        gone = found.found.gone_of(commit)
        kept = tuple(step for step in commit.record.steps if step.step not in gone)
        if kept and not (played.kept_too and index == played.publications):
            group.append((commit, kept))
        if commit.id in live:
            steps = live[commit.id]
            turns.append(Turn(carried=tuple(group), again=commit, steps=steps, mark=mark))
            group = []
    if group:
        turns.append(Turn(carried=tuple(group), mark=mark))
    return turns


def is_equal(one: Entry | None, other: Entry | None) -> bool:
    """Whether two entries are one state, whatever taints it."""
    if one is None or other is None:
        return one is other
    return msgspec.structs.replace(one, taint=()) == msgspec.structs.replace(other, taint=())
