"""What PostgreSQL and the way to it can say, as errors of ours."""

import re
from collections.abc import Mapping
from typing import Any

import psycopg

from headgate.errors import Corrupt, HeadgateError, Internal, NotFound, Refused, Unavailable
from headgate.lake.database import Undone
from headgate.lake.postgres_addresses import Address

_ENDED = frozenset({"57P01", "57P02", "57P03", "57P05", "25P03"})
_AGAIN = frozenset({"40001", "40P01"})
_LOCKED = frozenset({"55P03"})
_CANCELLED = frozenset({"57014"})
_FULL = frozenset({"53100"})
_FORBIDDEN = frozenset({"42501"})
_READ_ONLY = frozenset({"25006"})
_UNKNOWN_RELATION = frozenset({"42P01", "3F000", "42703"})
_DAMAGED = frozenset({"XX001", "XX002"})
_LOGIN = re.compile(
    r"authentication failed|no password supplied|no pg_hba\.conf entry|role .* does"
)
_NO_DATABASE = re.compile(r'database "[^"]*" does not exist')
_NO_CONNECT = re.compile(r"permission denied for database")
_STARTING = re.compile(
    r"starting up|shutting down|too many (clients|connections)|remaining connect"
)
_UNMET = re.compile(r"unmet: ([a-z-]+) 0")
_ADVICE = ("Is the server running", "This probably means", "before or while processing")
_WHERE = re.compile(r"connection (?:failed: connection )?to server .*?failed: ")


def is_lost(error: psycopg.Error, connection: "psycopg.Connection[Any]") -> bool:
    """Say whether it was the connection that failed, and no statement."""
    state = error.sqlstate or ""
    return connection.closed or connection.broken or state in _ENDED or state.startswith("08")


def is_passing(error: psycopg.Error) -> bool:
    """Say whether a server that does not let anybody in will in a moment: it is starting, say."""
    return bool(_STARTING.search(str(error)))


def refusal(error: psycopg.Error, address: Address) -> HeadgateError | None:
    """Give the error for a server that answers and does not let us in; None: it does not answer."""
    said = _said(error)
    if _LOGIN.search(said):
        return Refused(
            "metastore-login",
            f"{address} does not let user {address.user!r} in: {said}",
            hint="The password comes from the URL, PGPASSWORD or ~/.pgpass.",
            user=address.user,
            **address.facts,
        )
    if _NO_DATABASE.search(said):
        return NotFound(
            "no-database",
            f"{address}: {said}",
            hint=f"Make it:  createdb {address.database}",
            **address.facts,
        )
    if _NO_CONNECT.search(said):
        return forbidden(said, address)
    return None


def unreachable(error: psycopg.Error, address: Address, waited: str = "") -> Unavailable:
    """Give the error for a server that does not answer."""
    return Unavailable(
        "metastore-unreachable",
        f"The metastore {address} does not answer{waited}: {_said(error)}",
        hint="Look whether PostgreSQL runs and can be reached; then try again.",
        **address.facts,
    )


def lost(error: psycopg.Error, address: Address) -> Undone:
    """Give the error for a connection that broke before anything was committed."""
    return Undone(
        "metastore-unreachable",
        f"The connection to the metastore {address} broke: {_said(error)}",
        hint="Look whether PostgreSQL runs and can be reached; then try again.",
        **address.facts,
    )


def commit_unknown(address: Address) -> Unavailable:
    """Give the error for a commit whose answer was lost with the server."""
    return Unavailable(
        "commit-unknown",
        f"The connection to the metastore {address} broke during a commit, and the server "
        f"did not come back within {address.patience.total_seconds():g} s: whether the change took "
        "place is not known.",
        hint="When PostgreSQL runs again, look:  headgate status",
        **address.facts,
    )


def locked(holders: str, waited_s: float, address: Address) -> Unavailable:
    """Give the error for a lock that somebody kept too long."""
    by = holders or "another session"
    return Unavailable(
        "metastore-locked",
        f"The metastore {address} was locked by {by} for {waited_s:g} s.",
        hint="Wait for it, or end it:  select pg_terminate_backend(its process)",
        holders=holders,
        **address.facts,
    )


def forbidden(said: str, address: Address) -> Refused:
    """Give the error for a right that the user does not have."""
    return Refused(
        "metastore-forbidden",
        f"{address} forbids user {address.user!r} that: {said}",
        hint=f"Its owner can allow it:  grant all on schema {address.schema} and on all tables in "
        f"schema {address.schema} to the user; a new lake also needs  grant create on database.",
        user=address.user,
        **address.facts,
    )


def translation(error: psycopg.Error, address: Address) -> HeadgateError:
    """Give the error for a statement that PostgreSQL refused; nothing of its transaction stays."""
    state, said, facts = error.sqlstate or "", _said(error), address.facts
    if state in _AGAIN:
        return Undone(
            "metastore-locked",
            f"The metastore {address} undid a transaction in favour of another: {said}",
            hint="Try again.",
            **facts,
        )
    if state in _FORBIDDEN:
        return forbidden(said, address)
    known = {
        **dict.fromkeys(_CANCELLED, _cancelled),
        **dict.fromkeys(_FULL, _full),
        **dict.fromkeys(_READ_ONLY, _read_only),
        **dict.fromkeys(_UNKNOWN_RELATION | _DAMAGED, _damaged),
    }.get(state)
    if known is not None:
        return known(said, address, facts)
    return Internal("metastore-statement", f"{address}: {said}", sqlstate=state, **facts)


def unmet_condition(error: psycopg.Error) -> str | None:
    """Give the condition that a transaction ended for (``Session.must``), if that is the error."""
    found = _UNMET.search(str(error)) if error.sqlstate == "22P02" else None
    return None if found is None else found[1]


def is_lock_timeout(error: psycopg.Error) -> bool:
    """Say whether a statement waited too long for a lock."""
    return error.sqlstate in _LOCKED


def _cancelled(said: str, address: Address, facts: Mapping[str, str]) -> Unavailable:
    return Unavailable(
        "metastore-timeout",
        f"The metastore {address} ended a statement: {said}. Nothing was changed.",
        hint="Somebody cancelled it, or statement_timeout is too short for the server's load.",
        **facts,
    )


def _full(said: str, address: Address, facts: Mapping[str, str]) -> Unavailable:
    return Unavailable(
        "metastore-full",
        f"The disk of the metastore {address} is full: {said}. Nothing was changed.",
        hint="Free some space on the server, then try again.",
        **facts,
    )


def _read_only(said: str, address: Address, facts: Mapping[str, str]) -> Refused:
    return Refused(
        "metastore-read-only",
        f"The metastore {address} is read-only: {said}.",
        hint="A standby only reads: name the primary, or several hosts and "
        "target_session_attrs=read-write.",
        **facts,
    )


def _damaged(said: str, address: Address, facts: Mapping[str, str]) -> Corrupt:
    return Corrupt(
        "metastore-corrupt",
        f"{address} is no whole metastore: {said}",
        hint="Restore the metastore's backup.",
        **facts,
    )


def _said(error: psycopg.Error) -> str:
    """Give PostgreSQL's words on one line, without the address that ours begin with."""
    text = error.diag.message_primary or str(error)
    lines = [line.strip() for line in _WHERE.sub("", text).splitlines()]
    told = " ".join(line for line in lines if line and not line.startswith(_ADVICE))
    return told.removeprefix("FATAL:").strip() or "no reason"
