"""How often and how long: an injected schedule of failures gives exactly the documented waits."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.clock import ManualClock
from headgate.errors import Invalid
from headgate.retrying import Retry, retrying

SECOND = timedelta(seconds=1)
START = datetime(2026, 1, 1, tzinfo=UTC)
RETRY = Retry(attempts=5, first=SECOND, longest=5 * SECOND, patience=60 * SECOND)


class Busy(Exception):  # noqa: N818 - what the other side says
    """The other side cannot now; ``asked`` is the time it names."""

    def __init__(self, asked: timedelta | None = None) -> None:
        self.asked = asked


class Upper(Random):
    """Draws the upper end of every range."""

    def random(self) -> float:
        return 1.0


class Lower(Random):
    """Draws the lower end of every range."""

    def random(self) -> float:
        return 0.0


def failing(*failures: Exception, clock: ManualClock) -> tuple[Callable[[], str], list[timedelta]]:
    """Give a call that fails so, then succeeds, and the list of when it was made."""
    schedule: Iterator[Exception] = iter(failures)
    made: list[timedelta] = []

    def call() -> str:
        made.append(clock.now() - START)
        failure = next(schedule, None)
        if failure is not None:
            raise failure
        return "given"

    return call, made


def waits(
    *failures: Exception, random: Random | None = None, retry: Retry = RETRY
) -> list[timedelta]:
    clock = ManualClock(START)
    call, made = failing(*failures, clock=clock)
    given = retrying(
        call,
        again=lambda error: isinstance(error, Busy),
        asked=lambda error: error.asked if isinstance(error, Busy) else None,
        clock=clock,
        random=random or Upper(),
        retry=retry,
    )
    assert given == "given"
    return [after - before for before, after in pairwise(made)]


def test_the_longest_waits_double_up_to_the_limit() -> None:
    assert waits(Busy(), Busy(), Busy(), Busy()) == [SECOND, 2 * SECOND, 4 * SECOND, 5 * SECOND]


def test_the_wait_is_drawn_from_zero_up() -> None:
    assert waits(Busy(), Busy(), random=Lower()) == [timedelta(), timedelta()]


def test_equal_seeds_give_equal_waits() -> None:
    one, two = (waits(Busy(), Busy(), Busy(), random=Random(7)) for _ in range(2))
    assert one == two
    draw = Random(7)
    assert one == [most * SECOND * draw.random() for most in (1, 2, 4)]


def test_the_other_sides_time_is_kept_when_it_is_longer() -> None:
    assert waits(Busy(7 * SECOND), Busy(), Busy(30 * SECOND)) == [
        7 * SECOND,
        2 * SECOND,
        30 * SECOND,
    ]


def test_the_backoff_is_kept_when_the_other_side_says_now() -> None:
    assert waits(Busy(timedelta()), Busy(-SECOND), Busy(SECOND)) == [SECOND, 2 * SECOND, 4 * SECOND]


def test_the_last_failure_is_raised_as_it_is() -> None:
    clock = ManualClock(START)
    failures = [Busy() for _ in range(5)]
    call, made = failing(*failures, clock=clock)
    with pytest.raises(Busy) as raised:
        retrying(call, again=lambda _: True, clock=clock, random=Upper(), retry=RETRY)
    assert raised.value is failures[-1]
    assert len(made) == RETRY.attempts
    assert clock.now() - START == 12 * SECOND


def test_what_is_not_worth_it_is_raised_at_once() -> None:
    clock = ManualClock(START)
    call, made = failing(ValueError("wrong"), clock=clock)
    with pytest.raises(ValueError, match="wrong"):
        retrying(
            call,
            again=lambda error: isinstance(error, Busy),
            clock=clock,
            random=Upper(),
            retry=RETRY,
        )
    assert made == [timedelta()]


def test_nobody_waits_longer_than_the_patience() -> None:
    assert waits(Busy(60 * SECOND)) == [60 * SECOND]
    with pytest.raises(Busy):
        waits(Busy(61 * SECOND))


def test_one_attempt_never_waits() -> None:
    with pytest.raises(Busy):
        waits(Busy(), retry=Retry(attempts=1))


@pytest.mark.parametrize(
    "wrong",
    [
        {"attempts": 0},
        {"first": -SECOND},
        {"first": 2 * SECOND, "longest": SECOND},
        {"patience": -SECOND},
    ],
)
def test_what_cannot_be_followed_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(Invalid, match=r"attempts|wait") as raised:
        Retry(**wrong)  # type: ignore[arg-type]
    assert raised.value.code == "bad-retry"


@given(
    attempts=st.integers(1, 10**6),
    first=st.timedeltas(timedelta(), timedelta(days=1000)),
    more=st.timedeltas(timedelta(), timedelta(days=1000)),
    asked=st.none() | st.timedeltas(),
    seed=st.integers(),
)
def test_a_wait_is_never_below_what_was_asked_nor_drawn_above_the_limit(
    attempts: int, first: timedelta, more: timedelta, asked: timedelta | None, seed: int
) -> None:
    retry = Retry(attempts=attempts, first=first, longest=first + more)
    ceiling = retry.ceiling(attempts)
    assert retry.ceiling(1) == first
    assert first <= ceiling <= retry.longest
    assert ceiling <= retry.ceiling(attempts + 1)
    wait = retry.delay(attempts, Random(seed), asked)
    assert wait >= timedelta()
    assert asked is None or wait >= asked
    assert wait <= max(ceiling, asked or timedelta())
