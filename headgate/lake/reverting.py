"""Reverting a run, key by key: what a key becomes without one publication's operations.

Where nothing followed on a key, it is what it was before. Else the followers' recorded operations
are applied again, in order, to the key without the reverted ones, as far as SEMANTICS 4 lets the
two pass each other. An inverse on top would lose what the followers wrote.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from headgate.lake.entries import Entry
from headgate.lake.merging import Facts, MergeConflict, Reexecute, merge_decision
from headgate.lake.operations import AddColumn, Create, Operation, Replace, Restore, Rewrite


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreEntry:
    """Set the key to what it was before the reverted publication."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """Set the key to what it was before, then apply these operations, in order."""

    operations: tuple[Operation, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RefuseRevert:
    """The followers cannot be had without the reverted run: revert them first, or with it."""

    reason: str


RevertDecision: TypeAlias = RestoreEntry | Replay | RefuseRevert


def revert_decision(  # noqa: PLR0911 - one line per reason
    key: str,
    reverted: Sequence[Operation],
    followers: Sequence[Operation],
    *,
    before: Entry | None,
    now: Entry | None,
    facts: Facts,
) -> RevertDecision:
    """Decide what a key becomes without a publication's operations.

    ``followers`` is what later publications did to the key, in order; ``before`` the entry before
    the reverted publication, ``now`` the one at the head. A question's ``head`` is a reverted
    operation, its ``run`` a follower's.
    """
    later = tuple(each for each in followers if not isinstance(each, Rewrite))
    if not later:
        return RestoreEntry()
    if any(isinstance(each, Restore) for each in later):
        return RefuseRevert(reason="reverted-meanwhile")
    if not key.startswith("table/"):
        if key.startswith("cursor/"):
            return RefuseRevert(reason="cursor-moved")
        return Replay(operations=later[-1:])
    last = max((i for i, each in enumerate(later) if isinstance(each, Replace)), default=0)
    later = later[last:]
    if any(isinstance(each, Create | AddColumn) for each in reverted) and not isinstance(
        later[0], Replace
    ):
        return RefuseRevert(reason="followers-use-its-schema")
    decision = merge_decision(
        key,
        reverted,
        later,
        head_entry=before,
        run_entry=now,
        isolation="serializable",
        facts=facts,
        takes_over=True,  # who owned the table when has no say in taking a run back
    )
    if isinstance(decision, Reexecute | MergeConflict):
        return RefuseRevert(reason=decision.reason)
    return Replay(operations=later)
