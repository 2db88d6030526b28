"""Records become tables, whatever is in them: nothing lost, nothing rounded, nothing guessed."""

import json
import re
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from records_text import PLAIN, load, payload, types
from workplaces import Workplace

from headgate.errors import HeadgateError
from headgate.events import SchemaChanged


def test_objects_become_structs_and_lists_stay_lists(place: Workplace) -> None:
    load(
        place,
        {"id": 1, "customer": {"name": "Ada", "tags": ["x", "y"]}},
        {"id": 2, "customer": {"name": "Bob", "age": 5}, "items": [{"sku": "a", "price": 1.5}]},
    )
    assert place.rows("orders") == [
        {"id": 1, "customer": {"name": "Ada", "tags": ["x", "y"], "age": None}, "items": None},
        {
            "id": 2,
            "customer": {"name": "Bob", "tags": None, "age": 5},
            "items": [{"sku": "a", "price": 1.5}],
        },
    ]


BIG = "12345678901234567890123"


COLUMNS: list[tuple[list[str], str | None, list[object] | None]] = [
    (["1", "2"], "long", [1, 2]),
    (["1", "2.5"], "double", [1.0, 2.5]),
    (["true", "null"], "boolean", [True, None]),
    (['"x"', '""'], "string", ["x", ""]),
    (["9223372036854775807", "-9223372036854775808"], "long", [2**63 - 1, -(2**63)]),
    (["9223372036854775808", "1"], "decimal(38, 0)", [Decimal(2**63), Decimal(1)]),
    ([BIG, "-1", "null"], "decimal(38, 0)", [Decimal(BIG), Decimal(-1), None]),
    (["1" * 39, "1"], "string", ["1" * 39, "1"]),
    (["9007199254740993", "0.5"], "string", ["9007199254740993", "0.5"]),
    (["9007199254740992", "0.5"], "double", [9007199254740992.0, 0.5]),
    (["0.30000000000000004", "1e22"], "double", [0.30000000000000004, 1e22]),
    (["1234567890.123456789", "1.5"], "string", ["1234567890.123456789", "1.5"]),
    (["1e400", "1e-400", "1"], "string", ["1e400", "1e-400", "1"]),
    ([f"[{BIG}, 1]", "[2.5]"], "list<string>", [[BIG, "1"], ["2.5"]]),
    (["[9007199254740993, 0.5]"], "list<string>", [["9007199254740993", "0.5"]]),
    (['"\\u00011"', '"x"'], "string", ["\x011", "x"]),
    (['"\\u0001\\u00011"', BIG], "string", ["\x01\x011", BIG]),
    (["1", '"x"'], "string", ["1", "x"]),
    (["1", "true", '"x"'], "string", ["1", "true", "x"]),
    (['{"b": 1}', "2"], "string", ['{"b":1}', "2"]),
    (['{"b": 1}', '"t"'], "string", ['{"b":1}', '"t"']),
    ([f'{{"b": {BIG}}}', "[1]"], "string", [f'{{"b":{BIG}}}', "[1]"]),
    (['[1, "x", null, {}]'], "list<string>", [["1", '"x"', None, "{}"]]),
    (["[1]", "[]", "null"], "list<long>", [[1], [], None]),
    (["[[1], [2.5]]"], "list<list<double>>", [[[1.0], [2.5]]]),
    (["[null, 1]"], "list<long>", [[None, 1]]),
    (["{}", '{"b": 1}'], "struct<b: long>", [{"b": None}, {"b": 1}]),
    (["[{}]", '[{"b": 1}]'], "list<struct<b: long>>", [[{"b": None}], [{"b": 1}]]),
    (['{"b": {}}', "null"], "", [None, None]),
    (["null", "[]", "{}", "[null]"], "string", [None, "[]", "{}", "[null]"]),
    (['{"x": 1, "X": 2}'], "string", ['{"x":1,"X":2}']),
    (['{"": 1}'], "string", ['{"":1}']),
    (['{"b.c": 1, "d\\"e": 2}'], None, [{"b.c": 1, 'd"e': 2}]),
    (["NaN", "1.5"], "double", None),
    (['"x\\u0000y"'], "string", ["x\x00y"]),
    (['"2026-01-31"', '"2026-02-28"'], "date", [date(2026, 1, 31), date(2026, 2, 28)]),
    (['"2026-01-31"', '"2026-02-30"'], "string", ["2026-01-31", "2026-02-30"]),
    (['"2026-01-31T10:00:00Z"', '"2026-01-31 10:00+02:00"'], "timestamptz",
     [datetime(2026, 1, 31, 10, tzinfo=UTC), datetime(2026, 1, 31, 8, tzinfo=UTC)]),
    (['"2026-01-31T10:00:00"', "null"], "timestamp", [datetime(2026, 1, 31, 10), None]),  # noqa: DTZ001
    (['"2026-01-31T10:00:00"', '"2026-01-31T10:00:00Z"'], "string", None),
    (['{"at": "2026-01-31"}'], "struct<at: date>", [{"at": date(2026, 1, 31)}]),
    (['[{"at": "2026-01-31"}]'], "list<struct<at: date>>", [[{"at": date(2026, 1, 31)}]]),
    (['"007"', '"7"'], "string", ["007", "7"]),
]  # fmt: skip


def test_a_column_gets_the_narrowest_type_in_which_every_value_is_written(
    place: Workplace,
) -> None:
    rows = max(len(values) for values, _, _ in COLUMNS)
    records = []
    for row in range(rows):
        given = [
            f'"c{number}": {values[row]}'
            for number, (values, _, _) in enumerate(COLUMNS)
            if row < len(values)
        ]
        records.append(f'{{"row": {row}, {", ".join(given)}}}')
    load(place, *records)
    kinds = types(place, "orders")
    found = sorted(place.rows("orders"), key=lambda row: int(str(row["row"])))
    for number, (values, kind, expected) in enumerate(COLUMNS):
        name = f"c{number}"
        assert kind in (None, kinds.get(name, "")), (values, kinds.get(name))
        if expected is not None:
            given_rows = [row.get(name) for row in found[: len(values)]]
            assert given_rows == expected, (values, given_rows)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ("{", "no JSON"),
        ("[1]", "no JSON object"),
        ("3", "no JSON object"),
        ("null", "no JSON object"),
        ('{"a": 1, "a": 2}', "twice"),
        ('{"b": {"a": 1, "a": "x"}}', "twice"),
        ('{"b": [{"a": 1}, {"a": 1, "a": 2}]}', "twice"),
        ('{"b": [[{"a": 1, "a": 2}]]}', "twice"),
        ('{"a": "\\ud800"}', "no JSON"),
        ('{"a": ' + "[" * 100 + "]" * 100 + "}", "deeper"),
        ('{"a": 1} x', "no JSON"),
    ],
)
def test_what_is_no_sound_record_goes_to_quarantine_as_it_came(
    place: Workplace, record: str, reason: str
) -> None:
    load(place, {"a": 1, "b": None}, record, {"a": 2})
    assert [row["a"] for row in place.rows("orders")] == [1, 2]
    [rejected] = place.rows("_quarantine.orders")
    assert rejected["position"] == "orders.json:2"
    assert record in payload(rejected)
    assert reason in str(rejected["payload"])


def test_a_broken_record_leaves_no_trace_in_the_columns(place: Workplace) -> None:
    load(place, {"a": 1}, '{"a": {"x": 1}, "a": 2, "c": 3}')
    assert place.rows("orders") == [{"a": 1}]


# -- drift


def first_and_second(
    place: Workplace, first: list[object], second: list[object], policy: str, mode: str = "append"
) -> HeadgateError | None:
    """Load records, then others, each under a policy; give what the second load raised."""
    options = f', on_conflict="{policy}", mode="{mode}"' + (', key="id"' * (mode == "upsert"))
    load(place, *first, options=options)
    try:
        load(place, *second, options=options)
    except HeadgateError as error:
        return error
    return None


GONE = ({"id": 1, "a": 1, "b": "x"}, {"id": 2, "a": 2})
FIRST = {"id": 1, "a": 1}


@pytest.mark.parametrize("policy", ["evolve", "variant", "quarantine"])
def test_a_new_key_is_a_new_column_and_an_event(place: Workplace, policy: str) -> None:
    assert first_and_second(place, [FIRST], [{"id": 2, "a": 2, "n": {"x": 1}}], policy) is None
    assert place.rows("orders")[-1] == {"id": 2, "a": 2, "n": {"x": 1}}
    [told] = place.heard(SchemaChanged)
    assert isinstance(told, SchemaChanged)
    assert told.table == "orders"
    assert told.changes[0].startswith("added n struct")


@pytest.mark.parametrize("policy", ["evolve", "variant", "quarantine"])
def test_a_key_that_is_gone_is_null(place: Workplace, policy: str) -> None:
    first, second = GONE
    assert first_and_second(place, [first], [second], policy) is None
    assert place.rows("orders")[-1] == {"id": 2, "a": 2, "b": None}


@pytest.mark.parametrize("policy", ["evolve", "variant", "quarantine"])
def test_a_new_field_of_an_object_is_a_field_of_the_struct(place: Workplace, policy: str) -> None:
    error = first_and_second(
        place,
        [{"id": 1, "c": {"x": 1}, "l": [{"p": 1}]}],
        [{"id": 2, "c": {"y": "t"}, "l": [{"q": True}]}],
        policy,
    )
    assert error is None
    assert place.rows("orders") == [
        {"id": 1, "c": {"x": 1, "y": None}, "l": [{"p": 1, "q": None}]},
        {"id": 2, "c": {"x": None, "y": "t"}, "l": [{"p": None, "q": True}]},
    ]


CONFLICTS: list[tuple[object, object, str]] = [
    (1, "x", "__text"),
    (1, 1.5, "__text"),
    (1, True, "__text"),
    (1, {"b": 1}, "__json"),
    (1, [1], "__json"),
    (1, 2**70, "__text"),
    (1.5, "x", "__text"),
    (1.5, 2**60 + 1, "__text"),
    (True, "x", "__text"),
    ("2026-01-31", "soon", "__text"),
    ("2026-01-31T10:00:00Z", "soon", "__text"),
    ({"b": 1}, "x", "__json"),
    ({"b": 1}, [{"b": 1}], "__json"),
    ({"b": 1}, {"b": "x"}, "__json"),
    ([1], "x", "__json"),
    ([1], ["x"], "__json"),
    ([1], {"b": 1}, "__json"),
    ([{"b": 1}], [{"b": "x"}], "__json"),
    ({"b": {"c": 1}}, {"b": 7}, "__json"),
]


def before_and_after() -> tuple[dict[str, object], list[dict[str, object]]]:
    """Give a record of every type, and for each conflict one that differs in that."""
    first = {"id": 0, **{f"c{n}": before for n, (before, _, _) in enumerate(CONFLICTS)}}
    return first, [
        {**first, "id": n + 1, f"c{n}": after} for n, (_, after, _) in enumerate(CONFLICTS)
    ]


def test_a_value_that_does_not_fit_is_refused_unless_a_policy_says_otherwise(
    place: Workplace,
) -> None:
    first, second = before_and_after()
    error = first_and_second(place, [first], list(second), "evolve")
    assert error is not None
    assert error.code == "records-conflict"
    columns = error.facts["columns"]
    assert isinstance(columns, list)
    assert {re.split(r"[.\[]", str(each))[0] for each in columns} == {*first} - {"id"}
    assert [row["id"] for row in place.rows("orders")] == [0]


def test_a_value_that_does_not_fit_goes_beside_its_column(place: Workplace) -> None:
    first, second = before_and_after()
    assert first_and_second(place, [first], list(second), "variant") is None
    rows = {row["id"]: row for row in place.rows("orders")}
    for number, (_, after, suffix) in enumerate(CONFLICTS):
        name, row = f"c{number}", rows[number + 1]
        assert row[name] is None, name
        assert rows[0][name + suffix] is None
        kept = row[name + suffix]
        if suffix == "__json":
            assert json.loads(str(kept)) == after
        else:
            assert kept == (after if isinstance(after, str) else json.dumps(after))
        others = [other for other in first if other not in {"id", name}]
        assert [row[other] for other in others] == [rows[0][other] for other in others]


def test_a_value_that_does_not_fit_sets_its_record_aside(place: Workplace) -> None:
    first, second = before_and_after()
    good = {**first, "id": 99}
    assert first_and_second(place, [first], [*second, good], "quarantine") is None
    assert [row["id"] for row in place.rows("orders")] == [0, 99]
    rejected = place.rows("_quarantine.orders")
    found = {row["position"]: json.loads(payload(row)) for row in rejected}
    assert found == {f"orders.json:{n}": record for n, record in enumerate(second, 1)}
    for row in rejected:
        number = int(str(row["position"]).partition(":")[2]) - 1
        assert json.loads(str(row["payload"]))["column"] == f"c{number}"


def test_frozen_columns_refuse_any_change(place: Workplace) -> None:
    first, second = before_and_after()
    first |= {"s": {"b": 1}, "l": [{"b": 1}]}
    second.append({**first, "s": {"b": 1, "c": 2}, "l": [{"b": 1, "c": 2}]})
    error = first_and_second(place, [first], list(second), "freeze")
    assert error is not None
    assert error.code == "records-drifted"
    changes = error.facts["changes"]
    assert isinstance(changes, list)
    assert {re.split(r"[ .\[]", str(each))[0] for each in changes} == {*first} - {"id"}


@pytest.mark.parametrize(
    ("second", "told"),
    [
        ({"id": 2, "a": 1, "n": 1}, "n is new (long)"),
        ({"id": 2}, "a is gone"),
        ({"id": 2, "renamed": 1}, "renamed is new (long); a is gone"),
    ],
)
def test_frozen_columns_refuse_keys_that_come_and_go(
    place: Workplace, second: object, told: str
) -> None:
    error = first_and_second(place, [FIRST], [second], "freeze")
    assert error is not None
    assert told in error.message
    assert first_and_second(place, [], [{"id": 2, "a": None}], "freeze") is None


@pytest.mark.parametrize("policy", ["evolve", "variant", "quarantine", "freeze"])
def test_a_text_column_holds_every_value(place: Workplace, policy: str) -> None:
    second: list[object] = [{"id": 2, "a": 1.5}, {"id": 3, "a": {"b": [1]}}, {"id": 4, "a": "x"}]
    assert first_and_second(place, [{"id": 1, "a": "t"}], second, policy) is None
    assert [row["a"] for row in place.rows("orders")] == ["t", "1.5", '{"b":[1]}', "x"]


def test_a_table_that_is_replaced_takes_the_new_types_and_says_so(place: Workplace) -> None:
    assert first_and_second(place, [FIRST], [{"id": 1, "a": "x"}], "evolve", "replace") is None
    assert place.rows("orders") == [{"id": 1, "a": "x"}]
    [told] = place.heard(SchemaChanged)
    assert isinstance(told, SchemaChanged)
    assert told.changes == ("a: long became string",)


def test_a_key_keeps_its_column_whatever_comes_with_it(place: Workplace) -> None:
    load(place, {"ID": 1, "Name": "x"}, options=', mode="append"')
    load(place, {"ID": 2, "Name": "y", "name": "z"}, options=', mode="append"')
    load(place, {"ID": 3, "name": "only"}, options=', mode="append"')
    rows = place.rows("orders")
    [other] = [name for name in types(place, "orders") if name.startswith("name__")]
    assert [(row["Name"], row[other]) for row in rows] == [
        ("x", None),
        ("y", "z"),
        (None, "only"),
    ]


def test_names_that_tables_cannot_have_are_given_others(place: Workplace) -> None:
    load(place, '{"": 1, "a\\u0000b": 2, "_hg_x": 3, "_mask": 4, "ok.too": 5, "q\\"": 6}')
    names = [*types(place, "orders")]
    assert sorted(place.rows("orders")[0].values(), key=str) == [1, 2, 3, 4, 5, 6]
    assert {"ok.too", 'q"'} < {*names}
    assert not any(name in {"", "_mask"} or name.startswith("_hg_") for name in names)


def test_records_with_data_for_keys_are_refused(place: Workplace) -> None:
    records = [{f"k{n}": 1} for n in range(1_200)]
    with pytest.raises(HeadgateError, match="data, not columns"):
        load(place, *records)


def test_an_object_with_data_for_keys_becomes_json(place: Workplace) -> None:
    records = [{"id": n, "m": {f"k{n}": n, f"j{n}": 1}} for n in range(1_200)]
    load(place, *records)
    assert types(place, "orders") == {"id": "long", "m": "string"}
    assert all(
        json.loads(str(row["m"])) == records[int(str(row["id"]))]["m"]
        for row in place.rows("orders")
    )


def test_an_upsert_sets_what_a_record_lacks_to_null_whatever_comes_with_it(
    place: Workplace,
) -> None:
    options = ', mode="upsert", key="id"'
    load(place, {"id": 1, "a": 1, "s": {"b": 1}}, {"id": 2, "a": 2}, options=options)
    load(place, {"id": 1}, options=options)
    assert place.rows("orders")[0] == {"id": 1, "a": None, "s": None}
    load(place, {"id": 1, "a": 7, "s": {"c": 2}}, {"id": 2}, options=options)
    assert place.rows("orders") == [
        {"id": 1, "a": 7, "s": {"b": None, "c": 2}},
        {"id": 2, "a": None, "s": None},
    ]


def test_records_without_any_key_are_rows(place: Workplace) -> None:
    load(place, {"a": 1}, {}, {"b": None})
    load(place, {}, {"c": {}})
    assert [row["a"] for row in place.rows("orders")] == [None, None, None, None, 1]


def test_records_delete_by_key(place: Workplace) -> None:
    load(place, {"id": 1}, {"id": 2}, {"id": 3})
    text = PLAIN.replace("orders =", "gone =").replace("{options}", ', table="orders"{options}')
    load(
        place, {"id": 2, "why": {"x": 1}}, {"id": 9}, options=', mode="delete", key="id"', text=text
    )
    assert place.rows("orders") == [{"id": 1}, {"id": 3}]
    load(place, options=', mode="delete", key="id"', text=text)
    with pytest.raises(HeadgateError, match=r"orders\.json:1"):
        load(place, "{", options=', mode="delete", key="id"', text=text)
    assert place.rows("orders") == [{"id": 1}, {"id": 3}]


def test_no_record_at_all_changes_nothing_unless_the_table_is_replaced(place: Workplace) -> None:
    with pytest.raises(HeadgateError, match="holds nothing"):
        load(place)
    with pytest.raises(HeadgateError, match=r"orders\.json:1"):
        load(place, "{")
    load(place, {"a": 1})
    load(place)
    load(place, "{")
    assert place.rows("orders") == [{"a": 1}]
    assert len(place.rows("_quarantine.orders")) == 1
    load(place, options=', mode="replace"')
    assert place.rows("orders") == []


@pytest.mark.parametrize("value", ["{}", "[]", "[[]]"])
def test_an_empty_object_or_list_is_no_scalar(place: Workplace, value: str) -> None:
    error = first_and_second(place, [FIRST], [f'{{"id": 2, "a": {value}}}'], "evolve")
    assert error is not None
    assert error.code == "records-conflict"


def test_only_records_with_an_undeclared_field_are_set_aside(place: Workplace) -> None:
    text = """
from typing import TypedDict
import headgate as hg

class Customer(TypedDict):
    id: int

class Order(hg.Contract):
    id: int
    customer: Customer | None

orders = hg.files("o.jsonl", mode="append", on_conflict="quarantine", contract=Order)
"""
    lines = [
        '{"id": 1, "customer": {"id": 1}}',
        '{"id": 2, "customer": {"id": 2, "phone": "x"}}',
        '{"id": 3, "customer": null}',
    ]
    (place.root / "o.jsonl").write_text("\n".join(lines))
    place.hall.run(place.pipeline(text), target="main")
    assert [row["id"] for row in place.rows("orders")] == [1, 3]
    (aside,) = place.rows("_quarantine.orders")
    assert str(aside["position"]).endswith("o.jsonl:2")
