"""Lists of children, stretches of time, what is new, YAML files, kept pages."""

import base64
import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rest_readers import START, read, record, records_of, setting

import headgate as hg
from headgate.clock import ManualClock
from headgate.errors import Invalid, NotFound, Refused
from headgate.retrying import Retry
from headgate.sources import RestSource
from headgate.sources.rest import party
from headgate.sources.rest.boundary import Boundary, instant_rank
from headgate.sources.rest.declaration import Since
from headgate.sources.rest.links import link_to
from headgate.testing.api_server import ApiServer, Asked, Listing, Told, told_json

RECORDS = [record(number) for number in range(1, 26)]


# -- parents and children


class Orders:
    """Orders, and the items of each, in pages."""

    def __init__(self, count: int) -> None:
        self.orders = Listing([record(number) for number in range(1, count + 1)])

    def __call__(self, asked: Asked) -> Told:
        if asked.path == "/orders/page":
            return self.orders(asked)
        order = int(asked.path.split("/")[2])
        return Listing([{"line": n} for n in range(order % 4)], size=2)(
            Asked(
                method="GET",
                path="/page",
                query=asked.query,
                headers=asked.headers,
                body=b"",
                target=asked.target,
                times=asked.times,
                number=asked.number,
                at_s=asked.at_s,
            )
        )


def children(url: str, **parent: object) -> dict[str, object]:
    return {
        "url": url,
        "path": "orders/{id}/items",
        "pages": {"by": "page", "total_pages": "pages"},
        "include": {"order": "id"},
        "batch_rows": 1,
        "parent": {"path": "orders/page", "records": "data", "pages": {"by": "page"}, **parent},
    }


def items(*orders: int) -> list[dict[str, object]]:
    return [{"order": order, "line": n} for order in orders for n in range(order % 4)]


@pytest.mark.parametrize("parallel", [1, 5])
def test_the_children_of_each_parent_come_in_the_parents_order(parallel: int) -> None:
    with ApiServer(Orders(23)) as server:
        batches = read({**children(server.url), "parallel": parallel})
    assert records_of(*batches) == items(*range(1, 24))
    positions = [at for batch in batches for at in batch.rows["_hg_position"].to_pylist()]
    assert positions[:4] == [
        "1, page 1, record 1",
        "2, page 1, record 1",
        "2, page 1, record 2",
        "3, page 1, record 1",
    ]


def test_children_are_read_on_with_their_parents() -> None:
    orders = Orders(12)
    with ApiServer(orders) as server:
        options = children(server.url, since={"field": "at", "parameter": "since"})
        first = read(options, appends=True)
        assert records_of(*first) == items(*range(1, 13))
        orders.orders.add(record(13), record(14))
        second = read(options, first[-1].cursor, appends=True)
        assert records_of(*second) == items(13, 14)
        assert read(options, second[-1].cursor, appends=True) == []


@pytest.mark.parametrize("other", [{"path": "api/v2/invoices"}, {"since": {"field": "seen"}}])
def test_another_list_is_not_read_on_from_where_the_last_was_left(other: object) -> None:
    with ApiServer(lambda _: told_json([{"id": 1, "at": 5, "seen": 1}])) as server:
        options = {"url": server.url, "records": "$", "since": {"field": "at"}}
        options = {**options, "path": "api/v1/orders"}
        first = read(options, appends=True)
        with pytest.raises(Refused) as refused:
            read({**options, **other}, first[-1].cursor, appends=True)
        assert refused.value.code == "cursor-of-another-list"
        assert read({**options, "path": "api/v2/orders/"}, first[-1].cursor, appends=True) == []


def test_a_key_that_several_records_have_passes_none_over() -> None:
    ties = [{"id": number, "at": number // 3} for number in range(12)]
    pages = {"by": "key", "field": "at", "parameter": "after"}
    options: dict[str, object] = {"path": "x", "records": "$"}

    def behind(field: str) -> Callable[[Asked], Told]:
        def answer(asked: Asked) -> Told:
            after = int(asked.query.get("after", "-1"))
            return told_json([each for each in ties if each[field] > after][:5])

        return answer

    with ApiServer(behind("at")) as server, pytest.raises(Invalid) as raised:
        read({"url": server.url, **options, "pages": pages})
    assert raised.value.code == "key-not-unique"
    with ApiServer(behind("id")) as server:
        found = read({"url": server.url, **options, "pages": {**pages, "field": "id"}})
        assert records_of(*found) == ties


def test_a_parent_without_the_field_is_named() -> None:
    with ApiServer(Orders(3)) as server, pytest.raises(Invalid, match="page 1, record 1") as raised:
        read({**children(server.url), "path": "orders/{number}/items"})
    assert raised.value.code == "parent-field-missing"


def test_a_childs_own_field_is_not_written_over() -> None:
    with ApiServer(Orders(3)) as server, pytest.raises(Invalid, match="'line' of its own"):
        read({**children(server.url), "include": {"line": "id"}})


def test_values_in_an_address_are_escaped() -> None:
    def answer(asked: Asked) -> Told:
        if asked.path == "/orders":
            return told_json([{"id": "a/../b?c=d&e#f"}])
        return told_json([{"at": asked.target}])

    with ApiServer(answer) as server:
        options = {
            "url": server.url,
            "path": "orders/{id}/items",
            "records": "$",
            "parent": {"path": "orders"},
        }
        [found] = records_of(*read(options))
    assert found == {"at": "/orders/a%2F..%2Fb%3Fc%3Dd%26e%23f/items"}


# -- stretches of time


def windows(**more: object) -> dict[str, object]:
    return {
        "path": "time",
        "batch_rows": 1,
        "pages": {
            "by": "time",
            "start": "2026-01-01T00:00:00Z",
            "step": "10s",
            "parameters": ["from", "to"],
            "pages": {"by": "page"},
            **more,
        },
    }


@pytest.mark.parametrize("parallel", [1, 4])
def test_stretches_of_time_are_read_up_to_now_and_taken_up_there(parallel: int) -> None:
    clock = ManualClock(START + timedelta(seconds=25, microseconds=3))
    listing = Listing(RECORDS, size=4)
    with ApiServer(listing) as server:
        options = {"url": server.url, "parallel": parallel, **windows()}
        first = read(options, appends=True, clock=clock)
        assert records_of(*first) == RECORDS[:24]  # the last is at 25 s, which is not over
        asked = {(each.query["from"], each.query["to"]) for each in server.asked}
        assert asked == {
            ("2026-01-01T00:00:00Z", "2026-01-01T00:00:10Z"),
            ("2026-01-01T00:00:10Z", "2026-01-01T00:00:20Z"),
            ("2026-01-01T00:00:20Z", "2026-01-01T00:00:25Z"),
        }
        clock.move(timedelta(minutes=1))
        listing.add(record(26), record(80))
        second = read(options, first[-1].cursor, appends=True, clock=clock)
        assert records_of(*second) == [record(25), record(26), record(80)]


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("iso", ("2025-12-30T00:00:00Z", "2025-12-31T00:00:00Z")),
        ("date", ("2025-12-30", "2025-12-31")),
        ("unix", ("1767052800", "1767139200")),
        ("unix_ms", ("1767052800000", "1767139200000")),
        ("%d.%m.%Y", ("30.12.2025", "31.12.2025")),
    ],
)
def test_instants_are_written_as_the_api_wants_them(form: str, expected: tuple[str, str]) -> None:
    with ApiServer(lambda _: told_json({"data": []})) as server:
        more = {"start": "2025-12-30", "step": "1d", "format": form, "pages": {"by": "page"}}
        read({"url": server.url, **windows(**more)}, clock=ManualClock(START))
    asked = [(each.query["from"], each.query["to"]) for each in server.asked]
    assert min(asked) == expected
    assert len(asked) == 2


def test_an_end_that_counts_in_is_put_back() -> None:
    clock = ManualClock(START + timedelta(seconds=10))
    with ApiServer(lambda _: told_json({"data": []})) as server:
        read({"url": server.url, **windows(closed="1s", lag="2s")}, clock=clock)
    assert [each.query["to"] for each in server.asked] == ["2026-01-01T00:00:07Z"]


# -- what is new


def test_only_records_at_the_boundary_are_remembered() -> None:
    many = [{"id": n, "at": "2026-01-01T00:00:00Z"} for n in range(500)]
    listing = Listing([*many, {"id": 900, "at": "2026-01-02T00:00:00+01:00"}], size=1000)
    options = {"path": "page", "since": {"field": "at", "parameter": "since"}, "batch_rows": 1}
    with ApiServer(listing) as server:
        options = {"url": server.url, **options}
        first = read(options, appends=True)
        assert len(first[-1].cursor.text()) < 250
        late = {"id": 901, "at": "2026-01-01T23:00:00.000Z"}  # the same instant
        listing.add(late)
        second = read(options, first[-1].cursor, appends=True)
        assert [asked.query.get("since") for asked in server.asked] == [
            None,
            "2026-01-02T00:00:00+01:00",
        ]
    assert records_of(*second) == []  # this server compares texts
    with ApiServer(listing) as server:
        options = {**options, "url": server.url, "since": {"field": "at"}}
        second = read(options, first[-1].cursor, appends=True)
        assert records_of(*second) == [late]
        assert read(options, second[-1].cursor, appends=True) == []


def test_equal_records_at_the_boundary_are_known_whatever_the_order_of_their_fields() -> None:
    told = [b'[{"id": 1, "at": 5}]', b'[{"at":5,"id":1},{"id":2,"at":5}]']
    answers = iter(told)
    with ApiServer(lambda _: Told(body=next(answers))) as server:
        options = {"url": server.url, "records": "$", "since": {"field": "at"}}
        first = read(options, appends=True)
        assert records_of(*read(options, first[-1].cursor, appends=True)) == [{"id": 2, "at": 5}]


def test_who_comes_late_is_read_within_the_overlap() -> None:
    listing = Listing([record(number) for number in (1, 20, 30)], size=50)
    since = {"field": "at", "parameter": "since", "overlap": "15s"}
    with ApiServer(listing) as server:
        options = {"url": server.url, "path": "page", "since": since}
        first = read(options, appends=True)
        listing.add(record(16), record(5))
        second = read(options, first[-1].cursor, appends=True)
        assert server.asked[-1].query["since"] == "2026-01-01T00:00:15Z"
        assert records_of(*second) == [record(16)]
        assert read(options, second[-1].cursor, appends=True) == []


def test_in_descending_order_pages_that_are_known_are_not_asked_for() -> None:
    listing = Listing(RECORDS[::-1], size=5)
    paging = {"by": "cursor", "next": "next"}
    with ApiServer(listing) as server:
        since = {"field": "at", "order": "descending"}
        options = {"url": server.url, "path": "cursor", "pages": paging, "since": since}
        options["parallel"] = 1  # what is asked for ahead is asked for by chance
        first = read(options, appends=True)
        asked = len(server.asked)
        listing.add(record(27), record(26), first=True)
        second = read(options, first[-1].cursor, appends=True)
    assert records_of(*second) == [record(27), record(26)]
    assert len(server.asked) - asked < 5


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ([{"at": 1}, {"id": 2}], "since-missing"),
        ([{"at": 1}, {"at": None}], "since-missing"),
        ([{"at": 1}, {"at": "2026-01-01"}], "since-mixed"),
        ([{"at": 2}, {"at": 1}], "since-unordered"),
    ],
)
def test_values_that_cannot_be_compared_are_refused(told: list[object], code: str) -> None:
    with ApiServer(lambda _: told_json(told)) as server, pytest.raises(Invalid) as raised:
        read({"url": server.url, "records": "$", "since": {"field": "at", "order": "ascending"}})
    assert raised.value.code == code
    assert raised.value.facts["position"] == "page 1, record 2"


def test_a_field_that_no_record_has_is_missed_at_once() -> None:
    with ApiServer(lambda _: told_json([{"id": 1}])) as server, pytest.raises(Invalid) as raised:
        read({"url": server.url, "records": "$", "since": {"field": "at"}})
    assert raised.value.code == "since-missing"


def test_what_could_not_be_read_on_is_not_appended() -> None:
    with (
        ApiServer(Listing(RECORDS)) as server,
        pytest.raises(Invalid, match="there twice") as raised,
    ):
        read({"url": server.url, "path": "page", "pages": {"by": "page"}}, appends=True)
    assert raised.value.code == "rest-cannot-append"
    assert not server.asked


def test_a_list_that_did_not_only_grow_is_not_read_on() -> None:
    listing = Listing(RECORDS)
    with ApiServer(listing) as server:
        options = {"url": server.url, "path": "page", "pages": {"by": "page"}, "grows": True}
        first = read(options, appends=True)
        listing.remove(3)
        with pytest.raises(Invalid, match="not where it was") as raised:
            read(options, first[-1].cursor, appends=True)
    assert raised.value.code == "list-not-grown"


def test_a_cursor_of_another_way_of_reading_is_refused() -> None:
    with ApiServer(Listing(RECORDS)) as server:
        options = {"url": server.url, "path": "page", "pages": {"by": "page"}}
        [batch] = read({**options, "grows": True})
        for other in ({"since": {"field": "at"}}, {"pages": windows()["pages"]}, {}):
            with pytest.raises(Invalid) as raised:
                read({**options, **other}, batch.cursor)
            assert raised.value.code == "cursor-of-another-source"


@given(
    st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=st.just(UTC)),  # noqa: DTZ001
    st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=st.just(UTC)),  # noqa: DTZ001
    st.integers(-14 * 60, 14 * 60),
)
def test_instants_compare_as_instants_in_whatever_zone(
    one: datetime, other: datetime, minutes: int
) -> None:
    zone = timezone(timedelta(minutes=minutes))
    first, second = instant_rank(one.isoformat()), instant_rank(other.astimezone(zone).isoformat())
    assert first is not None
    assert second is not None
    assert (first < second) == (one < other)
    assert (first == second) == (one == other)


# -- what an answer holds


@pytest.mark.parametrize(
    ("body", "path", "expected"),
    [
        ('[{"a": 1}, {"a": 2}]', "$", [{"a": 1}, {"a": 2}]),
        ('{"data": {"items": [{"a": 1}]}}', "data.items", [{"a": 1}]),
        ('{"data": {"x": {"a": 1}, "y": {"a": 2}}}', "data.*", [{"a": 1}, {"a": 2}]),
        ('{"d": [{"r": [{"a": 1}]}, {"r": [{"a": 2}]}]}', "d.*.r", [{"a": 1}, {"a": 2}]),
        ('{"data": null}', "data", []),
        ('{"data": {"a": 1}}', "data", [{"a": 1}]),
        ('\ufeff{"data": [{"a": "\\ud83d\\ude00 é"}]}', "data", [{"a": "😀 é"}]),
    ],
)
def test_records_are_found_by_their_path(body: str, path: str, expected: list[object]) -> None:
    with ApiServer(lambda _: Told(body=body.encode())) as server:
        assert records_of(*read({"url": server.url, "records": path})) == expected


def test_numbers_come_as_they_are_written() -> None:
    text = '{"a":12345678901234567890123,"b":1.10,"c":1e400}'
    with ApiServer(lambda _: Told(body=f"[{text}]".encode())) as server:
        [batch] = read({"url": server.url, "records": "$"})
    assert batch.rows["_hg_record"].to_pylist() == [text]


def test_what_is_no_object_goes_to_quarantine_with_its_place() -> None:
    with ApiServer(lambda _: told_json({"data": [{"a": 1}, 7, None, [2]]})) as server:
        [batch] = read({"url": server.url})
    assert records_of(batch) == [{"a": 1}]
    assert batch.unread is not None
    assert batch.unread.select(["_position", "_raw"]).to_pylist() == [
        {"_position": "page 1, record 2", "_raw": "7"},
        {"_position": "page 1, record 3", "_raw": "null"},
        {"_position": "page 1, record 4", "_raw": "[2]"},
    ]


def test_lines_are_records() -> None:
    told = Told(body=b'{"a": 1}\n\n{"a": 2}\r\n')
    with ApiServer(lambda _: told) as server:
        options = {"url": server.url, "format": "ndjson", "records": None}
        assert records_of(*read(options)) == [{"a": 1}, {"a": 2}]


def test_a_body_is_sent_with_the_pages_values_in_it() -> None:
    def answer(asked: Asked) -> Told:
        body = json.loads(asked.body)
        at = body["page"].get("after") or 0
        return told_json({"data": [{"n": at}], "next": at + 1 if at < 2 else None})

    with ApiServer(answer) as server:
        paging = {"by": "cursor", "next": "next", "parameter": "page.after"}
        query = {"filter": {"paid": True}, "page": {"size": 10}}
        options = {"url": server.url, "body": query, "pages": paging, "params": {"v": 2}}
        assert records_of(*read(options)) == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert json.loads(server.asked[1].body) == {
        "filter": {"paid": True},
        "page": {"size": 10, "after": 1},
    }
    assert {(asked.method, asked.target) for asked in server.asked} == {("POST", "/?v=2")}


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ('<http://x/2>; rel="next"', "http://x/2"),
        ("<http://x/1>; rel=prev, <http://x/2,3>; rel=next", "http://x/2,3"),
        ('<http://x/2>; title="a, \\"b\\"; rel=next"; rel="first  NEXT"', "http://x/2"),
        ('<http://x/2>; rel="prev"; rel="next"', None),
        ('junk, </2> ; REL = "next"', "/2"),
        ("", None),
        ("<http://x/2", None),
        ("<http://x/2>", None),
    ],
)
def test_links_are_read_as_the_rfc_has_them(header: str, expected: str | None) -> None:
    assert link_to(header, "next") == expected


# -- files, kept pages


SHOP = """
url: "{url}"
parallel: 2
resources:
  orders:
    path: orders/page
    records: data
    pages: {{by: page}}
  items:
    path: orders/{{id}}/items
    records: data
    parent: orders
    include: {{order: id}}
    pages: {{by: page, total_pages: pages}}
"""


def test_a_yaml_file_says_the_same(tmp_path: Path) -> None:
    with ApiServer(Orders(7)) as server:
        (tmp_path / "shop.yaml").write_text(SHOP.format(url=server.url))
        given = setting()
        at = type(given)(root=tmp_path, cache=tmp_path, clock=given.clock)
        source = RestSource({"file": "shop.yaml", "resource": "items"}, at)
        assert source.describe().title == f"{server.url}/orders/{{id}}/items"
        assert records_of(*source.read(None)) == items(*range(1, 8))
        with pytest.raises(NotFound, match="Did you mean items"):
            list(RestSource({"file": "shop.yaml", "resource": "item"}, at).read(None))
        circle = "url: http://x\nresources:\n  a: {parent: b}\n  b: {parent: a}\n"
        (tmp_path / "circle.yaml").write_text(circle)
        with pytest.raises(Invalid, match="'a' is its own parent"):
            list(RestSource({"file": "circle.yaml", "resource": "a"}, at).read(None))
        (tmp_path / "bad.yaml").write_text("url: [\n")
        with pytest.raises(Invalid, match=r"bad\.yaml:2"):
            list(RestSource({"file": "bad.yaml"}, at).read(None))


def test_kept_pages_can_be_cut_again_and_again() -> None:
    with ApiServer(Listing(RECORDS)) as server:
        options = {"path": "page", "pages": {"by": "page"}, "keep_pages": True}
        [batch] = read({"url": server.url, **options})
    rows = batch.rows.to_pylist()
    for _ in range(2):
        assert [each for row in rows for each in hg.page_records(row, "data")] == RECORDS
    with pytest.raises(NotFound, match="it has data"):
        list(hg.page_records(rows[0], "rows"))


def test_pages_that_hold_nothing_new_are_not_kept_again() -> None:
    listing = Listing(RECORDS)
    with ApiServer(listing) as server:
        since = {"field": "at", "parameter": "since"}
        options = {"path": "page", "pages": {"by": "page"}, "since": since, "keep_pages": True}
        first = read({"url": server.url, **options}, appends=True)
        assert read({"url": server.url, **options}, first[-1].cursor, appends=True) == []
        listing.add(record(50))
        [second] = read({"url": server.url, **options}, first[-1].cursor, appends=True)
    assert second.rows.num_rows == 1


def test_a_boundary_that_is_too_wide_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from headgate.sources.rest import boundary

    monkeypatch.setattr(boundary, "_MOST", 10)
    listing = Listing([{"id": n, "at": "2026-01-01"} for n in range(11)], size=50)
    with ApiServer(listing) as server, pytest.raises(Refused, match="11 records share"):
        read({"url": server.url, "path": "page", "since": {"field": "at"}}, appends=True)


def test_what_is_declared_is_json_and_takes_effect_in_the_step() -> None:
    step = hg.rest(
        "https://x",
        path="a",
        since={"field": "at", "overlap": timedelta(minutes=1)},
        auth={"bearer": hg.secret("shop")},
        retry=Retry(attempts=3),
    )
    assert step.source is not None
    assert json.loads(json.dumps(step.source.options)) == {
        "url": "https://x",
        "path": "a",
        "since": {"field": "at", "overlap": 60.0},
        "auth": {"bearer": {"secret": "shop"}},
        "retry": {"attempts": 3, "first": 0.5, "longest": 30.0, "patience": 900.0},
    }
    assert step.settings.mode == "append"
    assert hg.rest("https://x", since={"field": "at"}, key="id").settings.mode == "upsert"
    assert hg.rest("https://x").settings.mode == "replace"
    assert hg.rest("https://x", parent={"since": {"field": "at"}}).settings.mode == "append"
    assert hg.rest("https://x", pages={"by": "time"}, key="id").settings.mode == "upsert"


@given(
    st.lists(
        st.tuples(st.lists(st.integers(0, 3), max_size=6), st.randoms(use_true_random=False)),
        max_size=6,
    ),
    st.booleans(),
)
def test_whatever_shares_the_boundary_is_given_once(
    readings: list[tuple[list[int], random.Random]], instants: bool
) -> None:
    """Values never go back, but many records share one, and answers are in any order."""
    value, number, cursor = 0, 0, None
    there: list[dict[str, object]] = []
    given_: list[dict[str, object]] = []
    for steps, dice in readings:
        for step in steps:
            value, number = value + step, number + 1
            at = f"2026-01-01T00:00:{value:02d}Z" if instants else value
            there.append({"n": number, "at": at})
        boundary = Boundary.of(Since(field=("at",)), cursor)
        asked = boundary.asked()
        answer = [each for each in there if asked is None or each["at"] >= asked]  # type: ignore[operator]
        dice.shuffle(answer)
        given_.extend(
            each
            for each in answer
            if boundary.admit(msgspec.Raw(json.dumps(each).encode()), "here")
        )
        before, cursor = cursor, boundary.cursor()
        assert before is None or before <= cursor
    assert sorted(given_, key=lambda each: int(str(each["n"]))) == there


def test_a_record_that_moves_to_a_later_stretch_is_met_again() -> None:
    listing = Listing(RECORDS, size=50)
    changed = {"id": 3, "at": "2026-01-01T00:00:22Z"}

    def fault(asked: Asked) -> None:
        if asked.query["from"].endswith("10Z") and asked.times == 1:
            listing.remove(3)
            listing.add(changed)

    clock = ManualClock(START + timedelta(seconds=30))
    with ApiServer(listing, fault=fault) as server:
        options = {"url": server.url, "identity": "id", "parallel": 1, **windows()}
        first = read(options, clock=clock)
        assert record(3) in records_of(*first)
        second = read(options, first[-1].cursor, clock=clock)
    known = {each["id"]: each for each in (*records_of(*first), *records_of(*second))}
    assert known[3] == changed
    assert len(known) == 25


def test_numbers_beyond_floats_are_compared_as_they_are_written() -> None:
    told = Told(body=b'[{"id": 1, "at": 1, "x": 1e999}, {"id": 2, "at": "2", "x": 1}]')
    with ApiServer(lambda _: told) as server:
        options = {"url": server.url, "records": "$", "since": {"field": "at"}, "identity": "id"}
        [batch] = read(options, appends=True)
        assert batch.rows.num_rows == 2
        assert read(options, batch.cursor, appends=True) == []


@pytest.mark.parametrize("order", ["none", "descending"])
def test_a_start_is_kept_to_where_the_api_takes_none(order: str) -> None:
    listing = Listing(RECORDS[::-1], size=5)
    since = {"field": "at", "start": "2026-01-01T01:00:21+01:00", "order": order}
    with ApiServer(listing) as server:
        paging = {"by": "cursor", "next": "next"}
        options = {"url": server.url, "path": "cursor", "pages": paging, "since": since}
        batches = read({**options, "parallel": 1}, appends=True)
        assert records_of(*batches) == RECORDS[:19:-1]
        assert read(options, batches[-1].cursor, appends=True) == []


def test_numbers_as_texts_compare_as_numbers() -> None:
    told = [[{"n": "9"}, {"n": "10"}], [{"n": "10"}, {"n": "11"}, {"n": "9"}]]
    answers = iter(told)
    with ApiServer(lambda _: told_json(next(answers))) as server:
        options = {"url": server.url, "records": "$", "since": {"field": "n"}}
        first = read(options, appends=True)
        assert records_of(*read(options, first[-1].cursor, appends=True)) == [{"n": "11"}]


def test_an_answer_without_content_holds_no_record() -> None:
    with ApiServer(lambda _: Told(status=204)) as server:
        assert read({"url": server.url}) == []


def test_a_user_in_the_address_is_a_credential() -> None:
    with ApiServer(Listing(RECORDS)) as server:
        url = server.url.replace("://", "://anna:p%40ss@")
        assert (
            len(
                records_of(
                    *read({"url": url, "path": "link", "pages": {"by": "link"}, "records": "$"})
                )
            )
            == 25
        )
    signed = "Basic " + base64.b64encode(b"anna:p@ss").decode()
    assert {asked.headers["authorization"] for asked in server.asked} == {signed}


def test_memory_holds_no_more_pages_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(party, "HELD_BYTES", 1)
    with ApiServer(Listing(RECORDS, size=1)) as server:
        options = {"path": "page", "pages": {"by": "page", "total_pages": "pages"}, "parallel": 2}
        source = RestSource(
            {"url": server.url, "records": "data", "batch_rows": 1, **options}, setting()
        )
        reading = source.read(None)
        assert [len(records_of(next(reading))) for _ in range(3)] == [1, 1, 1]
        assert len(server.asked) <= 3 + 2 * 2 + 2
        assert len(records_of(*reading)) == 22
