"""Turns: in which order runs publish that would be in each other's way.

Two queues, both made of reservations in the metastore, the oldest asker first. One is for keys:
whoever has to judge, or has lost twice, keeps them free of those who asked later. The other is for
the head of a busy branch: a run whose last act lost a race joins it, so that each publication does
not make all others compose their commit in vain. A place in either ends by itself; turns order
publications and decide nothing.
"""

from collections.abc import Collection, Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from headgate.errors import Unavailable
from headgate.lake import Reservation
from headgate.runs.attempt import Attempt

TICKET_LEASE: Final = timedelta(seconds=10)
SHORT_WAIT: Final = timedelta(milliseconds=5)
HEAD: Final = "head"
"""Stands for the branch's head among reserved keys; no entry has such a name."""
_JUDGING: Final = timedelta(milliseconds=20)
_PUBLISHING: Final = timedelta(milliseconds=8)
_LONGEST: Final = timedelta(seconds=1)


def await_turn(attempt: Attempt, footprint: Collection[str]) -> bool:
    """Wait for the turn to judge these keys; True where somebody who asked earlier had it.

    Judging side by side would be thrown away: each publication changes what the next has to judge.
    """
    return _await(attempt, frozenset(footprint), each=_JUDGING)


def line_up(attempt: Attempt) -> None:
    """Wait in line for the head, and stay at its front until ``leave`` or the publication.

    Whoever is there merges and composes while nobody else publishes; it must not judge.
    """
    if HEAD not in attempt.reserved or seniors(attempt, (HEAD,)):
        _await(attempt, frozenset((HEAD,)), each=_PUBLISHING)


def enter(attempt: Attempt, keys: Collection[str]) -> bool:
    """Take the ticket for keys, once nobody who asked earlier has them reserved or is in line.

    False where it could not be had yet: look at the head, and try again.
    """
    wiring, row = attempt.wiring, attempt.row
    ahead = seniors(attempt, (*keys, HEAD))
    theirs = [other for other in ahead if not {*keys}.isdisjoint(other.keys)]
    if not theirs and ahead:
        line_up(attempt)
        theirs = seniors(attempt, keys)
    if theirs:
        leave(attempt)  # whoever waits for something else does not stand in the way
        wiring.clock.sleep(_wait(SHORT_WAIT, len(theirs)))
        return False
    if wiring.lake.metastore.turns.take_ticket(
        row.target, run=row.id, fence=row.fence, keys=sorted(keys), lease=TICKET_LEASE
    ):
        return True
    leave(attempt)
    wiring.clock.sleep(SHORT_WAIT)
    return False


def leave(attempt: Attempt) -> None:
    """Give up the place in line for the head, if there is one."""
    if HEAD not in attempt.reserved:
        return
    attempt.reserved.discard(HEAD)
    if attempt.reserved:
        reserve(attempt, ())
    else:
        attempt.wiring.lake.metastore.turns.drop_reservation(attempt.row.target, run=attempt.row.id)


def drop_all(attempt: Attempt) -> None:
    """Give up the ticket and every reservation; those of a store that is away end by themselves."""
    metastore, row = attempt.wiring.lake.metastore, attempt.row
    attempt.reserved.clear()
    with suppress(Unavailable):
        metastore.turns.drop_ticket(row.target, run=row.id)
        metastore.turns.drop_reservation(row.target, run=row.id)


def reserve(attempt: Attempt, footprint: Iterable[str]) -> datetime:
    """Keep these keys free of those who ask later, and say until when.

    A reservation ends with the publication, or after one and a half times the last attempt; one
    that holds up the whole branch, soon.
    """
    wiring, row = attempt.wiring, attempt.row
    lasted = timedelta(seconds=wiring.clock.monotonic_s() - attempt.began_attempt_s)
    now = wiring.clock.now()
    attempt.asked = attempt.asked or now
    attempt.reserved.update(footprint)
    turn = wiring.turn if HEAD in attempt.reserved else max(wiring.turn, 1.5 * lasted)
    reservation = Reservation(
        run=row.id,
        began=attempt.asked,
        keys=tuple(sorted(attempt.reserved)),
        until=now + turn,
    )
    wiring.lake.metastore.turns.reserve(row.target, reservation)
    return reservation.until


def seniors(attempt: Attempt, keys: Iterable[str]) -> list[Reservation]:
    """Give the live reservations of others who asked earlier, over any of these keys."""
    wiring, row = attempt.wiring, attempt.row
    now = wiring.clock.now()
    mine = set(keys)
    asked = (attempt.asked or now, row.id)
    return [
        other
        for other in wiring.lake.metastore.turns.reservations(row.target)
        if other.run != row.id
        and (other.began, other.run) < asked
        and other.until > now
        and not mine.isdisjoint(other.keys)
    ]


def _await(attempt: Attempt, keys: frozenset[str], *, each: timedelta) -> bool:
    """Wait in line: the more are ahead, the seldomer it looks. ``each``: the least a turn takes."""
    clock = attempt.wiring.clock
    until, asked, waited = reserve(attempt, keys), clock.now(), False
    while ahead := seniors(attempt, keys):
        waited = True
        clock.sleep(_wait(each, len(ahead)))
        if clock.now() - asked > (until - asked) / 2:
            asked, until = clock.now(), reserve(attempt, keys)
    return waited


def _wait(each: timedelta, ahead: int) -> timedelta:
    return min(each * ahead, _LONGEST)
