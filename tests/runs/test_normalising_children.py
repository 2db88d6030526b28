"""Lists that become tables: keys that a replay gives again, and one commit for all of them."""

import json
from contextlib import suppress

import pytest
from records_text import PLAIN, load, payload, types
from workplaces import Workplace

from headgate.errors import HeadgateError
from headgate.runs import Choice

KEYED = ', key="id", mode="{mode}", nested={"items": "order_items"}'
DEEP = ', key="id", nested={"items": "order_items", "items.parts": "parts", "c.notes": "notes"}'


def keyed(mode: str) -> str:
    return KEYED.replace("{mode}", mode)


def order(id: int, *skus: str) -> dict[str, object]:
    return {"id": id, "items": [{"sku": sku, "n": number} for number, sku in enumerate(skus)]}


def items(place: Workplace) -> list[tuple[object, ...]]:
    return [(r["_parent"], r["_index"], r["sku"]) for r in place.rows("order_items")]


@pytest.mark.parametrize("mode", ["replace", "append", "upsert"])
def test_elements_are_rows_known_by_their_parent_and_place(place: Workplace, mode: str) -> None:
    load(place, order(1, "a", "b"), order(2), {"id": 3}, order(4, "c"), options=keyed(mode))
    assert place.rows("orders") == [{"id": 1}, {"id": 2}, {"id": 3}, {"id": 4}]
    assert items(place) == [(1, 0, "a"), (1, 1, "b"), (4, 0, "c")]
    assert types(place, "order_items") == {
        "_parent": "long",
        "_index": "long",
        "sku": "string",
        "n": "long",
    }


def test_an_upsert_of_a_parent_replaces_its_rows_and_no_others(place: Workplace) -> None:
    load(place, order(1, "a", "b"), order(2, "c"), order(3, "d"), options=keyed("upsert"))
    load(place, order(1, "x"), order(2), order(4, "y"), options=keyed("upsert"))
    assert items(place) == [(1, 0, "x"), (3, 0, "d"), (4, 0, "y")]
    load(place, {"id": 3}, {"id": 4}, options=keyed("upsert"))
    assert items(place) == [(1, 0, "x")]


def test_an_append_adds_rows_and_a_replacement_replaces_them(place: Workplace) -> None:
    load(place, order(1, "a"), options=keyed("append"))
    load(place, order(2, "b", "c"), options=keyed("append"))
    assert items(place) == [(1, 0, "a"), (2, 0, "b"), (2, 1, "c")]
    load(place, order(3, "d"), options=keyed("replace"))
    assert items(place) == [(3, 0, "d")]
    load(place, {"id": 4}, options=keyed("replace"))
    assert items(place) == []


def test_without_a_key_the_parent_is_known_by_a_digest_of_its_record(place: Workplace) -> None:
    options = ', nested={"items": "order_items"}'
    load(place, order(1, "a", "b"), order(2, "c"), options=options)
    ids = {row["id"]: row["_record_id"] for row in place.rows("orders")}
    assert sorted(items(place), key=lambda row: str(row[2])) == [
        (ids[1], 0, "a"),
        (ids[1], 1, "b"),
        (ids[2], 0, "c"),
    ]
    load(place, order(2, "c"), order(1, "a", "b"), options=options)
    assert {row["id"]: row["_record_id"] for row in place.rows("orders")} == ids


def test_lists_in_lists_and_in_objects_become_tables_too(place: Workplace) -> None:
    load(
        place,
        {
            "id": 7,
            "c": {"name": "x", "notes": ["n1", "n2"]},
            "items": [
                {"sku": "a", "parts": [{"p": 1}, {"p": 2}]},
                {"sku": "b", "parts": [{"p": 3}]},
            ],
        },
        options=DEEP,
    )
    assert place.rows("orders") == [{"id": 7, "c": {"name": "x"}}]
    assert items(place) == [(7, 0, "a"), (7, 1, "b")]
    assert place.rows("parts") == [
        {"_parent": 7, "_parent_index": "0", "_index": 0, "p": 1},
        {"_parent": 7, "_parent_index": "0", "_index": 1, "p": 2},
        {"_parent": 7, "_parent_index": "1", "_index": 0, "p": 3},
    ]
    assert place.rows("notes") == [
        {"_parent": 7, "_index": 0, "value": "n1"},
        {"_parent": 7, "_index": 1, "value": "n2"},
    ]


def test_a_key_of_several_columns_is_in_as_many(place: Workplace) -> None:
    options = ', key=("a", "b"), nested={"l": "ls"}'
    load(place, {"a": 1, "b": "x", "l": [5]}, {"a": 1, "b": "y", "l": [6]}, options=options)
    assert place.rows("ls") == [
        {"_parent_a": 1, "_parent_b": "x", "_index": 0, "value": 5},
        {"_parent_a": 1, "_parent_b": "y", "_index": 0, "value": 6},
    ]


def test_what_is_no_list_is_its_own_only_element(place: Workplace) -> None:
    records = [{"id": 1, "items": {"sku": "a"}}, {"id": 2, "items": None}, {"id": 3, "items": "s"}]
    load(place, *records, options=keyed("replace"))
    assert place.rows("order_items") == [
        {"_parent": 1, "_index": 0, "sku": "a", "value": None},
        {"_parent": 3, "_index": 0, "sku": None, "value": "s"},
    ]


def test_numbers_of_elements_lose_no_digit(place: Workplace) -> None:
    load(
        place,
        '{"id": 1, "items": [{"n": 12345678901234567890123, "d": 0.1234567890123456789}]}',
        options=keyed("replace"),
    )
    [row] = place.rows("order_items")
    assert (str(row["n"]), row["d"]) == ("12345678901234567890123", "0.1234567890123456789")


CONTRACT = """
from typing import Annotated
import headgate as hg

class Order(hg.Contract):
    id: int
    total: Annotated[int, hg.between(0, 100, severity="quarantine")]

orders = hg.source("scripted", contract=Order{options})
"""


@pytest.mark.parametrize("mode", ["replace", "append", "upsert"])
def test_children_of_a_parent_that_is_set_aside_are_not_written(
    place: Workplace, mode: str
) -> None:
    good, bad = order(1, "a") | {"total": 5}, order(2, "b") | {"total": 500}
    load(place, good, bad, options=keyed(mode), text=CONTRACT)
    assert [row["id"] for row in place.rows("orders")] == [1]
    assert items(place) == [(1, 0, "a")]
    [rejected] = place.rows("_quarantine.orders")
    assert json.loads(payload(rejected)) == bad
    assert rejected["position"] == "orders.json:2"


def test_children_have_the_key_that_the_contract_reads(place: Workplace) -> None:
    records = [order(1, "a") | {"id": "1", "total": "5"}, order(2, "b") | {"total": 2.5}]
    load(
        place,
        *records,
        {"id": 3.0, "total": 7, "items": [{"sku": "c"}]},
        text=CONTRACT,
        options=keyed("replace"),
    )
    assert [row["id"] for row in place.rows("orders")] == [1, 3]
    assert items(place) == [(1, 0, "a"), (3, 0, "c")]


def test_an_element_that_does_not_fit_sets_its_whole_record_aside(place: Workplace) -> None:
    options = keyed("append")[:-1] + '}, on_conflict="quarantine"'
    load(place, order(1, "a"), options=options)
    bad = {"id": 2, "items": [{"sku": "b", "n": 1}, {"sku": "c", "n": "many"}]}
    load(place, bad, order(3, "d"), options=options)
    assert [row["id"] for row in place.rows("orders")] == [1, 3]
    assert items(place) == [(1, 0, "a"), (3, 0, "d")]
    [rejected] = place.rows("_quarantine.orders")
    assert json.loads(payload(rejected)) == bad
    assert "order_items.n" in str(rejected["payload"])


def test_an_element_that_does_not_fit_goes_beside_its_column(place: Workplace) -> None:
    options = keyed("append")[:-1] + '}, on_conflict="variant"'
    load(place, order(1, "a"), options=options)
    load(place, {"id": 2, "items": [{"sku": "c", "n": "many"}]}, options=options)
    rows = place.rows("order_items")
    assert [(row["n"], row["n__text"]) for row in rows] == [(0, None), (None, "many")]


def test_a_path_through_a_list_that_is_no_table_is_refused(place: Workplace) -> None:
    with pytest.raises(HeadgateError, match="is a list"):
        load(
            place, {"id": 1, "items": [{"parts": [1]}]}, options=', nested={"items.parts": "parts"}'
        )


def test_two_steps_cannot_make_one_child_table(place: Workplace) -> None:
    text = """
import headgate as hg

orders = hg.source("scripted", nested={"items": "x"})
others = hg.source("scripted", table="x")
"""
    with pytest.raises(HeadgateError, match="both write the table x"):
        load(place, {"id": 1}, text=text)


def test_a_step_that_reads_a_child_table_comes_after_its_maker(place: Workplace) -> None:
    text = """
import headgate as hg

count = hg.sql_step("select count(*) as n from order_items")
orders = hg.source("scripted", key="id", nested={"items": "order_items"})
"""
    load(place, order(1, "a", "b"), text=text)
    assert place.rows("count") == [{"n": 2}]


def test_keys_named_like_our_own_columns_get_other_names(place: Workplace) -> None:
    record = {"_id": 5, "_record_id": 6, "items": [{"_index": 7, "_parent": 8, "_id": 9}]}
    load(place, record, options=', nested={"items": "order_items"}')
    [parent], [child] = place.rows("orders"), place.rows("order_items")
    assert parent["_id"] == 5
    assert child["_parent"] == parent["_record_id"]
    assert (child["_index"], child["_id"]) == (0, 9)
    assert {6} < {*parent.values()}
    assert {7, 8} < {*child.values()}


def test_a_replayed_record_brings_its_children_once(place: Workplace) -> None:
    options = KEYED.replace("{mode}", "upsert") + ', on_conflict="quarantine"'
    load(place, order(1, "a"), options=options)
    load(place, {"id": 2, "items": [{"sku": "b", "n": "many"}]}, options=options)
    assert items(place) == [(1, 0, "a")]
    text = PLAIN.replace("{options}", options.replace("quarantine", "variant"))
    choice = Choice(table="orders")
    for _ in range(2):
        with suppress(HeadgateError):
            place.hall.replay(choice, target="main", pipeline=place.pipeline(text))
    assert items(place) == [(1, 0, "a"), (2, 0, "b")]
    assert place.rows("orders") == [{"id": 1}, {"id": 2}]
    assert place.rows("_quarantine.orders") == []
