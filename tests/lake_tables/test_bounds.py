"""Bounds hold every value of a file, however rounded, and pruning never loses a row."""

import math
from datetime import UTC, date, datetime, time
from decimal import Decimal

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.filesets import DataFile
from headgate.lake import bounds_meet, prune
from headgate.lake.bounds import cut_above, cut_below, scalar_bounds
from headgate.lake.datafiles import footer_bounds, read_footer
from headgate.lake.local_storage import LocalStorage

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=24)
VALUES = {
    "int": (pa.int32(), st.integers(-(2**31), 2**31 - 1)),
    "long": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "double": (pa.float64(), st.floats()),
    "string": (pa.string(), TEXTS),
    "date": (pa.date32(), st.dates()),
    "time": (pa.time64("us"), st.times()),
    "timestamp": (pa.timestamp("us"), st.datetimes()),
    "timestamptz": (pa.timestamp("us", "UTC"), st.datetimes(timezones=st.just(UTC))),
    "decimal": (pa.decimal128(9, 2), st.decimals(-999, 999, places=2)),
    "boolean": (pa.bool_(), st.booleans()),
}


def file(bounds):
    return DataFile(path="f", rows=1, size_bytes=1, checksum="", bounds=bounds)


def own(value):
    """Give a single value as the bound that it would be."""
    return scalar_bounds(value, value)


@given(TEXTS, TEXTS)
def test_cut_texts_stay_on_their_side(one, other):
    assert cut_below(one) <= one
    above = cut_above(one)
    assert above is None or above >= one
    assert above is None or above.encode() >= one.encode()
    assert len(cut_below(other)) <= 16


def test_a_text_of_the_last_character_has_no_short_text_above():
    assert cut_above(chr(0x10FFFF) * 20) is None
    assert cut_above("a" * 15 + chr(0xD7FF) + "z") == "a" * 15 + chr(0xE000)


@given(st.decimals(-(10**20), 10**20, places=9))
def test_decimals_are_rounded_outward(value):
    low, high = own(value)
    assert Decimal(low) <= value <= Decimal(high)


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("writer", ["arrow", "duckdb", "polars"])
def test_no_row_is_outside_its_files_bounds(kind, writer, tmp_path):
    arrow, values = VALUES[kind]
    path = str(tmp_path / "f.parquet")

    @settings(max_examples=25, deadline=None)
    @given(st.lists(st.none() | values, min_size=1, max_size=6))
    def check(column):
        rows = pa.table({"x": pa.array(column, arrow)})
        if writer == "arrow":
            field = pa.field("x", arrow, metadata={"PARQUET:field_id": "1"})
            pq.write_table(rows.cast(pa.schema([field])), path, row_group_size=2)
        elif writer == "duckdb":
            duckdb.connect().execute(f"copy rows to '{path}' (format parquet, field_ids {{x: 1}})")
        else:
            pl.from_arrow(rows).write_parquet(path)
        found = file(footer_bounds(read_footer(LocalStorage(tmp_path), "f.parquet")))
        for value in column:
            if value is None:
                continue
            if isinstance(value, float) and math.isnan(value):
                assert prune([found], "x", low=1e300)
                continue
            low, high = own(value)
            high = low if high is None and kind == "double" else high
            assert prune([found], "x", low=high, high=low) == (found,), (value, found.bounds)

    check()


def test_what_is_known_is_pruned():
    found = file({"x": (10, 20)})
    assert prune([found], "x", low=21) == prune([found], "x", high=9) == ()
    assert prune([found], "x", low=20) == prune([found], "x", high=10) == (found,)
    assert prune([found], "other", low=21) == (found,)
    assert prune([found], "x", low="a") == (found,)
    day = file({"d": ("2020-01-01", "2020-01-31")})
    assert prune([day], "d", low="2020-02-01") == ()


def test_files_meet_unless_one_columns_bounds_lie_apart():
    one = file({"a": (1, 5), "b": ("a", "c"), "f": (1.0, None)})
    assert not bounds_meet(one, file({"a": (6, 9)}), ["a"])
    assert bounds_meet(one, file({"a": (5, 9)}), ["a", "b"])
    assert not bounds_meet(one, file({"a": (5, 9), "b": ("d", None)}), ["a", "b"])
    assert bounds_meet(one, file({"f": (99.0, None)}), ["f"])
    assert bounds_meet(one, file({}), ["a"])


def test_bounds_of_times_are_texts_of_one_width():
    moment = datetime(2026, 11, 1, tzinfo=UTC)
    assert own(moment) == ("2026-11-01T00:00:00.000000+00:00",) * 2
    assert own(date(2026, 11, 1)) == ("2026-11-01",) * 2
    assert own(time(1)) == ("01:00:00.000000",) * 2
