"""Whether the log leads from a cursor to where the server is now; else, why it does not. Pure."""

from collections.abc import Collection
from dataclasses import dataclass

from headgate.sources.postgres_changes.positions import (
    ColumnsSeen,
    Reached,
    Standing,
    added_columns,
    difference,
    lsn_text,
)
from headgate.sources.postgres_changes.slots import Slot


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """A server as it is found.

    ``flushed`` is where its log ends. ``forked`` is where the timeline of the cursor was left, None
    where it still is the server's. ``defaults`` names the columns that came with values of their
    own, if they came. ``made`` has the partitions that began without rows.
    """

    standing: Standing
    flushed: int
    forked: int | None
    defaults: Collection[str]
    made: Collection[str]


def broken(before: Reached, now: Now, slot: Slot | None, *, name: str) -> str | None:
    """Say why a table must be read anew, None where its log goes on from the cursor.

    Whether its slot is ahead of the cursor is another question: ``ahead``.
    """
    return (
        _another(before.standing, now.standing)
        or _back_in_time(before, now)
        or _unfit(slot, name=name)
        or _columns(before.standing, now)
        or _rows(before.standing, now)
    )


def ahead(slot: Slot | None, before: Reached) -> str | None:
    """Say that a slot has let go of what came after a cursor, if it has."""
    if slot is None or slot.confirmed is None or slot.confirmed <= before.position:
        return None
    return (
        f"the replication slot {slot.name} is at {lsn_text(slot.confirmed)}, ahead of the cursor "
        f"at {lsn_text(before.position)}: what lies between is gone"
    )


def _unfit(slot: Slot | None, *, name: str) -> str | None:
    if slot is None:
        return f"the replication slot {name} is not there"
    if slot.is_lost or slot.confirmed is None:
        return (
            f"the replication slot {name} was invalidated: the server has removed log that it "
            "still needed (max_slot_wal_keep_size)"
        )
    return None


def fits(told: ColumnsSeen, now: ColumnsSeen) -> bool:
    """Whether rows under the columns told can be rows of the table as it is now.

    They may lack columns that came later.
    """
    return now[: len(told)] == told


def _another(was: Standing, now: Standing) -> str | None:
    if (was.server, was.database) != (now.server, now.database):
        return "the cursor is of another server or database"
    if was.table != now.table:
        return "the table was dropped and made again"
    if was.published != now.published:
        return "it was taken out of its publication and put in again, or the publication changed"
    return None


def _back_in_time(before: Reached, now: Now) -> str | None:
    """Say that the log from the cursor on is not the one that was read up to it."""
    if now.flushed < before.position or (now.forked is not None and now.forked < before.position):
        return (
            f"the server was restored, or another one took its place, as it was before "
            f"{lsn_text(before.position)}, which the cursor has reached"
        )
    return None


def _columns(was: Standing, now: Now) -> str | None:
    columns = now.standing.columns
    came = added_columns(was.columns, columns)
    if came is None:
        return f"the table's columns changed: {difference(was.columns, columns)}"
    filled = [column for column in came if column in now.defaults]
    if filled:
        return (
            f"columns were added with a default, which the log does not tell: {', '.join(filled)}"
        )
    pairs = zip(was.columns, was.entries, now.standing.entries, strict=False)
    again = [column[0] for column, then, here in pairs if then[0] != here[0]]
    if again:
        return f"columns were dropped and made again: {', '.join(again)}"
    return None


def _rows(was: Standing, now: Now) -> str | None:
    """Say what happened to rows without a word of the log."""
    if not was.files:
        return None
    then, here = was.files, now.standing.files
    if then.keys() == here.keys() == {str(was.table)}:
        if then != here and was.entries != now.standing.entries:
            return "its rows were written anew when its columns were changed"
        return None
    changed = [oid for oid, file in then.items() if here.get(oid) != file]
    if changed or any(oid not in now.made for oid in here.keys() - then.keys()):
        return "partitions were emptied, written anew, taken out or put in with their rows"
    return None
