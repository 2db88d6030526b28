"""Re-execution: which steps of a run must run again on a new base, and what becomes of the others.

A step is kept while everything it read is on the new base exactly what it was, the run's own
earlier writes included. Of a kept step only a replacement is carried over as it is; an append,
upsert or delete is an operation, and is applied again to the table at the new base: its pointer
would throw away what others have published there.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from headgate.lake import (
    Operation,
    Put,
    Read,
    Replace,
    StepRecord,
    Write,
    operations_in_effect,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptWrite:
    """What a kept step does to a key on the new base.

    ``pointer``: take the entry as it is (rebased over columns the new base has, for a table), else
    apply ``operations``, in order, to the entry at the new base after the steps before.
    """

    key: str
    pointer: bool
    operations: tuple[Operation, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDecision:
    """Whether a step runs again, and because of which keys; else what it does to the new base."""

    step: str
    again: bool
    because: tuple[str, ...] = ()
    writes: tuple[KeptWrite, ...] = ()


def plan(
    steps: Sequence[StepRecord],
    now: Callable[[str], str | None],
    *,
    forced: Collection[str] = (),
) -> tuple[StepDecision, ...]:
    """Decide for each step of a run, in the order they ran, what to do on a new base.

    ``now`` gives a key's content id at the new base, None where absent. ``forced`` are keys that
    cannot be merged (``MergeConflict``): the steps that wrote them run again, whatever they read.

    A step that reads what a step running again wrote, or a kept one applies to other rows, is
    planned to run again. Its input may turn out unchanged: whoever wants to know asks
    :func:`decide` when it is its turn.
    """
    decisions: list[StepDecision] = []
    own: dict[str, str | None] = {}
    unknown: set[str] = set()

    def current(key: str) -> str | None:
        return own[key] if key in own else now(key)

    for step in steps:
        decision = decide(step, current, forced=forced, unknown=unknown)
        decisions.append(decision)
        for write in step.writes:
            if decision.again:
                unknown.add(write.key)
            elif not (operations := operations_in_effect(step, write)):
                continue
            elif _is_put(operations) or (
                write.key not in unknown and current(write.key) == write.before
            ):
                own[write.key] = write.content
                unknown.discard(write.key)
            else:
                unknown.add(write.key)
    return tuple(decisions)


def decide(
    step: StepRecord,
    now: Callable[[str], str | None],
    *,
    forced: Collection[str] = (),
    unknown: Collection[str] = (),
) -> StepDecision:
    """Decide for one step: ``now`` gives content ids on the new base after the steps before it.

    ``unknown`` are keys whose content there is not known yet: reading one means to run again.
    """
    because = [read.key for read in step.reads if _may_differ(read, now, unknown)]
    because += [
        write.key
        for write in step.writes
        if write.key in forced or _came_or_went(write, now, unknown)
    ]
    if because:
        return StepDecision(step=step.step, again=True, because=tuple(dict.fromkeys(because)))
    writes = tuple(
        KeptWrite(key=write.key, pointer=_is_pointer(operations), operations=operations)
        for write in step.writes
        if (operations := operations_in_effect(step, write))
    )
    return StepDecision(step=step.step, again=False, writes=writes)


def _may_differ(read: Read, now: Callable[[str], str | None], unknown: Collection[str]) -> bool:
    if read.key in unknown or now(read.key) != read.content:
        return True
    return read.key.endswith("/") and any(key.startswith(read.key) for key in unknown)


def _came_or_went(write: Write, now: Callable[[str], str | None], unknown: Collection[str]) -> bool:
    """Whether the operations need a table that is gone, or create one that has come."""
    if _is_put(write.operations) or write.key in unknown:
        return False
    return (write.before is None) != (now(write.key) is None)


def _is_pointer(operations: Sequence[Operation]) -> bool:
    """Whether the result depends on nothing that was there before."""
    return any(isinstance(each, Replace | Put) for each in operations)


def _is_put(operations: Sequence[Operation]) -> bool:
    return any(isinstance(each, Put) for each in operations)
