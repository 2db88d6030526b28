"""Connections to a server: one for its catalog, one that its log is read through."""

from typing import Any, Final

import psycopg

from headgate.clock import Clock
from headgate.errors import HeadgateError, Refused
from headgate.sources.databases.addresses import Address
from headgate.sources.postgres_changes.catalog import Session
from headgate.sources.postgres_changes.failures import failure
from headgate.sources.postgres_changes.positions import read_lsn

_SETTINGS: Final = (
    "-c datestyle=ISO -c intervalstyle=postgres -c extra_float_digits=1 -c bytea_output=hex "
    "-c timezone=UTC -c statement_timeout=0 -c idle_in_transaction_session_timeout=0 "
    "-c lock_timeout=0 -c row_security=off"
)
"""Values are written in one way, whatever the server or the role prefer; reading takes its time.

Rows that a policy hides from the role are in the log all the same: reading in full must see them.
"""

_WALSENDER: Final = " -c wal_sender_timeout=300000"
_KEEPALIVE: Final = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}

_FACTS = """
select current_setting('wal_level'), pg_is_in_recovery(),
  (select rolreplication or rolsuper from pg_roles where rolname = current_user)
"""


def connect(address: Address) -> Session:
    """Open a session for the catalog, each statement a transaction of its own.

    Raises:
        HeadgateError: ``database-login``, ``database-unreachable``.
    """
    return _connect(address, _SETTINGS)


def connect_to_log(address: Address) -> Session:
    """Open a session that can read the log, and nothing else.

    Raises:
        HeadgateError: ``database-login``, ``database-unreachable``.
    """
    return _connect(address, _SETTINGS + _WALSENDER, replication="database")


def _connect(address: Address, settings: str, **more: str) -> Session:
    given: dict[str, Any] = {**_KEEPALIVE, **more}
    try:
        session: Session = psycopg.connect(
            address.url,
            autocommit=True,
            client_encoding="utf8",
            application_name="headgate",
            options=settings,
            connect_timeout=15,
            **given,
        )
    except psycopg.Error as error:
        raise failure(error, address, doing="connecting") from error
    return session


def refuse_unfit(session: Session, address: Address) -> None:
    """Refuse a server whose log cannot be read, or not by us.

    Raises:
        Refused: ``wal-level-not-logical``, ``replication-not-allowed``, ``server-is-standby``.
    """
    row = session.execute(_FACTS).fetchone()
    level, standby, allowed = row if row is not None else ("", False, False)
    error: HeadgateError
    if standby:
        error = Refused(
            "server-is-standby",
            f"{address.shown} is a standby; positions and slots are the primary's.",
            hint="Read the changes from the primary.",
            database=address.shown,
        )
    elif level != "logical":
        error = Refused(
            "wal-level-not-logical",
            f"The log of {address.shown} does not hold what changes are read from: wal_level is "
            f"{level}.",
            hint="Run  alter system set wal_level = 'logical'  and restart the server (on a hosted "
            "one: its setting for logical replication).",
            database=address.shown,
            wal_level=level,
        )
    elif not allowed:
        user = session.info.user
        error = Refused(
            "replication-not-allowed",
            f"The role {user} may not read the log of {address.shown}.",
            hint=f"Let an administrator run:  alter role {user} replication",
            database=address.shown,
            role=user,
        )
    else:
        return
    raise error


def left_at(log: Session, timeline: int, now: int) -> int | None:
    """Give where a server left a timeline that was its own; None where it is still on it.

    A timeline that it never was on was left at the beginning. PostgreSQL, "Streaming Replication
    Protocol": TIMELINE_HISTORY.
    """
    if timeline in {0, now}:
        return None
    [(_, content)] = log.execute(f"TIMELINE_HISTORY {now}".encode()).fetchall()
    text = content if isinstance(content, str) else bytes(content).decode("utf-8", "replace")
    for line in text.splitlines():
        number, _, rest = line.strip().partition("\t")
        if number == str(timeline):
            return read_lsn(rest.partition("\t")[0])
    return 0


def now_micros(clock: Clock) -> int:
    """Give the instant as the protocol has it: microseconds since 2000."""
    return int((clock.now().timestamp() - 946_684_800) * 1_000_000)
