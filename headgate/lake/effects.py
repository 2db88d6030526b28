"""What of a run's steps counts for others: reads at the base, each key's operations in order.

A record keeps more than took effect: a skipped step keeps the append of the run that computed its
output, though it was left out; a read of rows the run itself had replaced depends on no base. Ask
here, never the record's raw lists, when deciding.
"""

from collections.abc import Iterable, Mapping, Sequence

from headgate.lake.operations import Append, Create, Operation, Replace
from headgate.lake.records import Commit, Read, StepRecord, Write


def operations_in_effect(step: StepRecord, write: Write) -> tuple[Operation, ...]:
    """Give the operations of one of a step's writes without what a skip left out.

    That is an append, unless it follows a replacement: then it belongs to the rows that are set.
    The table exists already, so its creation is left out, too.
    """
    operations = write.operations
    if step.skipped is None:
        return operations
    last = max((i for i, each in enumerate(operations) if isinstance(each, Replace)), default=None)
    if last is not None:
        return operations[last:]
    return tuple(each for each in operations if not isinstance(each, Append | Create))


def reads_at_base(steps: Iterable[StepRecord]) -> tuple[Read, ...]:
    """Give the reads that depend on the run's base, in order.

    Reading a key that the run itself had changed is one of them, unless it had replaced the key:
    its rows then are the run's own alone.
    """
    steps = tuple(steps)
    found: list[Read] = []
    if not any(read.own for step in steps for read in step.reads):
        for step in steps:
            found += step.reads
        return tuple(found)
    replaced: set[str] = set()
    for step in steps:
        found += [read for read in step.reads if not (read.own and read.key in replaced)]
        replaced.update(
            write.key
            for write in step.writes
            if any(isinstance(each, Replace) for each in write.operations)
        )
    return tuple(found)


def operations_by_key(steps: Iterable[StepRecord]) -> Mapping[str, tuple[Operation, ...]]:
    """Give what the steps did to each key, in order."""
    found: dict[str, list[Operation]] = {}
    for step in steps:
        for write in step.writes:
            if operations := operations_in_effect(step, write):
                found.setdefault(write.key, []).extend(operations)
    return {key: tuple(operations) for key, operations in found.items()}


def operations_since(window: Sequence[Commit]) -> Mapping[str, tuple[Operation, ...]]:
    """Give what consecutive commits did to each key, in publication order."""
    return operations_by_key(step for commit in window for step in commit.record.steps)
