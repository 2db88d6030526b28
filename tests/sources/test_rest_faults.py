"""An API that refuses, fails, drops, repeats and changes: all rows once, waits as documented."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_readers import START, Lower, Upper, read, record, records_of

from headgate.clock import ManualClock
from headgate.errors import HeadgateError, Unavailable
from headgate.testing.api_server import ApiServer, Asked, Fault, Listing, Told, http_date, told_json

RECORDS = [record(number) for number in range(1, 46)]
WAYS: Mapping[str, Mapping[str, object]] = {
    "page": {"path": "page", "pages": {"by": "page"}},
    "page, total": {"path": "page", "pages": {"by": "page", "total_pages": "pages"}},
    "offset": {"path": "offset", "pages": {"by": "offset", "size": 10}},
    "offset, total": {"path": "offset", "pages": {"by": "offset", "size": 10, "total": "total"}},
    "cursor": {"path": "cursor", "pages": {"by": "cursor", "next": "next"}},
    "header": {"path": "header", "pages": {"by": "cursor", "header": "X-Next"}},
    "link": {"path": "link", "pages": {"by": "link"}, "records": "$"},
    "url": {"path": "url", "pages": {"by": "url", "next": "next"}},
    "key": {"path": "key", "pages": {"by": "key", "field": "id"}},
}


def third_page(*answers: Told) -> Fault:
    """Answer so when the third of the pages is asked for, and asked for again."""
    targets: list[str] = []

    def fault(asked: Asked) -> Told | None:
        if asked.target not in targets:
            targets.append(asked.target)
        if targets.index(asked.target) != 2 or asked.times > len(answers):
            return None
        return answers[asked.times - 1]

    return fault


def waits(server: ApiServer) -> list[float]:
    """Give the seconds between requests that were not made at once."""
    return [
        round(after.at_s - before.at_s, 6)
        for before, after in pairwise(server.asked)
        if after.at_s > before.at_s
    ]


BUSY = Told(status=429)
FAULTS: Mapping[str, tuple[Told, ...]] = {
    "429": (BUSY,),
    "429, as often as it is tried": (BUSY, BUSY, BUSY, BUSY),
    "429, in 7 seconds": (Told(status=429, headers={"Retry-After": "7"}),),
    "429, now": (Told(status=429, headers={"Retry-After": "0"}),),
    "429, by a date": (
        Told(status=429, headers={"Retry-After": http_date(START + timedelta(seconds=90))}),
    ),
    "500, 502, 503": (Told(status=500), Told(status=502), Told(status=503)),
    "503, in 2 seconds": (Told(status=503, headers={"Retry-After": "2"}),),
    "dropped": (Told(drop=True), Told(drop=True)),
    "cut off": (Told(body=b'{"data": [{"id": 21}', claim=500, cut=20),),
    "cut off, of unknown length": (
        Told(
            body=b'{"data": [{"id": 21}', headers={"Content-Type": "application/json"}, unsized=True
        ),
    ),
}


@pytest.mark.parametrize("parallel", [1, 4])
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("way", WAYS)
def test_every_row_comes_once_and_in_order(way: str, fault: str, parallel: int) -> None:
    with ApiServer(Listing(RECORDS), fault=third_page(*FAULTS[fault])) as server:
        batches = read({"url": server.url, "parallel": parallel, **WAYS[way]})
    assert records_of(*batches) == RECORDS


@pytest.mark.parametrize(
    ("answers", "upper", "lower"),
    [
        ((BUSY,), [0.5], []),
        ((BUSY, BUSY, BUSY, BUSY), [0.5, 1, 2, 4], []),
        (FAULTS["429, in 7 seconds"], [7], [7]),
        (FAULTS["429, now"], [0.5], []),
        (FAULTS["429, by a date"], [90], [90]),
        (FAULTS["500, 502, 503"], [0.5, 1, 2], []),
        (FAULTS["503, in 2 seconds"], [2], [2]),
        (FAULTS["dropped"], [0.5, 1], []),
        (FAULTS["cut off"], [0.5], []),
    ],
)
def test_waits_are_the_documented_ones(
    answers: tuple[Told, ...], upper: list[float], lower: list[float]
) -> None:
    for random, expected in ((Upper(), upper), (Lower(), lower)):
        clock = ManualClock(START)
        with ApiServer(Listing(RECORDS), fault=third_page(*answers), clock=clock) as server:
            options = {"url": server.url, "parallel": 1, **WAYS["cursor"]}
            assert records_of(*read(options, clock=clock, random=random)) == RECORDS
        assert waits(server) == expected


def test_a_date_is_measured_by_the_servers_own_clock() -> None:
    ahead = timedelta(hours=3)  # its clock, and therefore its dates
    told = Told(
        status=429,
        headers={
            "Date": http_date(START + ahead),
            "Retry-After": http_date(START + ahead + timedelta(seconds=5)),
        },
    )
    clock = ManualClock(START)
    with ApiServer(Listing(RECORDS), fault=third_page(told), clock=clock) as server:
        read({"url": server.url, "parallel": 1, **WAYS["cursor"]}, clock=clock)
    assert waits(server) == [5]


def test_who_asks_to_wait_too_long_is_not_waited_for() -> None:
    told = Told(status=429, headers={"Retry-After": "3600"})
    clock = ManualClock(START)
    with (
        ApiServer(Listing(RECORDS), fault=third_page(told), clock=clock) as server,
        pytest.raises(Unavailable, match="3600 seconds") as raised,
    ):
        read({"url": server.url, "parallel": 1, **WAYS["cursor"]}, clock=clock)
    assert raised.value.code == "asked-too-often"
    assert raised.value.facts["page"] == "page 3"
    assert clock.now() == START


def test_after_the_last_attempt_the_failure_names_address_and_page() -> None:
    with (
        ApiServer(Listing(RECORDS), fault=third_page(*[Told(status=500)] * 9)) as server,
        pytest.raises(Unavailable, match=r"Page 3: http://.*page=3 answered 500") as raised,
    ):
        read({"url": server.url, "parallel": 1, **WAYS["page"]})
    assert raised.value.code == "server-failed"
    assert [asked.times for asked in server.asked if asked.query["page"] == "3"] == [1, 2, 3, 4, 5]


def test_two_refusals_in_a_row_stop_the_whole_host() -> None:
    clock = ManualClock(START)

    def fault(asked: Asked) -> Told | None:
        refused = asked.query["page"] in {"2", "3"} and asked.times == 1
        return Told(status=429, headers={"Retry-After": "9"}) if refused else None

    with ApiServer(Listing(RECORDS), fault=fault, clock=clock) as server:
        options = {"url": server.url, "parallel": 1, **WAYS["page, total"]}
        assert records_of(*read(options, clock=clock)) == RECORDS
    late = [asked for asked in server.asked if asked.at_s > 0]
    assert {asked.at_s for asked in late} == {9}
    assert {"2", "3", "4", "5"} == {asked.query["page"] for asked in late}


def test_the_rate_is_kept() -> None:
    clock = ManualClock(START)
    with ApiServer(Listing(RECORDS), clock=clock) as server:
        options = {"url": server.url, "rate": "30/min", "parallel": 1, **WAYS["page, total"]}
        assert records_of(*read(options, clock=clock)) == RECORDS
    assert [asked.at_s for asked in server.asked] == [0, 2, 4, 6, 8]


def test_a_burst_may_go_at_once_and_is_saved_up_again() -> None:
    clock = ManualClock(START)
    rate = {"requests": 1, "per": "10s", "burst": 3}
    with ApiServer(Listing(RECORDS), clock=clock) as server:
        options = {"url": server.url, "rate": rate, "parallel": 1, **WAYS["page, total"]}
        read(options, clock=clock)
    assert [asked.at_s for asked in server.asked] == [0, 0, 0, 10, 20]


# -- what does not advance


def again(number: int, times: int) -> Fault:
    """Answer the page with the one before it, that often."""
    listing = Listing(RECORDS)
    targets: list[Asked] = []

    def fault(asked: Asked) -> Told | None:
        if asked.target not in [each.target for each in targets]:
            targets.append(asked)
        place = [each.target for each in targets].index(asked.target)
        if place != number - 1 or asked.times > times:
            return None
        return listing(targets[place - 1])

    return fault


@pytest.mark.parametrize(
    "way", ["page", "page, total", "offset", "offset, total", "cursor", "url", "link", "key"]
)
def test_a_page_that_is_given_again_by_mistake_is_asked_for_again(way: str) -> None:
    with ApiServer(Listing(RECORDS), fault=again(3, 2)) as server:
        batches = read({"url": server.url, "parallel": 1, **WAYS[way]})
    assert records_of(*batches) == RECORDS


@pytest.mark.parametrize(
    ("way", "code"),
    [
        ("page", "page-repeated"),
        ("offset, total", "page-repeated"),
        ("cursor", "cursor-standing"),
        ("url", "cursor-standing"),
        ("link", "cursor-standing"),
        ("key", "cursor-standing"),
    ],
)
def test_a_list_that_does_not_advance_is_an_error(way: str, code: str) -> None:
    with (
        ApiServer(Listing(RECORDS), fault=again(3, 99)) as server,
        pytest.raises(Unavailable) as raised,
    ):
        read({"url": server.url, "parallel": 1, **WAYS[way]})
    assert raised.value.code == code
    assert raised.value.facts["page"] == "page 3"


def test_a_parameter_that_the_api_ignores_is_an_error() -> None:
    with (
        ApiServer(Listing(RECORDS)) as server,
        pytest.raises(Unavailable, match="the parameter of pages=") as raised,
    ):
        read({"url": server.url, "path": "page", "pages": {"by": "page", "parameter": "p"}})
    assert raised.value.code == "page-repeated"


def test_a_cursor_that_runs_in_a_circle_is_an_error() -> None:
    def answer(asked: Asked) -> Told:
        at = int(asked.query.get("cursor", "0"))
        return told_json({"data": [{"id": at}], "next": str(at + 1 if at < 3 else 1)})

    with ApiServer(answer) as server, pytest.raises(Unavailable) as raised:
        read({"url": server.url, **WAYS["cursor"], "path": ""})
    assert raised.value.code == "cursor-standing"
    assert len(server.asked) == 4 + 4


def test_a_last_page_that_is_given_for_ever_is_the_end_where_that_is_said() -> None:
    def answer(asked: Asked) -> Told:
        number = min(int(asked.query["page"]), 3)
        return told_json({"data": [{"id": number, "n": n} for n in range(2)]})

    with ApiServer(answer) as server:
        paging = {"by": "page", "stop": "repeated"}
        assert len(records_of(*read({"url": server.url, "pages": paging}))) == 6


@pytest.mark.parametrize("stop", ["short", "missing"])
def test_what_ends_a_list_can_be_said(stop: str) -> None:
    def answer(asked: Asked) -> Told:
        number = int(asked.query["page"])
        if number > 3:
            return Told(status=404)
        return told_json({"data": [{"id": number, "n": n} for n in range(2 if number < 3 else 1)]})

    with ApiServer(answer) as server:
        options = {"url": server.url, "pages": {"by": "page", "size": 2, "stop": stop}}
        assert len(records_of(*read(options))) == 5
        with pytest.raises(HeadgateError, match="404"):
            read({"url": server.url, "pages": {"by": "page", "size": 2}})


@pytest.mark.parametrize("way", ["offset", "offset, total"])
def test_an_api_that_gives_smaller_pages_than_asked_for_loses_nothing(way: str) -> None:
    paging = {**WAYS[way]["pages"], "size": 20}  # type: ignore[dict-item]
    with ApiServer(Listing(RECORDS)) as server, pytest.raises(HeadgateError) as raised:
        read({"url": server.url, "path": "offset", "pages": paging})
    assert raised.value.code == "page-short"


# -- a list that changes while it is read


def when(page: int, change: Callable[[], None], parameter: str = "page") -> Fault:
    """Change something just before a page is answered for the first time."""

    def fault(asked: Asked) -> None:
        if asked.times == 1 and asked.query.get(parameter) == str(page):
            change()

    return fault


def test_rows_that_come_before_the_others_move_none_twice() -> None:
    listing = Listing(RECORDS)
    added = [record(number) for number in range(90, 93)]
    fault = when(3, lambda: listing.add(*added, first=True))
    with ApiServer(listing, fault=fault) as server:
        options = {"url": server.url, "parallel": 1, "identity": "id", **WAYS["page, total"]}
        assert records_of(*read(options)) == RECORDS


def test_without_a_name_for_records_a_list_that_moved_is_refused() -> None:
    listing = Listing(RECORDS)
    fault = when(3, lambda: listing.add(record(99), first=True))
    with ApiServer(listing, fault=fault) as server, pytest.raises(Unavailable) as raised:
        read({"url": server.url, "parallel": 1, "since": {"field": "id"}, **WAYS["page, total"]})
    assert raised.value.code == "list-changed"
    assert "page 3 " in str(raised.value).lower()


def test_rows_that_go_move_none_past_the_reader() -> None:
    listing = Listing(RECORDS)
    fault = when(3, lambda: listing.remove(1, 2, 3))
    paging = {"by": "page", "size": 10, "total": "total"}
    options = {"path": "page", "pages": paging, "parallel": 1}
    with ApiServer(listing, fault=fault) as server:
        got = records_of(*read({"url": server.url, "identity": "id", **options}))
    assert sorted(got, key=lambda each: int(str(each["id"]))) == RECORDS
    listing = Listing(RECORDS)
    fault = when(3, lambda: listing.remove(1, 2, 3))
    with ApiServer(listing, fault=fault) as server, pytest.raises(Unavailable) as raised:
        read({"url": server.url, **options})
    assert raised.value.code == "list-changed"


def test_a_row_that_changes_and_moves_is_given_by_the_next_reading() -> None:
    listing = Listing(RECORDS)
    changed = {"id": 1, "at": "2026-01-01T02:00:00Z"}

    def change() -> None:
        listing.remove(1)
        listing.add(changed)

    options = {
        "identity": "id",
        "since": {"field": "at", "parameter": "since"},
        "path": "offset",
        "pages": {"by": "offset", "size": 10},
        "parallel": 1,
    }
    with ApiServer(listing, fault=when(40, change, "offset")) as server:
        options = {"url": server.url, **options}
        first = read(options)
        assert [each["id"] for each in records_of(*first)].count(1) == 1
        second = read(options, first[-1].cursor)
    known = {each["id"]: each for each in (*records_of(*first), *records_of(*second))}
    assert known[1] == changed


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_whatever_fails_every_row_comes_once(data: st.DataObject) -> None:
    way = data.draw(st.sampled_from(sorted(WAYS)))
    kinds = {
        "429": BUSY,
        "0": FAULTS["429, now"][0],
        "500": Told(status=500),
        "drop": Told(drop=True),
        "cut": FAULTS["cut off"][0],
    }
    schedule = data.draw(st.lists(st.sampled_from([None, None, *kinds]), max_size=60))
    in_a_row: dict[str, int] = {}

    def fault(asked: Asked) -> Told | None:
        kind = schedule[asked.number - 1] if asked.number <= len(schedule) else None
        if kind is None or in_a_row.get(asked.target, 0) >= 4:
            return None
        in_a_row[asked.target] = in_a_row.get(asked.target, 0) + 1
        return kinds[kind]

    count = data.draw(st.integers(0, 35))
    with ApiServer(Listing(RECORDS[:count]), fault=fault) as server:
        parallel = data.draw(st.integers(1, 5))
        batches = read({"url": server.url, "parallel": parallel, **WAYS[way]})
    assert records_of(*batches) == RECORDS[:count]
