"""The order of publications over any SQL database: tickets and reservations."""

from collections.abc import Iterable, Sequence
from datetime import timedelta

import msgspec

from headgate.clock import Clock
from headgate.lake import statements
from headgate.lake.database import Database, retried
from headgate.lake.instants import instant, stored
from headgate.lake.metastore import Reservation
from headgate.lake.sql_rows import json_text


class SqlTurns:
    """``Turns`` in an SQL database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    @retried
    def take_ticket(
        self, branch: str, *, run: str, fence: int, keys: Sequence[str], lease: timedelta
    ) -> bool:
        """Take a ticket for these keys unless another live one overlaps them.

        A key that ends with ``/`` is a listing and overlaps all it lists. A ticket of an older
        attempt of the same run gives way; one of a newer attempt does not. One that holds for
        longer than two leases from now is of a clock that was ahead (one, may be, of somebody who
        came first while this one waited): nobody waits for it, since tickets order publications
        and decide nothing.
        """
        now = self._clock.now()
        with self._database.writing(durable=False) as session:
            _, taken = session.together(
                (statements.LOCK_BRANCH, (branch,)),  # one ticket is taken at a time
                (statements.TICKETS, (branch, stored(now), stored(now + 2 * lease))),
            )
            for holder, held_fence, held in taken:
                if holder == run:
                    if held_fence > fence:
                        return False
                elif overlap(keys, msgspec.json.decode(held)):
                    return False
            session.send(statements.EXPIRE_TICKETS, (branch, stored(now)))
            ticket = (branch, run, fence, json_text(list(keys)), stored(now + lease))
            session.send(statements.PUT_TICKET, ticket)
        return True

    @retried
    def drop_ticket(self, branch: str, *, run: str) -> None:
        """Give a run's ticket back; dropping none is no error."""
        with self._database.writing(durable=False) as session:
            session.send(statements.DROP_TICKET, (branch, run))

    @retried
    def drop_reservation(self, branch: str, *, run: str) -> None:
        """Give up what a run has reserved; dropping nothing is no error."""
        with self._database.writing(durable=False) as session:
            session.send(statements.DROP_RESERVATION, (branch, run))

    @retried
    def reserve(self, branch: str, reservation: Reservation) -> None:
        """Reserve keys for a run, in place of what it had reserved before."""
        row = (
            branch,
            reservation.run,
            stored(reservation.began),
            json_text(list(reservation.keys)),
            stored(reservation.until),
        )
        with self._database.writing(durable=False) as session:
            session.send(statements.PUT_RESERVATION, row)

    def reservations(self, branch: str) -> Sequence[Reservation]:
        """Give the reservations that are not over, the oldest run's first."""
        now = stored(self._clock.now())
        with self._database.reading() as session:
            rows = session.rows(statements.RESERVATIONS, (branch, now))
        return [
            Reservation(
                run=run,
                began=instant(began),
                keys=tuple(msgspec.json.decode(keys)),
                until=instant(until),
            )
            for run, began, keys, until in rows
        ]


def overlap(some: Iterable[str], others: Iterable[str]) -> bool:
    """Say whether two sets of keys meet; a key that ends with ``/`` is all that begin so."""
    mine, theirs = set(some), set(others)
    if mine & theirs:
        return True
    return _lists_one_of(mine, theirs) or _lists_one_of(theirs, mine)


def _lists_one_of(listings: set[str], keys: set[str]) -> bool:
    prefixes = tuple(key for key in listings if key.endswith("/"))
    return bool(prefixes) and any(key.startswith(prefixes) for key in keys)
