# ruff: noqa: E501 - cases as tables
"""Values at the ends of their types are judged alike, and nothing raises."""

import asking
import polars as pl
import pyarrow as pa
import pytest

from headgate.contracts import ContractSpec, ingest_mask, polars_mask

MICROS = [
    2**63 - 1, -(2**63), -(2**63) + 1, 2**63 - 2, 253402300799999999, 253402300800000000, -62135596800000000,
    -62135596800000001, 0, 9223371244799999999, -9223372022400000000, -9223372022400000001,
]  # fmt: skip
DAYS = [
    2**31 - 1, -(2**31), -(2**31) + 1, 2**31 - 2, 2932896, 2932897, -719162, -719163, 0, 106751991, 106751992, -106751992,
]  # fmt: skip
WHOLE = [2**63 - 1, -(2**63), 0, 1, -1, None] * 2
COLUMNS = {"at": "timestamptz", "local": "timestamp", "day": "date", "i": "long"}
CONDITIONS = [
    "at > timestamptz '2013-01-01 00:00:00+00'", "at + interval '90 minutes' > at", "at - interval 3 weeks < at",
    "at - timestamptz '2000-01-01 00:00:00+00' > interval 3 weeks", "local - timestamp '2000-01-01 00:00:00' > interval 1 day",
    *(f"{part}({column}) > 2" for part in ("year", "month", "day", "isodow") for column in ("at", "local", "day")),
    *(f"{part}({column}) > 2" for part in ("hour", "minute", "second") for column in ("at", "local")),
    "cast(at as date) > date '2013-01-01'", "cast(local as date) is null", "day - date '2000-01-01' > 5", "day - day = 0",
    "i + i > i", "i * i >= 0", "abs(i) >= 0", "-i < 0", "i - 1 < i", "i // -1 < 0", "i % -1 = 0", "i // 1 = i", "i % 7 < 7", "i // i = 1", "i % i = 0", "i * 3 // 3 = i", "i / 2 > 0",
    "i + 0.5 > i", "i * i > 1e38", "i * 1.5 > 2",
]  # fmt: skip


@pytest.fixture(scope="module")
def connection():
    opened = asking.connect()
    yield opened
    opened.close()


@pytest.mark.parametrize("condition", CONDITIONS)
def test_both_engines_agree_at_the_ends_of_types(connection, condition):
    table = pa.table(
        {
            "at": pa.array(MICROS, pa.int64()).cast(pa.timestamp("us", "UTC")),
            "local": pa.array(MICROS, pa.int64()).cast(pa.timestamp("us")),
            "day": pa.array(DAYS, pa.int32()).cast(pa.date32()),
            "i": pa.array(WHOLE, pa.int64()),
        }
    )
    columns = [{"name": name, "type": kind} for name, kind in COLUMNS.items()]
    checks = [{"check": "expression", "sql": condition}]
    spec = ContractSpec.from_dict({"name": "T", "columns": columns, "checks": checks})
    mask = ingest_mask(spec, table.schema.names).query.expression
    connection.register("_rows", table)
    found = connection.sql(f"select {mask} as m from _rows").to_arrow_table()
    connection.unregister("_rows")
    ours = pl.from_arrow(table).select(polars_mask(spec)).to_series().to_list()
    assert found.column("m").to_pylist() == ours
