"""What steps need of the past: an incremental step goes on from where its last run stood.

It needs the commits since its position with their operations' files, and what it saw then.
"""

from collections.abc import Iterator

import msgspec

from headgate.lake import Commit, Keep, Lake, cursor_key
from headgate.runs.incremental import Position
from headgate.runs.positions import state_seen

_CURSORS = cursor_key("", "").rstrip("/") + "/"


class RetainedPositions:
    """The positions in a lake's entries, and what each keeps."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake

    def __call__(self, commit: Commit, *, line: str, why: str) -> Iterator[Keep]:
        """Give what the steps with a position in a commit's tree need, going on from ``line``."""
        for key, entry in self._lake.tree(commit).items(_CURSORS):
            position = _position(entry.data)
            if position is not None:
                yield from self._of(position, commit, line, f"{why}, position of {key[7:]}", key)

    def _of(
        self, position: Position, commit: Commit, line: str, why: str, key: str
    ) -> Iterator[Keep]:
        lake = self._lake
        base = lake.metastore.commit(position.base) if position.base else None
        since = position.base_number
        if base is not None:
            since = lake.merge_base(base, lake.commit(line)).number
            yield Keep(why=why, commit=base.id)
        yield Keep(why=why, commit=line, operations_since=since)
        seen = state_seen(lake, position, key.rpartition("/")[2], commit)
        if seen is not None:
            yield Keep(why=why, commit=seen.id, states_since=seen.number)


def _position(text: str | None) -> Position | None:
    """Read a cursor that is a position; a source's is none."""
    try:
        return Position.parse(text) if text else None
    except msgspec.MsgspecError:
        return None
