"""Trying again: how often, and how long to wait in between. One rule for all that is outside.

The wait before attempt n + 1 is drawn evenly from zero to ``first * 2**(n - 1)``, at most to
``longest`` ("full jitter": those who failed together do not come back together). Where the other
side names a time (``Retry-After``), it is the longer of the two: never earlier than it asked for,
and never without backing off because it said 0.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Final, TypeVar

from headgate.clock import Clock
from headgate.errors import Invalid

_Given = TypeVar("_Given")
_MOST_DOUBLINGS: Final = 62


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often a call is made, and how long is waited in between.

    ``attempts`` counts the first one: 1 never tries again. ``first`` and ``longest`` bound the
    waits that are drawn. ``patience`` is the longest time the other side may ask for; who asks for
    more is not waited for, and the call has failed.
    """

    attempts: int = 5
    first: timedelta = timedelta(seconds=0.5)
    longest: timedelta = timedelta(seconds=30)
    patience: timedelta = timedelta(minutes=15)

    def __post_init__(self) -> None:
        """Check that it can be followed.

        Raises:
            Invalid: ``bad-retry``.
        """
        zero = timedelta()
        if self.attempts < 1:
            raise Invalid(
                "bad-retry", f"{self.attempts} attempts are none.", hint="1 never tries again."
            )
        if self.first < zero or self.longest < self.first or self.patience < zero:
            raise Invalid(
                "bad-retry",
                f"Nobody can wait from {self.first} to {self.longest}, or {self.patience} if asked"
                " to.",
                hint="Write 0 <= first <= longest, and 0 <= patience.",
            )

    def ceiling(self, number: int) -> timedelta:
        """Give the longest wait that is drawn after attempt ``number`` (1 is the first)."""
        doubled: int = 1 << min(max(number - 1, 0), _MOST_DOUBLINGS)
        if self.first and doubled >= self.longest / self.first:
            return self.longest
        return self.first * doubled

    def delay(self, number: int, random: Random, asked: timedelta | None = None) -> timedelta:
        """Draw the wait after attempt ``number`` failed; ``asked`` is what the other side named."""
        drawn = self.ceiling(number) * random.random()
        return drawn if asked is None else max(drawn, asked)


def nothing_asked(_: Exception) -> timedelta | None:
    """Say that the other side named no time."""
    return None


def retrying(
    call: Callable[[], _Given],
    *,
    again: Callable[[Exception], bool],
    clock: Clock,
    random: Random,
    retry: Retry,
    asked: Callable[[Exception], timedelta | None] = nothing_asked,
) -> _Given:
    """Call until it succeeds, as often as ``retry`` says; give what the call gives.

    ``again`` says of an exception whether the same call may succeed later, ``asked`` what time the
    other side named in it. What is not worth another attempt, the last attempt's exception, and
    one that asks for more than ``retry.patience`` are raised as they are.
    """
    number = 1
    while True:
        try:
            return call()
        except Exception as error:
            if number >= retry.attempts or not again(error):
                raise
            named = asked(error)
            if named is not None and named > retry.patience:
                raise
        clock.sleep(retry.delay(number, random, named))
        number += 1
