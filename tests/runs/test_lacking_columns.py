"""Columns that a contract declares and what came in has not: never NULL without a word."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from records_text import load
from scripted import maker
from workplaces import Workplace

from headgate.errors import StepFailed
from headgate.events import SchemaChanged, SourceNoted
from headgate.runs import Choice

CONTRACT = """
from typing import Annotated, TypedDict

import headgate as hg

class Place(TypedDict):
    street: str
    zipp: str

class Order(hg.Contract):
    id: int
    {declared}

orders = hg.source("scripted", contract=Order{{options}})
"""


def notes(place: Workplace) -> list[str]:
    return [event.note for event in place.heard(SourceNoted) if isinstance(event, SourceNoted)]


def contract(declared: str) -> str:
    return CONTRACT.format(declared=declared)


def test_a_required_column_that_no_record_has_is_refused_by_its_name(place: Workplace) -> None:
    with pytest.raises(StepFailed, match=r"amout is missing \(there is amount\)") as caught:
        load(place, {"id": 1, "amount": 2}, text=contract("amout: int"))
    assert caught.value.code == "contract-raw-columns"
    with pytest.raises(LookupError):
        place.rows("orders")


def test_a_nullable_column_that_no_record_has_is_told(place: Workplace) -> None:
    load(place, {"id": 1, "amount": 2}, text=contract("amout: int | None"))
    assert notes(place) == ["orders: no record has amout (there is amount), so NULL stands there."]


def test_a_column_that_one_record_has_is_not_told(place: Workplace) -> None:
    load(place, {"id": 1, "amount": 2}, {"id": 2}, text=contract("amount: int | None"))
    load(place, {"id": 1, "AMOUNT": None}, text=contract("amount: int | None"))
    assert notes(place) == []


def test_a_declared_column_is_no_neighbour_of_a_missing_one(place: Workplace) -> None:
    text = contract("amount: int\n    amounts: int | None")
    load(place, {"id": 1, "amount": 2}, text=text)
    assert notes(place) == ["orders: no record has amounts, so NULL stands there."]


def test_a_field_within_a_column_that_no_record_has_is_told(place: Workplace) -> None:
    text = contract("place: Place | None\n    places: list[Place] | None")
    one = {"street": "x"}
    load(place, {"id": 1, "place": one, "places": [one]}, text=text)
    assert notes(place) == [
        "orders: no record has place.zipp, places[].zipp, so NULL stands there."
    ]


def test_a_field_that_is_not_declared_within_a_column_is_named(place: Workplace) -> None:
    with pytest.raises(StepFailed, match=r"place\.zip is no field of it"):
        load(place, {"id": 1, "place": {"zip": "x"}}, text=contract("place: Place | None"))


def test_an_optional_field_may_be_absent_where_few_records_come_to_others(
    place: Workplace,
) -> None:
    text = contract("amount: int | None\n    coupon: str | None")
    options = ', mode="append"'
    load(place, {"id": 1, "amount": 2, "coupon": "x"}, text=text, options=options)
    load(place, {"id": 2, "amount": 2}, text=text, options=options)
    assert notes(place) == []
    load(place, {"id": 3, "amount": 2, "coupn": "y"}, text=text, options=options)
    assert notes(place) == ["orders: no record has coupon (there is coupn), so NULL stands there."]
    load(place, *({"id": n, "amount": 2} for n in range(100)), text=text, options=options)
    assert notes(place)[1:] == ["orders: no record has coupon, so NULL stands there."]


def test_records_without_a_required_column_may_go_to_quarantine(place: Workplace) -> None:
    declared = 'amount: Annotated[int, hg.not_null(severity="quarantine")]'
    load(place, {"id": 1, "amont": 2}, text=contract(declared))
    assert place.rows("orders") == []
    assert len(place.rows("_quarantine.orders")) == 1
    assert notes(place) == ["orders: no record has amount (there is amont), so NULL stands there."]


QUARANTINE = "_quarantine.parts"

FILES = """
from typing import Annotated

import headgate as hg

class Part(hg.Contract):
    id: int
    amount: {amount}
    note: str | None

parts = hg.files("part_*.csv", contract=Part)
"""


def files(place: Workplace, *texts: str, amount: str = "float") -> None:
    for number, text in enumerate(texts):
        (place.root / f"part_{number}.csv").write_text(text)
    place.hall.run(place.pipeline(FILES.format(amount=amount)), target="main")


def test_files_of_other_columns_keep_rows_and_places(place: Workplace) -> None:
    files(
        place,
        "id,amount\n1,10\n2,x\n",
        "note,amount,id,more\nhi,oops,3,a\nyo,40,4,b\n",
        "amount,id\n5,five\n6,6\n",
    )
    assert [row["id"] for row in place.rows("parts")] == [1, 4, 6]
    aside = {row["position"]: json.loads(str(row["payload"])) for row in place.rows(QUARANTINE)}
    assert {position: each["id"] for position, each in aside.items()} == {
        "part_0.csv:3": "2",
        "part_1.csv:2": "3",
        "part_2.csv:2": "five",
    }


def test_a_file_without_a_required_column_is_named(place: Workplace) -> None:
    with pytest.raises(StepFailed, match=r"amount \(there is amont\) is missing in part_1\.csv"):
        files(place, "id,amount,note\n1,10,a\n", "id,amont,note\n2,20,b\n")


def test_a_file_with_a_slip_in_a_nullable_column_is_told(place: Workplace) -> None:
    files(place, "id,amount,note\n1,10,a\n", "id,amount,nota\n2,20,b\n", "id,amount\n3,30\n")
    assert notes(place) == ["part_1.csv: no column note (there is nota), so NULL stands there."]


def test_what_a_contract_reads_of_records_is_no_change_of_the_table(place: Workplace) -> None:
    text = contract('amount: Annotated[int, hg.column("Amount No.")]')
    load(place, {"id": 1, "Amount No.": "7"}, text=text)
    load(place, {"id": "2", "Amount No.": "8"}, text=text)
    assert place.heard(SchemaChanged) == []
    load(place, {"id": 3, "Amount No.": 9, "more": True}, text=text)
    [change] = place.heard(SchemaChanged)
    assert isinstance(change, SchemaChanged)
    assert change.changes == ("added more boolean",)


WRITTEN = """
import headgate as hg

class Part(hg.Contract):
    id: int
    day: hg.Date | None
    at: hg.LocalTimestamp | None
    amount: hg.Decimal(9, 2) | None
    share: float | None

parts = hg.files(
    "part_*.csv",
    contract=Part,
    mode="append",
    delimiter=";",
    date_format="%d.%m.%Y",
    timestamp_format="%d.%m.%Y %H:%M",
    decimal_separator=",",
)
"""


def test_a_contract_reads_days_and_numbers_as_their_file_writes_them(place: Workplace) -> None:
    (place.root / "part_0.csv").write_text(
        "id;day;at;amount;share\n"
        "1;31.12.2026;31.12.2026 10:30;1,50;0,25\n"
        "2;2026-12-31;;1.50;0.25\n"
        "3;;01.02.2026;;\n"
        "4;;;;\n"
    )
    place.hall.run(place.pipeline(WRITTEN), target="main")
    first = place.rows("parts")[0]
    assert [row["id"] for row in place.rows("parts")] == [1, 4]
    assert (str(first["day"]), str(first["at"])) == ("2026-12-31", "2026-12-31 10:30:00")
    assert (str(first["amount"]), first["share"]) == ("1.50", 0.25)
    reasons = {row["position"]: row["checks"] for row in place.rows(QUARANTINE)}
    assert reasons == {
        "part_0.csv:3": ["day is date", "amount is decimal(9, 2)", "share is double"],
        "part_0.csv:4": ["at is timestamp"],
    }
    choice = Choice(table="parts", where="id = '3'")
    place.hall.edit(choice, target="main", values=["at = '01.02.2026 00:00'"])
    place.hall.replay(choice, target="main", pipeline=place.pipeline(WRITTEN))
    assert [str(row["at"]) for row in place.rows("parts") if row["id"] == 3] == [
        "2026-02-01 00:00:00"
    ]


@pytest.mark.parametrize("name", ["_position", "_mask", "_raw.id"])
def test_a_column_that_quarantine_has_for_itself_is_no_longer_dropped_in_silence(
    place: Workplace, name: str
) -> None:
    with pytest.raises(StepFailed, match=f"{name} is a name that rows in quarantine have"):
        files(place, f"id,amount,note,{name}\n1,2,x,9\n")


def test_a_batch_with_a_slip_in_a_column_is_told(place: Workplace) -> None:
    names = [{"id": [1], "amount": [2]}, {"id": [3], "amont": [4]}, {"id": [5]}]
    place.sources["scripted"] = maker([pa.table(each) for each in names])
    place.hall.run(place.pipeline(contract("amount: int | None").format(options="")), target="main")
    assert notes(place) == ["batch 2: no column amount (there is amont), so NULL stands there."]


def test_a_parquet_file_with_a_slip_in_a_column_is_told(place: Workplace) -> None:
    for number, column in enumerate(["note", "nota"]):
        rows = pa.table({"id": [number], "amount": [1.0], column: ["x"]})
        pq.write_table(rows, place.root / f"part_{number}.parquet")
    text = FILES.format(amount="float").replace(".csv", ".parquet")
    place.hall.run(place.pipeline(text), target="main")
    assert notes(place) == ["part_1.parquet: no column note (there is nota), so NULL stands there."]


def test_a_value_that_does_not_fit_within_a_column_is_told_by_its_type(place: Workplace) -> None:
    text = contract("places: list[Place] | None\n    sizes: list[int] | None")
    with pytest.raises(StepFailed, match=r"sizes\[\] is long, and a value cannot be written so"):
        load(place, {"id": 1, "sizes": [1, "x"]}, text=text)
