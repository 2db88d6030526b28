"""A value that was quarantined and comes back is the value that came."""

import json
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import maker
from workplaces import Workplace

from headgate.runs import Choice
from headgate.runs.payloads import decoded, edited
from headgate.runs.typed_rows import united

EVERYTHING = """
from typing import Annotated
import datetime
import headgate as hg

class Row(hg.Contract):
    id: Annotated[int, hg.between(0, {most}, severity="quarantine")]
    whole: int | None
    real: float | None
    exact: Annotated[str | None, hg.column("Exact Number")]
    text: str | None
    flag: bool | None
    day: datetime.date | None
    moment: hg.UtcTimestamp | None
    data: bytes | None
    tags: list[str] | None

rows = hg.source("scripted", contract=Row{more})
"""
VALUES: list[dict[str, Any]] = [
    {"whole": 2**63 - 1, "real": float("inf"), "text": "", "flag": True, "tags": []},
    {"whole": -(2**63), "real": -0.1, "text": "null", "flag": False, "tags": ["a", None, "b,c"]},
    {"real": 1e300, "text": 'quote " and \\ and \u0000 and é 🎈\n', "data": b"\x00\xff\\x41\n"},
    {"text": "NaN", "day": date(1, 1, 1), "data": b""},
    {"text": "  spaced ", "day": date(9999, 12, 31)},
    {"moment": datetime(2026, 1, 1, 1, 2, 3, 45, UTC)},
    {"moment": datetime(1900, 1, 1, tzinfo=UTC), "Exact Number": "12345678901234567890.123456789"},
    {},
]  # fmt: skip
SCHEMA = pa.schema(
    {
        "id": pa.int64(), "whole": pa.int64(), "real": pa.float64(), "Exact Number": pa.string(),
        "text": pa.string(), "flag": pa.bool_(), "day": pa.date32(),
        "moment": pa.timestamp("us", "UTC"), "data": pa.binary(), "tags": pa.list_(pa.string()),
        "undeclared": pa.decimal128(38, 10), "at": pa.time64("us"),
        "deep": pa.struct({"a": pa.list_(pa.decimal128(20, 2)), "t": pa.timestamp("us")}),
    }
)  # fmt: skip


def rows() -> pa.Table:
    extra = {
        "undeclared": Decimal("1234567890123456789012345678.0123456789"),
        "at": time(1, 2, 3, 4),
        "deep": {"a": [Decimal("1.10"), None], "t": datetime(2026, 1, 1, 0, 0, 0, 7)},  # noqa: DTZ001
    }
    given = [{"id": 1000 + n, **extra, **value} for n, value in enumerate(VALUES)]
    return pa.Table.from_pylist([{"id": 1, **extra}, *given], schema=SCHEMA)


@pytest.mark.parametrize("mode", ["append", "upsert"])
def test_every_value_comes_back_as_it_would_have_come_at_once(
    place: Workplace, tmp_path_factory: pytest.TempPathFactory, mode: str
) -> None:
    more = f', mode="{mode}"' + (', key="id"' if mode == "upsert" else "")
    strict, loose = (EVERYTHING.format(most=most, more=more) for most in (10, 10**6))
    place.sources["scripted"] = maker([rows()])
    place.hall.run(place.pipeline(strict), target="main")
    assert len(place.rows("rows")) == 1
    place.hall.replay(Choice(table="rows"), target="main", pipeline=place.pipeline(loose))
    at_once = Workplace(tmp_path_factory.mktemp("at_once"))
    at_once.sources["scripted"] = maker([rows()])
    at_once.hall.run(at_once.pipeline(loose), target="main")
    assert place.rows("rows") == at_once.rows("rows")
    assert place.rows("_quarantine.rows") == []
    at_once.close()


def test_what_does_not_fit_any_more_stays_and_says_so(place: Workplace) -> None:
    strict, loose = (EVERYTHING.format(most=most, more="") for most in (10, 10**6))
    place.sources["scripted"] = maker([rows()])
    place.hall.run(place.pipeline(strict), target="main")
    choice = Choice(table="rows", where="id = 1001")
    place.hall.edit(choice, target="main", values=["tags = 7", "whole = 'many'"])
    place.hall.replay(choice, target="main", pipeline=place.pipeline(loose))
    [row] = [row for row in place.rows("_quarantine.rows") if row["attempt"] == 2]
    assert '"tags":7' in str(row["payload"])
    assert row["checks"] == ["malformed"]


FINITE = st.decimals(allow_nan=False, allow_infinity=False)


@given(
    st.dictionaries(st.text(), st.integers() | st.text() | st.none() | st.booleans(), max_size=4),
    st.dictionaries(
        st.text(), st.integers() | st.text() | st.decimals(allow_nan=False), max_size=2
    ),
)
def test_an_edit_changes_what_it_sets_and_nothing_else(
    before: dict[str, object], values: dict[str, object]
) -> None:
    text, stays = edited(json.dumps(before), values, is_text=False)
    shown = {k: str(v) if isinstance(v, Decimal) else v for k, v in values.items()}
    found = {
        k: str(v) if k in values and isinstance(values[k], Decimal) else v
        for k, v in decoded(text).items()
    }
    assert found == {**before, **shown}
    assert not stays


KINDS = st.sampled_from(
    [pa.null(), pa.int8(), pa.int32(), pa.int64(), pa.uint8(), pa.uint64(), pa.float32(),
     pa.float64(),
     pa.string(), pa.large_string(), pa.string_view(), pa.bool_(), pa.date32(), pa.timestamp("s"),
     pa.timestamp("us", "UTC"), pa.timestamp("ns", "Europe/Berlin"), pa.decimal128(9, 2),
     pa.decimal128(38, 0), pa.list_(pa.int8()), pa.list_(pa.string()), pa.struct({"a": pa.int8()}),
     pa.struct({"b": pa.string()}), pa.dictionary(pa.int8(), pa.string()), pa.time32("s"),
     pa.time64("us"), pa.binary(), pa.binary(4)]
)  # fmt: skip


@given(KINDS, KINDS)
def test_two_types_have_one_union_whichever_came_first(one: pa.DataType, two: pa.DataType) -> None:
    there, back = united(one, two), united(two, one)
    assert (there is None) == (back is None)
    if there is not None and not (pa.types.is_struct(there) or one == two):
        assert pa.types.is_null(one) or pa.types.is_null(two) or there == back
    for kind in (one, two):
        if there is not None:
            pa.nulls(1, kind).cast(there)
