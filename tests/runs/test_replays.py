"""Quarantined rows come back: exactly those, exactly once, into whatever kind of table."""

import json

import pyarrow as pa
import pytest
from scripted import maker, unread
from workplaces import Workplace

from headgate.errors import HeadgateError, Invalid, NotFound, Refused
from headgate.runs import Choice, RunResult
from headgate.source_columns import POSITION, RECORD
from headgate.sources import Batch, Cursor

SHOP = """
from typing import Annotated
import headgate as hg

class Order(hg.Contract{rules}):
    id: int
    amount: Annotated[int, hg.between(0, {most}, severity="quarantine")]

orders = hg.source("scripted", contract=Order, mode="{mode}"{key})
total = hg.sql_step("select sum(amount)::bigint as total, count(*) as n from orders")
"""
MODES = ["append", "upsert", "replace"]


def shop(most: int = 100, mode: str = "append", rules: str = "") -> str:
    key = ', key="id"' if mode == "upsert" else ""
    return SHOP.format(most=most, mode=mode, rules=rules, key=key)


ROWS = pa.table(
    {"id": [1, 2, 3, 4], "amount": [5, 500, 700, 9], POSITION: ["a:1", "a:2", "a:3", "a:4"]}
)


def given(place: Workplace, *items: object, text: str | None = None) -> None:
    place.sources["scripted"] = maker(items or (ROWS,))
    place.hall.run(place.pipeline(text or shop()), target="main")


def replay(
    place: Workplace, text: str | None, because: str | None = None, where: str | None = None
) -> RunResult:
    pipeline = place.pipeline(text) if text else None
    choice = Choice(table="orders", because=because, where=where)
    return place.hall.replay(choice, target="main", pipeline=pipeline)


def ids(place: Workplace, table: str = "orders") -> list[object]:
    return [row["id"] for row in place.rows(table)]


def aside(place: Workplace) -> list[tuple[object, ...]]:
    names = ("position", "attempt", "payload")
    rows = place.rows("_quarantine.orders")
    return sorted((tuple(row[name] for name in names) for row in rows), key=str)


@pytest.mark.parametrize("mode", MODES)
def test_rows_that_a_new_rule_accepts_come_back_and_those_it_rejects_stay(
    place: Workplace, mode: str
) -> None:
    given(place, text=shop(mode=mode))
    assert aside(place) == [
        ("a:2", 1, '{"id":2,"amount":500}'),
        ("a:3", 1, '{"id":3,"amount":700}'),
    ]
    result = replay(place, shop(600, mode))
    assert ids(place) == [1, 2, 4]
    assert aside(place) == [("a:3", 2, '{"id":3,"amount":700}')]
    assert place.rows("total") == [{"total": 514, "n": 3}]
    [step] = [step for step in result.steps if step.step == "orders"]
    assert (step.rows_in, step.rows_out, step.rows_quarantined) == (2, 1, 1)
    replay(place, shop(1000, mode))
    assert ids(place) == [1, 2, 3, 4]
    assert aside(place) == []


@pytest.mark.parametrize("mode", MODES)
def test_a_run_after_a_replay_neither_undoes_nor_repeats_it(place: Workplace, mode: str) -> None:
    given(place, text=shop(mode=mode))
    place.hall.edit(Choice(table="orders", where="id = 2"), target="main", values=["amount = 50"])
    replay(place, shop(mode=mode))
    assert ids(place) == [1, 2, 4]
    if mode == "replace":  # a script cannot know what it holds, so the table is made anew
        return
    place.hall.run(place.pipeline(shop(mode=mode)), target="main")
    assert ids(place) == [1, 2, 4]
    assert [row[0] for row in aside(place)] == ["a:3"]


def test_only_the_chosen_rows_are_replayed(place: Workplace) -> None:
    given(place)
    replay(place, shop(1000), where="amount > 600 and _position = 'a:3'")
    assert ids(place) == [1, 3, 4]
    replay(place, shop(1000), because="amount between 0 and 100")
    assert ids(place) == [1, 2, 3, 4]


def test_nothing_to_replay_is_told_before_anything_begins(place: Workplace) -> None:
    given(place)
    with pytest.raises(NotFound, match="No row of orders where id = 77 is in quarantine"):
        replay(place, shop(), where="id = 77")
    with pytest.raises(HeadgateError, match="there is no column amout; did you mean amount"):
        replay(place, shop(), where="amout = 77")
    assert place.hall.open_runs() == ()


def test_a_reason_of_a_discard_is_in_the_commit(place: Workplace) -> None:
    given(place)
    result = place.hall.discard(
        Choice(table="orders", where="id = 3"), target="main", reason="a test order"
    )
    assert result.commit.record.message == "discard orders where id = 3: a test order"
    assert [row[0] for row in aside(place)] == ["a:2"]
    assert ids(place) == [1, 4]
    with pytest.raises(HeadgateError, match="nobody would know why"):
        place.hall.discard(Choice(table="orders"), target="main", reason=" ")


def test_rows_of_a_transaction_come_back_as_they_were_written(place: Workplace) -> None:
    given(place, text=shop(mode="upsert"))
    with place.hall.transaction("main") as tx:
        rows = pa.table({"id": [1, 9], "amount": [101, 102]})
        tx.write("orders", rows, mode="upsert", key="id")
    assert ids(place) == [1, 4]
    choice = Choice(table="orders", where="id in (1, 9)")
    place.hall.edit(choice, target="main", values=["amount = amount - 100"])
    replay(place, None, where="id in (1, 9)")
    assert [(row["id"], row["amount"]) for row in place.rows("orders")] == [(1, 1), (4, 9), (9, 2)]


def test_records_come_back_as_records(place: Workplace) -> None:
    texts = ['{"id": 1, "amount": 5}', '{"id": 2, "amount": 500, "more": {"a": [1]}}', "{oops"]
    rows = pa.table({RECORD: texts, POSITION: ["b:1", "b:2", "b:3"]})
    given(place, rows)
    assert ids(place) == [1]
    replay(place, shop(1000))
    assert ids(place) == [1, 2]
    assert [row[:2] for row in aside(place)] == [("b:3", 2)]
    mended = Choice(table="orders", where="_position = 'b:3'")
    place.hall.edit(mended, target="main", values=["""raw = '{"id": 3, "amount": 4}'"""])
    replay(place, shop(1000))
    assert ids(place) == [1, 2, 3]
    assert aside(place) == []


def test_a_text_that_is_no_row_is_made_one_by_its_values(place: Workplace) -> None:
    cursor = Cursor(kind="scripted", sequence=(1,))
    batch = Batch(rows=ROWS, cursor=cursor, unread=unread(("c:7", "7;x", "no number")))
    given(place, batch)
    with pytest.raises(Refused, match="None of the 1 chosen rows of orders is a row"):
        replay(place, shop(), because="malformed")
    choice = Choice(table="orders", because="malformed")
    place.hall.edit(choice, target="main", values=["id = 7", "amount = length(raw)"])
    replay(place, shop(), because="malformed")
    assert ids(place) == [1, 4, 7]


def test_mended_lines_of_a_file_are_read_as_the_file_is_written(place: Workplace) -> None:
    (place.root / "orders.csv").write_text("id;amount;note\n1;5;'a'\n2;6\n3;7;'b;c';4\n4;8;\n")
    text = """
import headgate as hg

class Order(hg.Contract):
    id: int
    amount: int
    note: str | None

orders = hg.files("*.csv", contract=Order, delimiter=";", quote="'", mode="append")
"""
    place.hall.run(place.pipeline(text), target="main")
    assert ids(place) == [1, 4]
    assert [row[0] for row in aside(place)] == ["orders.csv:3", "orders.csv:4"]
    with pytest.raises(Refused, match="Expected Number of Columns: 3 Found: 2"):
        replay(place, text)
    lines = [("orders.csv:3", "2;6;"), ("orders.csv:4", "3;7;''b;c''")]
    for position, line in lines:
        choice = Choice(table="orders", where=f"_position = '{position}'")
        place.hall.edit(choice, target="main", values=[f"raw = '{line}'"])
    replay(place, text)
    assert place.rows("orders") == [
        {"id": 1, "amount": 5, "note": "a"},
        {"id": 2, "amount": 6, "note": None},
        {"id": 3, "amount": 7, "note": "b;c"},
        {"id": 4, "amount": 8, "note": None},
    ]
    assert aside(place) == []


def test_a_text_that_is_replayed_in_vain_keeps_its_reason(place: Workplace) -> None:
    cursor = Cursor(kind="scripted", sequence=(1,))
    texts = unread(("c:7", "7;x", "no number"), ("c:8", '{"id": 8, "amount": }', "no JSON"))
    given(place, Batch(rows=ROWS, cursor=cursor, unread=texts))
    replay(place, shop())
    rows = sorted(place.rows("_quarantine.orders"), key=lambda row: str(row["position"]))
    reasons = [json.loads(str(row["payload"])).get("reason") for row in rows]
    assert [reason for reason in reasons if reason] == ["no number", "no JSON"]
    choice = Choice(table="orders", where="_position = 'c:8'")
    place.hall.edit(choice, target="main", values=["raw = raw || '}'"])
    replay(place, shop())
    payloads = [str(row["payload"]) for row in place.rows("_quarantine.orders")]
    assert any("it is not JSON: " in payload for payload in payloads)


@pytest.mark.parametrize("column", ["amont", "_position", "_id"])
def test_only_columns_that_there_are_can_be_set(place: Workplace, column: str) -> None:
    given(place)
    with pytest.raises(Invalid, match=f"There is no column '{column}' to set") as caught:
        place.hall.edit(Choice(table="orders"), target="main", values=[f"{column} = 1"])
    assert caught.value.code == "bad-assignment"
    if column == "amont":
        assert caught.value.hint == "Did you mean amount?"


def test_a_column_of_the_contract_to_come_can_be_set(place: Workplace) -> None:
    given(place)
    hall, choice = place.hall, Choice(table="orders")
    hall.edit(choice, target="main", values=["region = 'n'"], declared=lambda: ["region"])
    payloads = [json.loads(str(row["payload"])) for row in place.rows("_quarantine.orders")]
    assert {payload["region"] for payload in payloads} == {"n"}


def test_two_replays_at_once_give_each_row_once(place: Workplace) -> None:
    given(place)
    raced: list[bool] = []

    def race(event: object) -> None:
        if type(event).__name__ == "StepFinished" and not raced:
            raced.append(True)
            replay(place, shop(600))

    place.also.append(race)
    result = replay(place, shop(600))
    assert ids(place) == [1, 2, 4]
    assert place.rows("total") == [{"total": 514, "n": 3}]
    assert aside(place) == [("a:3", 3, '{"id":3,"amount":700}')]
    assert result.losses >= 1


def test_what_is_quarantined_meanwhile_stays(place: Workplace) -> None:
    given(place)
    raced: list[bool] = []

    def race(event: object) -> None:
        if type(event).__name__ == "StepFinished" and not raced:
            raced.append(True)
            more = pa.table({"id": [8], "amount": [800], POSITION: ["a:8"]})
            given(place, ROWS, more, text=shop(600))

    place.also.append(race)
    replay(place, shop(600), where="id = 2")
    assert ids(place) == [1, 2, 4]
    assert [row[0] for row in aside(place)] == ["a:3", "a:8"]


def test_an_older_row_never_takes_the_place_of_a_newer_one(place: Workplace) -> None:
    given(place, text=shop(mode="upsert"))
    later = pa.table({"id": [2, 1], "amount": [7, 8], POSITION: ["d:1", "d:2"]})
    given(place, ROWS, later, text=shop(mode="upsert"))
    place.hall.edit(Choice(table="orders"), target="main", values=["amount = 50"])
    replay(place, shop(mode="upsert"))
    assert {row["id"]: row["amount"] for row in place.rows("orders")} == {1: 8, 2: 7, 3: 50, 4: 9}
    assert [row[0] for row in aside(place)] == ["a:2"]
    with pytest.raises(Refused, match="in the place of newer ones, in 1 row of orders"):
        replay(place, shop(mode="upsert"))
    place.hall.replay(
        Choice(table="orders", overwrite=True),
        target="main",
        pipeline=place.pipeline(shop(mode="upsert")),
    )
    assert {row["id"]: row["amount"] for row in place.rows("orders")}[2] == 50
    assert aside(place) == []


def test_of_two_rows_of_a_key_the_one_set_aside_last_comes_back(place: Workplace) -> None:
    first = pa.table({"id": [1, 2], "amount": [5, 500], POSITION: ["a:1", "a:2"]})
    later = pa.table({"id": [2], "amount": [600], POSITION: ["b:1"]})
    given(place, first, text=shop(mode="upsert"))
    given(place, first, later, text=shop(mode="upsert"))
    with pytest.raises(Refused, match="newer ones"):
        replay(place, shop(1000, "upsert"), where="amount = 500")
    replay(place, shop(1000, "upsert"))
    assert {row["id"]: row["amount"] for row in place.rows("orders")} == {1: 5, 2: 600}
    assert [row[0] for row in aside(place)] == ["a:2"]
    with pytest.raises(Refused, match="newer ones"):
        replay(place, shop(1000, "upsert"))


def test_of_two_rows_of_a_key_that_were_read_together_nobody_knows_the_later(
    place: Workplace,
) -> None:
    both = pa.table({"id": [2, 2], "amount": [500, 600], POSITION: ["a:1", "a:2"]})
    given(place, both, text=shop(mode="upsert"))
    with pytest.raises(HeadgateError, match="more than once"):
        replay(place, shop(1000, "upsert"))
    replay(place, shop(1000, "upsert"), where="amount = 600")
    assert place.rows("orders") == [{"id": 2, "amount": 600}]
    assert [row[0] for row in aside(place)] == ["a:1"]


def test_a_row_that_was_deleted_since_does_not_come_back(place: Workplace) -> None:
    given(place, text=shop(mode="upsert"))
    given(
        place,
        ROWS,
        pa.table({"id": [1], "amount": [900], POSITION: ["e:1"]}),
        text=shop(mode="upsert"),
    )
    with place.hall.transaction("main") as tx:
        tx.delete("orders", "id = 1")
    choice = Choice(table="orders", where="id = 1")
    place.hall.edit(choice, target="main", values=["amount = 9"])
    with pytest.raises(Refused, match="newer ones"):
        replay(place, shop(mode="upsert"), where="id = 1")
    assert ids(place) == [4]
