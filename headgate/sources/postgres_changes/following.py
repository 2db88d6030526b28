"""Whether the log leads from a cursor to where the server is now; else, why it does not. Pure."""

from collections.abc import Collection

from headgate.sources.postgres_changes.positions import (
    ColumnsSeen,
    Reached,
    Standing,
    added_columns,
    difference,
    lsn_text,
)
from headgate.sources.postgres_changes.slots import Slot


def broken(  # noqa: PLR0911 - a list of reasons
    before: Reached, now: Standing, slot: Slot | None, *, name: str, defaults: Collection[str]
) -> str | None:
    """Say why a table must be read anew, None where its log goes on from the cursor.

    ``defaults`` names the columns that have a default now.
    """
    was = before.standing
    if (was.server, was.database) != (now.server, now.database):
        return "the cursor is of another server or database"
    if was.table != now.table:
        return "the table was dropped and made again"
    if was.published != now.published:
        return "it was taken out of its publication and put in again, or the publication changed"
    if slot is None:
        return f"the replication slot {name} is not there"
    if slot.is_lost or slot.confirmed is None:
        return (
            f"the replication slot {name} was invalidated: the server has removed log that it "
            "still needed (max_slot_wal_keep_size)"
        )
    if slot.confirmed > before.position:
        return (
            f"the replication slot {name} is at {lsn_text(slot.confirmed)}, ahead of the cursor at "
            f"{lsn_text(before.position)}: what lies between is gone"
        )
    if was.columns == now.columns:
        return None
    came = added_columns(was.columns, now.columns)
    if came is None:
        return f"the table's columns changed: {difference(was.columns, now.columns)}"
    filled = [column for column in came if column in defaults]
    if filled:
        return (
            f"columns were added with a default, which the log does not tell: {', '.join(filled)}"
        )
    return None


def fits(told: ColumnsSeen, now: ColumnsSeen) -> bool:
    """Whether rows under the columns told can be rows of the table as it is now.

    They may lack columns that came later.
    """
    return now[: len(told)] == told
