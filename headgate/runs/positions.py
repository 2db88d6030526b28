"""What happened since a position: on one line of commits, or after a branch was merged.

A cursor that came with a merge speaks of a base on the branch's line. What the branch had in effect
there was read, whichever commit of the target carries it now; what the target did meanwhile was
not.
"""

import msgspec

from headgate.lake import Commit, Lake
from headgate.runs.incremental import Position
from headgate.runs.standing import all_carried, carried, standing


def commits_since(
    lake: Lake, position: Position, base: Commit
) -> tuple[Position, tuple[Commit, ...]]:
    """Give the commits up to ``base`` that were not in effect at a position, oldest first.

    A merge is given as the commits that it carries. The position comes back as one on this line.
    """
    there = lake.metastore.commit(position.base) if position.base else None
    fork = lake.merge_base(there, base) if there else None
    since = fork.number if fork else position.base_number
    seen = all_carried(standing(lake.window(there, since=fork.number))) if there and fork else set()
    found = [
        part
        for commit in standing(lake.window(base, since=since))
        if commit.id not in seen
        for part in _parts(lake, commit)
        if part.id not in seen
    ]
    return msgspec.structs.replace(position, base_number=since), tuple(found)


def state_seen(lake: Lake, position: Position, step: str, base: Commit) -> Commit | None:
    """Give the commit whose tables a step read when it came to its position, None where unknown.

    That is the checkpoint it made then: its own run's earlier steps are in it.
    """
    metastore = lake.metastore
    row = metastore.run(position.run)
    published = metastore.commit(row.commit) if row and row.commit else None
    for record in published.record.steps if published else ():
        if record.step == step and record.commit and (seen := metastore.commit(record.commit)):
            return seen
    if position.base and (then := metastore.commit(position.base)):
        return then
    return next((c for c in lake.log(base) if c.number <= position.base_number), None)


def _parts(lake: Lake, commit: Commit) -> list[Commit]:
    """Give a merge as the commits it carries, with their own steps' names; else the commit."""
    if not any(step.origin for step in commit.record.steps):
        return [commit]
    parts = []
    for id, steps in carried(commit).items():
        made = lake.metastore.commit(id)
        named = tuple(
            msgspec.structs.replace(step, step=step.step.removeprefix(f"{id[:8]}_"))
            for step in steps
        )
        record = msgspec.structs.replace(
            commit.record, steps=named, run=made.record.run if made else commit.record.run
        )
        parts.append(msgspec.structs.replace(commit, id=id, record=record))
    return parts
