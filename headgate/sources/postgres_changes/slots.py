"""Replication slots: what a server keeps of its log for one reader. One for each, by its name."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import psycopg

from headgate.errors import Refused
from headgate.sources.postgres_changes.catalog import Session, quoted
from headgate.sources.postgres_changes.positions import lsn_text, read_lsn

PLUGIN: Final = "pgoutput"
LOST: Final = "lost"


_FIND = """
select plugin, database, active_pid, confirmed_flush_lsn::text, restart_lsn::text, wal_status,
  pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::int8,
  pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn)::int8
from pg_replication_slots where slot_name = %s
"""
_KEPT = """
select slot_name, wal_status, active_pid, pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::int8
from pg_replication_slots
where slot_name like 'headgate\\_%' and database = current_database() order by 4 desc nulls first
"""
_BEHIND = "select pg_wal_lsn_diff(pg_current_wal_lsn(), %s::text::pg_lsn)::int8"
_COPY = "select pg_copy_logical_replication_slot(%s, %s)"
_ADVANCE = "select pg_replication_slot_advance(%s, %s::text::pg_lsn)"
_DROP = "select pg_drop_replication_slot(%s)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A slot as it is now. ``confirmed`` is the position before which nothing is kept for us.

    ``retained_bytes`` is how much log the server keeps for it, ``lag_bytes`` how much of it is new.
    """

    name: str
    confirmed: int | None
    is_lost: bool
    reader: int | None
    retained_bytes: int
    lag_bytes: int


def find_slot(session: Session, name: str) -> Slot | None:
    """Look a slot up.

    Raises:
        Refused: ``slot-of-another-kind``: somebody else's has the name.
    """
    row = session.execute(_FIND, (name,)).fetchone()
    if row is None:
        return None
    plugin, database, reader, confirmed, restart, status, retained, lag = row
    if plugin != PLUGIN or database != session.info.dbname:
        raise Refused(
            "slot-of-another-kind",
            f"The replication slot {name} is of the plug-in {plugin} and the database {database}, "
            f"not of {PLUGIN} and {session.info.dbname}.",
            hint="Say another one: slot=...",
            slot=name,
        )
    return Slot(
        name=name,
        confirmed=read_lsn(confirmed) if confirmed else None,
        is_lost=status == LOST or restart is None or confirmed is None,
        reader=reader,
        retained_bytes=int(retained or 0),
        lag_bytes=int(lag or 0),
    )


def copied(session: Session, name: str, other: str, position: int) -> Slot | None:
    """Make a slot of what another reader's keeps, where that goes back to a position."""
    known = find_slot(session, other) if other != name else None
    if known is None or known.is_lost or known.confirmed is None or known.confirmed > position:
        return None
    session.execute(_COPY, (other, name))
    return find_slot(session, name)


def told(session: Session, name: str, position: int | None) -> Mapping[str, str]:
    """Say for people what a slot keeps, how far a position is behind, and what others keep."""
    rows = session.execute(_KEPT).fetchall()
    found = {row[0]: row[1:] for row in rows}
    facts = {"slot": name if name in found else f"{name} (not there)"}
    if name in found:
        status, reader, kept = found.pop(name)
        facts["slot's reader"] = f"process {reader}" if reader else "nobody now"
        facts["log kept"] = f"{_size(kept)} ({status})"
    if position is not None:
        row = session.execute(_BEHIND, (lsn_text(position),)).fetchone()
        facts["log not read"] = _size(row[0] if row else None)
    others = [
        f"{other} keeps {_size(kept)} ({status})" for other, (status, _, kept) in found.items()
    ]
    if others:
        facts["other slots of headgate"] = "; ".join(others)
    return facts


def _size(size_bytes: int | None) -> str:
    if size_bytes is None:
        return "nothing"
    return f"{max(int(size_bytes), 0) / 1e6:,.1f} MB"


def advance(session: Session, name: str, position: str) -> None:
    """Let go of what lies before a position; it never goes back."""
    try:
        session.execute(_ADVANCE, (name, position))
    except psycopg.errors.ObjectNotInPrerequisiteState:  # it is further, or has lost its log
        return


def drop(session: Session, name: str) -> None:
    """Drop a slot, if it is there."""
    try:
        session.execute(_DROP, (name,))
    except psycopg.errors.UndefinedObject:
        return


def creation(name: str, *, temporary: bool) -> bytes:
    """Give the replication command that makes a slot and shows the snapshot it begins with."""
    kind = " TEMPORARY" if temporary else ""
    return f"CREATE_REPLICATION_SLOT {quoted(name)}{kind} LOGICAL {PLUGIN} EXPORT_SNAPSHOT".encode()
