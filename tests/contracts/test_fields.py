"""Rules on the fields of structs mean what they mean on columns, in every engine."""

import datetime as dt
import math
from decimal import Decimal
from typing import Annotated, Literal, NotRequired

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, create_model
from typing_extensions import TypedDict

import headgate as hg
from headgate.contracts import arrow_schema, contract_spec, ingest_mask, polars_mask
from headgate.errors import Invalid

Text = Annotated[str, hg.length(1, 3), hg.pattern("^[ab]"), hg.one_of("a", "ab", "it's", "abb")]
Whole = Annotated[int, hg.between(-2, 5), hg.one_of(1, -2, 3, 2**63 - 1)]
Real = Annotated[float, hg.between(-0.5, 2.5), hg.one_of(0.5, 1e300, 2.0)]
Money = Annotated[hg.Decimal(9, 2), hg.between("-1.50", "2.25")]
Day = Annotated[dt.date, hg.between(dt.date(2026, 1, 1), None)]
At = Annotated[hg.UtcTimestamp, hg.between(dt.datetime(2026, 1, 1, tzinfo=dt.UTC), None)]
Truth = Annotated[bool, hg.one_of(True)]
Small = Annotated[hg.Int32, hg.between(None, 7)]
Half = Annotated[hg.Float32, hg.between(0, 1)]
Kind = Literal["a", "b"]
Tags = Annotated[list[str], hg.length(1, 2)]


class Inner(TypedDict):
    text: Text
    whole: Whole


class Outer(TypedDict):
    text: Text
    whole: NotRequired[Whole]
    real: Real
    money: Money
    day: Day
    at: At
    truth: Truth
    small: Small
    half: Half
    kind: Kind
    tags: Tags
    inner: Inner


class Flat(hg.Contract):
    text: Text | None
    whole: Whole | None
    real: Real | None
    money: Money | None
    day: Day | None
    at: At | None
    truth: Truth | None
    small: Small | None
    half: Half | None
    kind: Kind | None
    tags: Tags | None


class Nested(hg.Contract):
    it: Outer | None


VALUES = {
    "text": st.text("ab'é\n", max_size=4),
    "whole": st.integers(-4, 8) | st.sampled_from([2**63 - 1, -(2**63)]),
    "real": st.floats() | st.sampled_from([0.5, -0.5, 2.5, math.nan, math.inf]),
    "money": st.integers(-400, 400).map(lambda n: Decimal(n).scaleb(-2)),
    "day": st.dates(),
    "at": st.datetimes(timezones=st.just(dt.UTC)),
    "truth": st.booleans(),
    "small": st.integers(-9, 9),
    "half": st.floats(width=32),
    "kind": st.sampled_from(["a", "b", "c"]),
    "tags": st.lists(st.text(max_size=2), max_size=3),
}
FLAT = st.fixed_dictionaries({name: st.none() | values for name, values in VALUES.items()})


def duckdb_masks(contract: type[hg.Contract], rows: list[dict[str, object]]) -> list[set[str]]:
    """Give the names of the checks that each row violates, by DuckDB and by Polars, which agree."""
    spec = contract_spec(contract)
    table = pa.Table.from_pylist(rows, schema=arrow_schema(spec))
    mask = ingest_mask(spec, table.column_names).query
    with duckdb.connect() as connection:
        connection.register("_rows", table)
        found = connection.sql(f"select {mask.expression} as m from _rows").fetchall()
    bits = [row[0] for row in found]
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    assert frame.select(polars_mask(spec).alias("m"))["m"].to_list() == bits
    return [{name for bit, name in enumerate(mask.names) if m >> bit & 1} for m in bits]


@settings(max_examples=60, deadline=None)
@given(st.lists(FLAT, min_size=1, max_size=4))
def test_a_rule_means_the_same_on_a_field_as_on_a_column(rows: list[dict[str, object]]) -> None:
    flat = duckdb_masks(Flat, rows)
    outer = [{"it": {**row, "inner": {"text": row["text"], "whole": row["whole"]}}} for row in rows]
    nested = duckdb_masks(Nested, [*outer, {"it": None}])
    for row, broken in zip(flat, nested, strict=False):
        inner = {f"it.inner.{name}" for name in row if name.startswith(("text ", "whole "))}
        assert broken == {f"it.{name}" for name in row} | inner
    assert nested[-1] == set()


def test_a_field_that_may_not_be_null_is_one_where_its_struct_is() -> None:
    class Place(TypedDict):
        city: Annotated[str, hg.not_null(severity="quarantine")]

    class Order(hg.Contract):
        place: Place | None

    rows: list[dict[str, object]] = [{"place": None}, {"place": {"city": None}}]
    assert duckdb_masks(Order, rows) == [set(), {"place.city is not null"}]
    [check] = contract_spec(Order).checks
    assert check.severity.value == "quarantine"


@pytest.mark.parametrize(
    ("sql", "broken"),
    [
        ("it.text = 'a'", False),
        ("IT.Text = 'b'", True),
        ('"it"."inner"."text" is null', True),
        ("(it).inner.text = 'x'", False),
        ("it.inner.whole + it.whole = 4", False),
        ("it.inner is null", True),
        ("coalesce(it.money, 0) > 1", False),
    ],
)
def test_conditions_name_fields_by_their_paths(sql: str, broken: bool) -> None:
    class Order(hg.Contract, rules=(hg.expression(sql, name="it holds"),)):
        it: Outer | None

    whole = {"text": "a", "whole": 1, "money": Decimal("1.25"), "inner": {"text": "x", "whole": 3}}
    assert ("it holds" in duckdb_masks(Order, [{"it": whole}])[0]) is broken


@pytest.mark.parametrize(
    ("sql", "message", "hint"),
    [
        ("it.txt = 'a'", "'txt' is no field of it.", "Did you mean 'text'?"),
        ("it.inner.zz = 'a'", "'zz' is no field of it.inner.", "Fields: text, whole."),
        ("it.text.b = 'a'", "it.text is a string, which has no fields.", None),
        ("other.text = 'a'", "'other' is no column of the contract.", "Columns: it."),
    ],
)
def test_a_path_that_leads_nowhere_is_refused(sql: str, message: str, hint: str | None) -> None:
    class Order(hg.Contract, rules=(hg.expression(sql),)):
        it: Outer | None

    with pytest.raises(Invalid) as caught:
        duckdb_masks(Order, [{"it": None}])
    assert message in caught.value.message
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("field", "message"),
    [
        (list[Annotated[str, hg.length(1)]], "rules about the elements of a list"),
        (list[Inner], "rules about the elements of a list"),
        (list[Literal["a"]], "rules about the elements of a list"),
        (Annotated[str, hg.column("x")], "column.. names columns, not fields"),
        (Annotated[str, hg.unique()], "is for a whole column"),
        (Annotated[str, hg.references("a.b")], "is for a whole column"),
        (Annotated[str, hg.between(1, 2)], "cannot be compared with a string"),
        (Annotated[int, hg.pattern("a")], "a pattern is for text"),
        (Annotated[str | None, hg.not_null(severity="warn")], "allows None"),
        (Annotated[str, hg.length], "is it missing its brackets"),
    ],
)
def test_a_rule_that_a_field_cannot_have_is_refused(field: object, message: str) -> None:
    place = TypedDict("place", {"it": field})  # type: ignore[misc]  # noqa: UP013
    with pytest.raises(Invalid, match=message) as caught:
        type("Order", (hg.Contract,), {"__annotations__": {"place": place | None}})
    assert caught.value.message.startswith("Order.place: ")


@pytest.mark.parametrize("elements", [list[Annotated[str, hg.length(1)]], list[Inner]])
def test_a_rule_within_a_list_that_is_a_column_is_refused(elements: object) -> None:
    with pytest.raises(Invalid, match="rules about the elements of a list"):
        type("Order", (hg.Contract,), {"__annotations__": {"tags": elements}})


def test_a_model_takes_a_typed_dict_with_its_rules() -> None:
    class Order(BaseModel):
        it: Inner | None

    names = [check.name for check in contract_spec(Order).checks]
    assert "it.text has 1 to 3 letters" in names
    assert "it.whole between -2 and 5" in names


@pytest.mark.parametrize("within", [list[Inner], Literal["a", "b"], Annotated[str, hg.length(1)]])
def test_rules_within_a_nested_model_are_refused(within: object) -> None:
    inner = create_model("Place", it=(within, ...))  # type: ignore[call-overload]
    outer = create_model("Order", place=(inner, ...))
    with pytest.raises(Invalid, match="nothing inside of a nested model or a list is judged"):
        contract_spec(outer)
