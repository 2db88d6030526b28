"""Who may ask a host when; what it says of itself; what an address may say of us."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rest_readers import START, Lower, Upper

from headgate.clock import ManualClock, SystemClock
from headgate.errors import Invalid, Unavailable
from headgate.http import (
    Crew,
    Failed,
    Gate,
    asked_wait,
    followed,
    joined,
    origin,
    server_message,
    shown,
    with_query,
    without_query,
)
from headgate.retrying import Retry
from headgate.testing.api_server import http_date

SECOND = timedelta(seconds=1)
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


# -- gates


def turns(gate: Gate, requests: int, at: int = 0) -> list[int]:
    """Give when each of so many requests goes that all want to go at once."""
    gone = []
    for _ in range(requests):
        at = gate.opens(at)
        gate.take(at)
        gone.append(at)
    return gone


@given(st.integers(1, 5), st.integers(1, 30), st.integers(1, 1000))
def test_no_stretch_of_time_has_more_requests_than_the_rate(
    burst: int, requests: int, interval: int
) -> None:
    gate = Gate(interval=timedelta(microseconds=interval), burst=burst)
    gone = turns(gate, requests)
    for first in range(len(gone)):
        for last in range(first, len(gone)):
            assert last - first + 1 <= burst + (gone[last] - gone[first]) // interval


def test_one_refusal_stops_nobody_else() -> None:
    gate = Gate()
    gate.refused(900)
    assert gate.opens(10) == 10
    gate.answered()
    gate.refused(500)
    assert gate.opens(10) == 10


def test_two_refusals_in_a_row_stop_all_until_the_later_time() -> None:
    gate = Gate()
    gate.refused(900)
    gate.refused(500)
    assert gate.opens(10) == 900
    assert gate.opens(901) == 901


def test_a_host_that_wants_more_time_gets_it_from_the_next_request_on() -> None:
    gate = Gate(interval=SECOND)
    gate.take(0)
    gate.slow_down(3 * SECOND)
    assert gate.opens(0) == 3_000_000
    gate.slow_down(SECOND)
    assert turns(gate, 2) == [3_000_000, 6_000_000]


# -- waits that are asked for


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": http_date(NOW + 90 * SECOND)}, 90),
        ({"retry-after": http_date(NOW - 90 * SECOND)}, 0),
        ({"retry-after": http_date(NOW), "date": http_date(NOW - 4 * SECOND)}, 4),
        ({"retry-after": "Fri, 01 May 2026 12:00:30"}, 30),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "1e400"}, None),
        ({"retry-after": "99999999999999"}, 10**9),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "12"}, 12),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": f"{NOW.timestamp() + 8:.0f}"}, 8),
        ({"x-ratelimit-remaining": "3", "x-ratelimit-reset": "12"}, None),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "later"}, None),
    ],
)
def test_headers_say_how_long_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    wait = asked_wait(headers, NOW)
    assert wait == (None if seconds is None else timedelta(seconds=seconds))


@given(st.text(), st.text(), st.text())
def test_no_header_breaks_the_reading_of_it(after: str, remaining: str, reset: str) -> None:
    headers = {
        "retry-after": after,
        "x-ratelimit-remaining": remaining,
        "x-ratelimit-reset": reset,
        "date": reset,
    }
    wait = asked_wait(headers, NOW)
    assert wait is None or wait >= timedelta()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"message": "too\\n much"}', "too much"),
        (b'{"error": {"message": "a"}}', "a"),
        (b'{"errors": [{"detail": "b"}]}', "b"),
        (b'{"error": 3}', ""),
        (b"<html>", ""),
        (b"[" * 5000, ""),
        (b'{"message": "' + b"x" * 500 + b'"}', "x" * 200),
    ],
)
def test_a_servers_message_is_one_short_line(body: bytes, said: str) -> None:
    assert server_message(body) == said


# -- addresses


def test_addresses_are_put_together() -> None:
    assert joined("https://a/v1/", "/orders") == "https://a/v1/orders"
    assert joined("https://a/v1?k=1", "orders?x=2") == "https://a/v1/orders?k=1&x=2"
    assert joined("https://a/v1", "") == "https://a/v1"
    assert joined("https://a/v1", "https://b/x") == "https://b/x"
    assert followed("https://a/v1/x?p=1", "?p=2#f") == "https://a/v1/x?p=2"
    assert with_query("https://a/?x=1&y=2", {"x": ["3", "4"], "z": "ä b"}) == (
        "https://a/?y=2&x=3&x=4&z=%C3%A4%20b"
    )
    assert without_query("https://a/?x=1&key=2&e=", {"key"}) == "https://a/?x=1&e="


def test_what_is_shown_has_no_credentials() -> None:
    url = "https://user:word@a:8443/x?page=2&key=abc&access_token=def"
    assert shown(url, {"key"}) == "https://a:8443/x?page=2&key=***&access_token=***"
    assert shown("http://[bad") == "an address that cannot be read"


def test_an_origin_is_scheme_host_and_port() -> None:
    assert (
        origin("https://A.example/x")
        == origin("https://a.example:443/")
        != origin("http://a.example/")
    )
    for wrong in ("ftp://a/", "a/b", "https://", "http://a:port/", ""):
        with pytest.raises(Invalid):
            origin(wrong)


# -- crews


def crew(clock: ManualClock | SystemClock, width: int = 1, **retry: timedelta) -> Crew[str]:
    rule = Retry(attempts=3, **retry) if retry else Retry(attempts=3, first=SECOND)
    return Crew(width=width, clock=clock, random=Upper(), retry=rule, gate=lambda _: Gate())


def work(
    of: Crew[str], done: list[str], name: str, *failures: Failed
) -> tuple[Callable[[], str], Callable[[str | BaseException], None]]:
    left = list(failures)

    def do() -> str:
        if left:
            raise left.pop(0)
        return name

    return do, lambda result: done.append(str(result))


def wait_for(of: Crew[str], done: list[str], count: int) -> None:
    with of.lock:
        assert of.changed.wait_for(lambda: len(done) >= count, timeout=20)


def busy(asked: timedelta | None = None) -> Failed:
    return Failed(Unavailable("asked-too-often", "no"), again=True, asked=asked, busy=True)


def test_a_job_that_waits_holds_no_thread() -> None:
    clock = ManualClock(START)
    done: list[str] = []
    with crew(clock) as of:
        with of.lock:
            of.hand_in("h", *work(of, done, "a", busy(5 * SECOND)))
            for name in "bcd":
                of.hand_in("h", *work(of, done, name))
        wait_for(of, done, 4)
    assert done == ["b", "c", "d", "a"]
    assert clock.now() - START == 5 * SECOND


def test_a_job_fails_after_its_last_attempt_and_at_once_where_it_is_hopeless() -> None:
    clock = ManualClock(START)
    done: list[str] = []
    hopeless = Failed(Unavailable("server-failed", "hopeless"))
    with crew(clock) as of:
        of.hand_in("h", *work(of, done, "a", hopeless))
        wait_for(of, done, 1)
        assert clock.now() == START
        of.hand_in("h", *work(of, done, "b", busy(), busy(), busy(), busy()))
        wait_for(of, done, 2)
    assert done == ["hopeless", "no"]
    assert clock.now() - START == 3 * SECOND


def test_an_error_of_ours_reaches_who_waits() -> None:
    done: list[str] = []

    def wrong() -> str:
        raise ZeroDivisionError("ours")

    with crew(ManualClock(START)) as of:
        of.hand_in("h", wrong, lambda result: done.append(type(result).__name__))
        wait_for(of, done, 1)
    assert done == ["ZeroDivisionError"]


def test_many_jobs_are_each_done_once_by_many_threads() -> None:
    done: list[str] = []
    nothing = {"first": timedelta(), "longest": timedelta()}
    with crew(SystemClock(), width=8, **nothing) as of:
        for number in range(500):
            failures = [busy(timedelta())] * (number % 3)
            of.hand_in(f"h{number % 7}", *work(of, done, str(number), *failures))
        wait_for(of, done, 500)
    assert sorted(map(int, done)) == list(range(500))


def test_a_crew_closes_while_a_job_is_stuck_and_others_wait() -> None:
    stuck, entered = threading.Event(), threading.Event()
    done: list[str] = []

    def hang() -> str:
        entered.set()
        stuck.wait(20)
        return "late"

    of = crew(SystemClock(), width=2)
    of.hand_in("h", hang, lambda result: done.append(str(result)))
    of.hand_in("h", *work(of, done, "a", busy(timedelta(minutes=10))))
    assert entered.wait(20)
    of.close()
    stuck.set()
    assert done == []


def test_a_draw_of_nothing_waits_for_nothing() -> None:
    assert Retry().delay(1, Lower()) == timedelta()
