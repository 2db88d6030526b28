"""What a database says when something is wrong, as errors of ours: which table, where, what to do.

SQLSTATE tells for PostgreSQL and MySQL alike; drivers without one tell by their words.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from headgate.errors import HeadgateError, Invalid, NotFound, Refused, Unavailable
from headgate.names import suggestion
from headgate.sources.databases.addresses import MYSQL, Address

Near: TypeAlias = Callable[[], tuple[Sequence[str], Sequence[str]]]
"""Gives names of relations there are, and of columns that may not be read. Asks the database."""

LOGIN: Final = "login"
NO_DATABASE: Final = "no-database"
NO_RELATION: Final = "no-relation"
NO_COLUMN: Final = "no-column"
FORBIDDEN: Final = "forbidden"
WRITES: Final = "writes"
SYNTAX: Final = "syntax"
STOPPED: Final = "stopped"
UNTRUSTED: Final = "untrusted"
LOST: Final = "lost"
OTHER: Final = "other"

_STATES: Final = {
    "28000": LOGIN,
    "28P01": LOGIN,
    "3D000": NO_DATABASE,
    "42P01": NO_RELATION,
    "3F000": NO_RELATION,
    "42703": NO_COLUMN,
    "42501": FORBIDDEN,
    "25006": WRITES,
    "0A000": OTHER,
    "57014": STOPPED,
    "53300": LOST,
    "57P01": LOST,
    "57P02": LOST,
    "57P03": LOST,
    "57P05": LOST,
}
_SAID: Final = (
    (re.compile(r"authentication failed|no password supplied|no pg_hba|role .* does not"), LOGIN),
    (
        re.compile(r"certificate|SSL error|does not support SSL|self.signed", re.IGNORECASE),
        UNTRUSTED,
    ),
    (re.compile(r'database "[^"]*" does not exist'), NO_DATABASE),
    (re.compile(r"data-modifying|read.only transaction"), WRITES),
    (re.compile(r"cancell?ing statement|interrupted"), STOPPED),
    (re.compile(r"permission denied"), FORBIDDEN),
)
_ADVICE: Final = re.compile(r"\s*(Is the server running|This probably means|HINT:|LINE \d+:).*")
_WHERE: Final = re.compile(r"connection (?:failed: )?(?:connection )?to server .*?failed: ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """What a driver said: ``state`` its SQLSTATE, ``kind`` where the reading knows by itself.

    ``shown`` is what was read, by a query of the user's if it ``queries``; ``connected`` says that
    rows were on their way.
    """

    said: str
    shown: str
    state: str = ""
    kind: str = ""
    queries: bool = False
    connected: bool = False


def kind_of(failed: Failed) -> str:
    """Tell what kind of failure it is."""
    if failed.kind:
        return failed.kind
    by_words = kind_by_words(failed.said)
    if by_words:
        return by_words
    known = _STATES.get(failed.state)
    if known is not None:
        return known
    if failed.state.startswith("08") or not failed.state:
        return LOST
    return SYNTAX if failed.state.startswith("42") else OTHER


def kind_by_words(said: str) -> str:
    """Tell it by the words alone; empty where they say nothing that is known."""
    return next((kind for pattern, kind in _SAID if pattern.search(said)), "")


def failure(failed: Failed, address: Address, near: Near) -> HeadgateError:  # noqa: PLR0911 - a table of kinds
    """Give the error for what a database said."""
    said = _WHERE.sub("", _ADVICE.sub("", failed.said)).removeprefix("FATAL:").strip()
    place, facts = address.shown, {"database": address.shown, "relation": failed.shown}
    match kind_of(failed):
        case str(kind) if kind == LOGIN:
            return Refused(
                "database-login",
                f"{place} does not let user {address.user!r} in: {said}.",
                hint="Look at user and password; a password is best a secret: "
                'password=hg.secret("name").',
                user=address.user,
                **facts,
            )
        case str(kind) if kind == NO_DATABASE:
            return NotFound(
                "database-missing",
                f"{place}: {said}.",
                hint="Look at the last part of the URL.",
                **facts,
            )
        case str(kind) if kind == NO_RELATION:
            return _no_relation(failed, said, place, near)
        case str(kind) if kind == NO_COLUMN:
            return NotFound(
                "database-column-missing",
                f"{failed.shown} of {place}: {said}.",
                hint="Look at columns=, cursor= and the query.",
                **facts,
            )
        case str(kind) if kind == FORBIDDEN:
            return _forbidden(failed, said, address, near)
        case str(kind) if kind == WRITES:
            return Refused(
                "query-writes",
                f"The query on {place} would write: {said}.",
                hint="A source only reads: its transaction is read-only.",
                **facts,
            )
        case str(kind) if kind == SYNTAX:
            return Invalid(
                "database-query",
                f"{place} refuses the query of {failed.shown}: {said}.",
                hint="Try it in the database's own client. It stands in a subquery here.",
                **facts,
            )
        case str(kind) if kind == STOPPED:
            return Unavailable(
                "database-timeout",
                f"{place} ended the reading of {failed.shown}: {said}. Nothing was published.",
                hint="Somebody cancelled it, or a time-out of the server is too short for it.",
                **facts,
            )
        case str(kind) if kind == UNTRUSTED:
            return Refused(
                "database-not-trusted",
                f"{place} cannot be trusted: {said}.",
                hint="Name the certificate of who signed its own in the URL: "
                + ("ssl_ca=PATH" if address.family == MYSQL else "sslrootcert=PATH")
                + ".",
                **facts,
            )
        case str(kind) if kind == LOST:
            return _lost(failed, said, place)
        case _:
            return Invalid(
                "database-statement",
                f"{place} could not give {failed.shown}: {said}.",
                hint="Leave the column out (columns=), or cast it in a query.",
                state=failed.state,
                **facts,
            )


def _no_relation(failed: Failed, said: str, place: str, near: Near) -> NotFound:
    names, _ = near()
    if failed.queries:
        return NotFound(
            "database-relation-missing",
            f"The query on {place} names a table that is not there: {said}.",
            hint=f"There are: {', '.join(sorted(names)[:20])}.",
            database=place,
        )
    meant = suggestion(failed.shown, names)
    return NotFound(
        "database-relation-missing",
        f"{place} has no table or view {failed.shown}: {said}.",
        hint=f"Did you mean {meant}?" if meant else f"There are: {', '.join(sorted(names)[:20])}.",
        database=place,
        relation=failed.shown,
    )


def _forbidden(failed: Failed, said: str, address: Address, near: Near) -> Refused:
    _, denied = near()
    some = f" ({', '.join(denied)})" if denied else ""
    return Refused(
        "database-forbidden",
        f"{address.shown} does not let user {address.user!r} read {failed.shown}{some}: {said}.",
        hint=f"Its owner can allow it:  grant select on {failed.shown} to {address.user}"
        + ("; or name the columns you may read: columns=[...]." if denied else ""),
        database=address.shown,
        relation=failed.shown,
        columns=list(denied),
    )


def _lost(failed: Failed, said: str, place: str) -> Unavailable:
    if failed.connected:
        return Unavailable(
            "database-lost",
            f"The connection to {place} broke while {failed.shown} was read "
            f"({said or 'no reason'}); nothing of it was published.",
            hint="Run it again; with retries= the step does so by itself.",
            database=place,
            relation=failed.shown,
        )
    return Unavailable(
        "database-unreachable",
        f"{place} does not answer: {said or 'no reason'}.",
        hint="Look whether the server runs and can be reached from here.",
        database=place,
        relation=failed.shown,
    )
