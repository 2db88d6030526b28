"""Texts by declared rule, and records under a contract."""

import json
import unicodedata
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from records_text import load, payload, types
from workplaces import Workplace

from headgate.errors import HeadgateError


def loaded(place: Workplace, *values: object, options: str) -> list[object]:
    records = [{"id": n, "a": value} for n, value in enumerate(values)]
    load(place, *records, options=options)
    rows = sorted(place.rows("orders"), key=lambda row: int(str(row["id"])))
    return [row["a"] for row in rows]


@pytest.mark.parametrize(
    ("options", "values", "kind", "found"),
    [
        ('null_tokens=("", "N/A")', ["x", "", "N/A"], "string", ["x", None, None]),
        ('null_tokens="N/A"', [1, "N/A", 2], "long", [1, None, 2]),
        ('null_tokens="N/A"', [1.5, "N/A", 2], "double", [1.5, None, 2.0]),
        ('null_tokens="N/A"', [1, "n/a"], "string", ["1", "n/a"]),
        ('null_tokens="-"', ["2026-01-31", "-"], "date", None),
        ('null_tokens="-"', [{"b": "-"}, {"b": "x"}], "struct<b: string>",
         [{"b": None}, {"b": "x"}]),
        ('null_tokens="-"', [["-", "x"]], "list<string>", [[None, "x"]]),
        ('decimal_mark=","', ["1,5", "1.234,25", "-3"], "double", [1.5, 1234.25, -3.0]),
        ('decimal_mark=","', ["1,5", "x"], "string", ["1,5", "x"]),
        ('unicode="NFC"', ["e\u0301"], "string", ["\u00e9"]),
        ('time_zone="Europe/Berlin"', ["2026-07-01T12:00:00", "2026-01-01 12:00:00Z"],
         "timestamptz",
         [datetime(2026, 7, 1, 10, tzinfo=UTC), datetime(2026, 1, 1, 12, tzinfo=UTC)]),
    ],
)  # fmt: skip
def test_texts_are_read_as_declared(
    place: Workplace, options: str, values: list[object], kind: str, found: list[object] | None
) -> None:
    rows = loaded(place, *values, options=f", {options}")
    assert types(place, "orders")["a"] == kind
    assert found is None or rows == found


TWICE = "2026-10-25T02:30:00"
NEVER = "2026-03-29T02:30:00"


@pytest.mark.parametrize(("meant", "hour"), [("earlier", 0), ("later", 1)])
def test_a_time_that_came_twice_is_the_declared_one(
    place: Workplace, meant: str, hour: int
) -> None:
    options = f', time_zone="Europe/Berlin", ambiguous_times="{meant}"'
    assert loaded(place, TWICE, options=options) == [datetime(2026, 10, 25, hour, 30, tzinfo=UTC)]


@pytest.mark.parametrize("options", ["", ', on_conflict="evolve"'])
@pytest.mark.parametrize("time", [TWICE, NEVER])
def test_a_time_nobody_can_tell_goes_to_quarantine(
    place: Workplace, time: str, options: str
) -> None:
    good = "2026-10-25T04:30:00"
    found = loaded(place, good, time, options=', time_zone="Europe/Berlin"' + options)
    assert found == [datetime(2026, 10, 25, 3, 30, tzinfo=UTC)]
    [rejected] = place.rows("_quarantine.orders")
    assert json.loads(payload(rejected)) == {"id": 1, "a": time}


CONTRACT = """
import decimal
from typing import Annotated, TypedDict
import headgate as hg

class Address(TypedDict):
    city: str
    zip: int

class Order(hg.Contract{undeclared}):
    id: int
    when: hg.UtcTimestamp | None
    amount: Annotated[decimal.Decimal | None, hg.Decimal(25, 5), hg.column("Amount (EUR)")]
    note: str | None
    address: Address | None

orders = hg.source("scripted", contract=Order{options})
"""


def contract(options: str = "", undeclared: str = "") -> str:
    return CONTRACT.replace("{options}", options).replace("{undeclared}", undeclared)


def test_a_contract_says_the_types_and_absent_keys_are_null(place: Workplace) -> None:
    load(
        place,
        '{"id": 1, "Amount (EUR)": 12345678901234567890.12345, "when": "2026-01-01"}',
        '{"id": 2, "note": {"x": 1}, "address": {"city": "Rome"}, "extra": 5}',
        '{"id": 3, "note": 7, "Amount (EUR)": "12.5"}',
        text=contract(),
    )
    assert place.rows("orders") == [
        {
            "id": 1,
            "when": datetime(2026, 1, 1, tzinfo=UTC),
            "amount": Decimal("12345678901234567890.12345"),
            "note": None,
            "address": None,
            "extra": None,
        },
        {
            "id": 2,
            "when": None,
            "amount": None,
            "note": '{"x":1}',
            "address": {"city": "Rome", "zip": None},
            "extra": 5,
        },
        {
            "id": 3,
            "when": None,
            "amount": Decimal("12.50000"),
            "note": "7",
            "address": None,
            "extra": None,
        },
    ]


def test_rules_hold_under_a_contract(place: Workplace) -> None:
    load(
        place,
        {"id": 1, "when": "2026-07-01T12:00", "Amount (EUR)": "1.234,5", "note": "N/A"},
        options=', time_zone="Europe/Berlin", decimal_mark=",", null_tokens="N/A"',
        text=contract("{options}"),
    )
    [row] = place.rows("orders")
    assert row["when"] == datetime(2026, 7, 1, 10, tzinfo=UTC)
    assert row["amount"] == Decimal("1234.50000")
    assert row["note"] is None


@pytest.mark.parametrize(
    "record",
    [
        {"id": "x"},
        {"id": 2, "when": "soon"},
        {"id": 2, "Amount (EUR)": "much"},
        {"id": 2, "address": {"city": "Rome", "zip": "none"}},
        {"id": 2, "address": "Rome"},
    ],
)
@pytest.mark.parametrize("options", ["", ', on_conflict="quarantine"'])
def test_what_is_not_of_the_declared_type_is_set_aside(
    place: Workplace, record: dict[str, object], options: str
) -> None:
    good = {"id": 1, "address": {"city": "Rome", "zip": 1}}
    if "address" in record and not options:
        with pytest.raises(HeadgateError, match="address"):
            load(place, good, record, text=contract())
        return
    load(place, good, record, text=contract(options))
    assert [row["id"] for row in place.rows("orders")] == [1]
    [rejected] = place.rows("_quarantine.orders")
    assert json.loads(payload(rejected)) == record
    assert rejected["position"] == "orders.json:2"


def test_frozen_columns_are_the_contracts(place: Workplace) -> None:
    whole = {
        "id": 1,
        "when": None,
        "Amount (EUR)": 1,
        "note": "x",
        "address": {"city": "R", "zip": 1},
    }
    load(place, whole, text=contract(', on_conflict="freeze"'))
    with pytest.raises(HeadgateError, match="extra is new"):
        load(place, whole | {"extra": 1}, text=contract(', on_conflict="freeze"'))


def test_texts_are_of_one_normal_form(place: Workplace) -> None:
    words = ["A\u030a", "\u212b", "\uac00", "\u1112\u1161\u11ab", "ﬁ", "x"]
    found = loaded(place, *words, options=', unicode="NFC"')
    assert found == [unicodedata.normalize("NFC", word) for word in words]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("on_conflict", "ignore"),
        ("ambiguous_times", "now"),
        ("decimal_mark", ";"),
        ("unicode", "X"),
    ],
)
def test_a_choice_that_is_none_is_refused_when_it_is_declared(
    place: Workplace, option: str, value: str
) -> None:
    with pytest.raises(HeadgateError, match=option):
        load(place, {"id": 1}, options=f', {option}="{value}"')


def test_an_unknown_zone_is_refused_when_it_is_declared(place: Workplace) -> None:
    with pytest.raises(HeadgateError, match="Europe/Berlim"):
        load(place, {"id": 1}, options=', time_zone="Europe/Berlim"')


COLUMNS = """
import headgate as hg

class Order(hg.Contract):
    id: int
    when: hg.UtcTimestamp | None
    amount: float | None
    note: str | None

orders = hg.files("orders.csv", contract=Order{options})
"""
CSV = """id,when,amount,note
1,2026-07-01 12:00:00,"1.234,5",e\u0301
2,2026-03-29 02:30:00,,x
3,2026-07-01T12:00:00Z,7,n/a
"""


def test_rules_hold_for_columns_under_a_contract(place: Workplace) -> None:
    (place.root / "orders.csv").write_text(CSV)
    options = ', time_zone="Europe/Berlin", decimal_mark=",", null_tokens="n/a", unicode="NFC"'
    place.hall.run(place.pipeline(COLUMNS.replace("{options}", options)), target="main")
    assert place.rows("orders") == [
        {
            "id": 1,
            "when": datetime(2026, 7, 1, 10, tzinfo=UTC),
            "amount": 1234.5,
            "note": "\u00e9",
        },
        {"id": 3, "when": datetime(2026, 7, 1, 12, tzinfo=UTC), "amount": 7.0, "note": None},
    ]
    [rejected] = place.rows("_quarantine.orders")
    assert rejected["position"] == "orders.csv:3"
    assert json.loads(str(rejected["payload"]))["when"] == "2026-03-29 02:30:00"


@pytest.mark.parametrize(
    "option", ['nested={"a": "b"}', 'on_conflict="variant"', 'time_zone="Europe/Berlin"']
)
def test_rules_that_columns_cannot_follow_are_refused(place: Workplace, option: str) -> None:
    (place.root / "orders.csv").write_text(CSV)
    text = f'import headgate as hg\norders = hg.files("orders.csv", {option})'
    with pytest.raises(HeadgateError, match="types already"):
        place.hall.run(place.pipeline(text), target="main")


REQUIRED = """
import headgate as hg

class Order(hg.Contract, severity="quarantine"):
    id: int
    pieces: int
    note: str

orders = hg.files("{name}", contract=Order, null_tokens="n/a")
"""


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("orders.csv", "id,pieces,note\n1,2,x\n2,n/a,x\n3,2,n/a\n4,many,x\n"),
        (
            "orders.json",
            (
                '{"id": 1, "pieces": 2, "note": "x"}\n{"id": 2, "pieces": "n/a", "note": "x"}\n'
                '{"id": 3, "pieces": 2, "note": "n/a"}\n{"id": 4, "pieces": "many", "note": "x"}\n'
            ),
        ),
    ],
)
def test_a_text_that_stands_for_nothing_is_nothing_where_a_value_is_required(
    place: Workplace, name: str, text: str
) -> None:
    (place.root / name).write_text(text)
    place.hall.run(place.pipeline(REQUIRED.replace("{name}", name)), target="main")
    assert [row["id"] for row in place.rows("orders")] == [1]
    rejected = {row["position"]: row["checks"] for row in place.rows("_quarantine.orders")}
    assert rejected == {
        f"{name}:{2 + name.endswith('.csv')}": ["pieces is not null"],
        f"{name}:{3 + name.endswith('.csv')}": ["note is not null"],
        f"{name}:{4 + name.endswith('.csv')}": ["pieces is long"],
    }
