"""A table that grows without a contract keeps its columns' types, whatever a file looks like."""

from datetime import date, datetime

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from records_text import types
from scripted import maker
from workplaces import Workplace

from headgate.errors import StepFailed
from headgate.events import RunStarted

FILES = """
import headgate as hg

parts = hg.files("part_*.csv", mode="{mode}"{options})
"""
FIRST = "id,zip,price,day,at,ok\n1,N1,1.5,2026-01-01,2026-01-01 10:00:00,true\n"


def add(place: Workplace, text: str, mode: str = "append", options: str = "") -> None:
    """Bring one more file, and run."""
    number = len(list(place.root.glob("part_*.csv")))
    (place.root / f"part_{number}.csv").write_text(text)
    place.hall.run(place.pipeline(FILES.format(mode=mode, options=options)), target="main")


def refused(place: Workplace, text: str) -> StepFailed:
    """Bring a file that is refused, and take it away."""
    before = place.head()
    with pytest.raises(StepFailed) as caught:
        add(place, text)
    assert caught.value.code == "schema-type-conflict"
    assert place.head() == before
    return caught.value


def test_a_file_may_look_narrower_than_the_table(place: Workplace) -> None:
    add(place, FIRST)
    add(place, "id,zip,price,day,at,ok\n2,0100,3,,,\n3,7,,2026-01-02,2026-01-02,false\n")
    assert place.rows("parts")[1:] == [
        {"id": 2, "zip": "0100", "price": 3.0, "day": None, "at": None, "ok": None},
        {
            "id": 3,
            "zip": "7",
            "price": None,
            "day": date(2026, 1, 2),
            "at": datetime(2026, 1, 2),  # noqa: DTZ001 - of a clock without a zone
            "ok": False,
        },
    ]


def test_a_file_may_have_no_value_in_any_column(place: Workplace) -> None:
    add(place, FIRST)
    add(place, "id,zip,price,day,at,ok\n,,,,,\n")
    assert set(place.rows("parts")[0].values()) == {None}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("4.5,a,1,,,", r"part_1.csv:3 has a number with a fraction in id, which is long in table"),
        ("9223372036854775808,a,1,,,", r"has a whole number in id, which is long"),
        ("4,a,x,,,", r"has a text in price, which is double"),
        ("4,a,1,2026-01-01 10:00:00,,", r"has a time in day, which is date"),
        ("4,a,1,,,2026-01-01", r"has a day in ok, which is boolean"),
        ("4.0,a,2026,oops,,", r"has a text in day, which is date"),
    ],
)
def test_a_value_that_does_not_fit_is_told_by_its_place_and_kind(
    place: Workplace, line: str, message: str
) -> None:
    add(place, FIRST)
    error = refused(place, f"id,zip,price,day,at,ok\n4,a,1,,,\n{line}\n5,b,1,,,\n")
    assert message.replace(r"part_1.csv:3 ", "") in error.message
    assert "part_1.csv:3 has" in error.message
    assert "more" not in error.message
    assert 'mode="replace"' in (error.hint or "")


def test_the_first_of_many_misfits_is_told_and_the_others_counted(place: Workplace) -> None:
    add(place, FIRST)
    lines = "".join(f"{n},z,{'x' if n % 2 else 1},,,\n" for n in range(9, 1009))
    error = refused(place, f"id,zip,price,day,at,ok\n{lines}")
    assert "part_1.csv:2 has a text in price" in error.message
    assert "499 more rows do not fit" in error.message


def test_the_way_out_makes_the_column_wider(place: Workplace) -> None:
    add(place, "id,amount\n1,10\n")
    refused(place, "id,amount\n2,2.5\n")
    place.hall.run(place.pipeline(FILES.format(mode="replace", options="")), target="main")
    add(place, "id,amount\n3,3\n")
    assert [row["amount"] for row in place.rows("parts")] == [10.0, 2.5, 3.0]
    assert types(place, "parts") == {"id": "long", "amount": "double"}


def test_upserted_rows_keep_types_too(place: Workplace) -> None:
    options = ', key="id"'
    add(place, "id,amount,note\n1,10,a\n2,20,b\n", "upsert", options)
    add(place, "id,amount,note\n2.0,,7\n3,30.0,\n", "upsert", options)
    assert place.rows("parts") == [
        {"id": 1, "amount": 10, "note": "a"},
        {"id": 2, "amount": None, "note": "7"},
        {"id": 3, "amount": 30, "note": None},
    ]


def test_malformed_records_are_set_aside_all_the_same(place: Workplace) -> None:
    add(place, "id,amount\n1,10\n")
    add(place, "id,amount\n2,20.0\n3\n4,,5\n")
    assert [row["id"] for row in place.rows("parts")] == [1, 2]
    assert sorted(str(row["position"]) for row in place.rows("_quarantine.parts")) == [
        "part_1.csv:3",
        "part_1.csv:4",
    ]


def test_numbers_that_come_typed_are_taken_one_by_one(place: Workplace) -> None:
    batches = [pa.table({"id": pa.array([1], pa.int64())})]
    text = 'import headgate as hg\nparts = hg.source("scripted", mode="append")\n'

    def bring(values: list[float]) -> None:
        batches.append(pa.table({"id": pa.array(values, pa.float64())}))
        place.sources["scripted"] = maker(batches)
        place.hall.run(place.pipeline(text), target="main")

    place.sources["scripted"] = maker(batches)
    place.hall.run(place.pipeline(text), target="main")
    bring([2.0, 3.0])
    assert [row["id"] for row in place.rows("parts")] == [1, 2, 3]
    with pytest.raises(StepFailed, match="has a number that it cannot hold in id, which is long"):
        bring([4.0, 4.5])


VALUES = {
    "whole": st.integers(-(2**63), 2**63 - 1),
    "number": st.floats(allow_nan=False, allow_infinity=False),
    "text": st.text(alphabet="aé0 1.-", max_size=6),
    "day": st.dates(),
    "truth": st.booleans(),
}
ONES = {"whole": 1, "number": 0.5, "text": "x", "day": date(2026, 1, 1), "truth": True}


def written(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return '"' + value.replace('"', '""') + '"'
    return str(value).lower() if isinstance(value, bool) else str(value)


def csv(rows: list[dict[str, object]]) -> str:
    lines = [",".join(written(row[name]) for name in ONES) for row in rows]
    return "\n".join([",".join(ONES), *lines, ""])


ROWS = st.fixed_dictionaries({name: st.none() | values for name, values in VALUES.items()})


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.lists(ROWS, min_size=1, max_size=3), min_size=1, max_size=3))
def test_what_the_first_file_can_hold_comes_from_every_later_one(
    place: Workplace, later: list[list[dict[str, object]]]
) -> None:
    for old in place.root.glob("part_*.csv"):
        old.unlink()
    name = f"parts_{len(place.heard(RunStarted))}"
    files = [[dict(ONES)], *later]
    for rows in files:
        add(place, csv(rows), options=f', name="{name}"')
    expected = [
        {name: None if row[name] == "" else row[name] for name in ONES}
        for rows in files
        for row in rows
    ]
    found = place.rows(name)
    assert sorted(map(repr, found)) == sorted(map(repr, expected))
