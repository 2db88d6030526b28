"""Values: read as what they are, or given back as unread; never as something else."""

import datetime as dt
import decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.errors import Corrupt
from headgate.sources.postgres_changes.kinds import Kind, kind_of, read_values
from headgate.sources.postgres_changes.positions import lsn_text, read_lsn

UTC = dt.UTC
MONEY = (12 << 16 | 2) + 4


@pytest.mark.parametrize(
    ("oid", "modifier", "text", "value"),
    [
        (16, -1, "t", True),
        (16, -1, "f", False),
        (20, -1, "-9223372036854775808", -(2**63)),
        (21, -1, "7", 7),
        (701, -1, "-Infinity", float("-inf")),
        (701, -1, "1e-300", 1e-300),
        (1700, MONEY, "-1234.50", decimal.Decimal("-1234.50")),
        (1700, -1, "1.10", "1.10"),
        (1082, -1, "0001-01-01", dt.date(1, 1, 1)),
        (1083, -1, "23:59:59.999999", dt.time(23, 59, 59, 999999)),
        (1114, -1, "2026-02-28 01:02:03.5", dt.datetime(2026, 2, 28, 1, 2, 3, 500000)),  # noqa: DTZ001
        (1184, -1, "2026-02-28 01:02:03+00", dt.datetime(2026, 2, 28, 1, 2, 3, tzinfo=UTC)),
        (17, -1, "\\x00ff", b"\x00\xff"),
        (17, -1, "\\x", b""),
        (25, -1, "infinity", "infinity"),
        (1007, -1, "{{1,2},{3,4}}", "{{1,2},{3,4}}"),
        (99_999, -1, "(1,2)", "(1,2)"),
    ],
)
def test_a_value_is_what_the_database_wrote(
    oid: int, modifier: int, text: str, value: object
) -> None:
    found, unread = read_values(pa.array([text.encode(), None]), kind_of(oid, modifier))
    assert found.to_pylist() == [value, None]
    assert unread is None


@pytest.mark.parametrize(
    ("oid", "modifier", "text"),
    [
        (1082, -1, "infinity"),
        (1082, -1, "0044-03-15 BC"),
        (1082, -1, "10000-01-01"),
        (1083, -1, "24:00:00"),
        (1114, -1, "-infinity"),
        (1184, -1, "294276-12-31 23:59:59+00"),
        (1700, MONEY, "NaN"),
        (23, -1, "many"),
    ],
)
def test_a_value_that_nothing_holds_is_unread_and_its_neighbours_are_not(
    oid: int, modifier: int, text: str
) -> None:
    kind = kind_of(oid, modifier)
    fine = {1082: "2026-01-01", 1083: "01:00:00", 1114: "2026-01-01 00:00:00",
            1184: "2026-01-01 00:00:00+00", 1700: "1.00", 23: "5"}[oid]  # fmt: skip
    found, unread = read_values(pa.array([fine.encode(), text.encode(), None]), kind)
    assert unread is not None
    assert unread.tolist() == [False, True, False]
    assert [value is None for value in found.to_pylist()] == [False, True, True]


def test_a_text_that_is_not_utf_8_is_refused() -> None:
    with pytest.raises(Corrupt):
        read_values(pa.array([b"\xff\xfe"]), kind_of(25, -1))


@given(st.lists(st.none() | st.binary(max_size=9)), st.integers(0, 3))
def test_bytes_survive_in_any_slice(values: list[bytes | None], start: int) -> None:
    written = [None if value is None else b"\\x" + value.hex().encode() for value in values]
    array = pa.array(written, pa.binary()).slice(min(start, len(values)))
    found, unread = read_values(array, kind_of(17, -1))
    assert found.to_pylist() == values[min(start, len(values)) :]
    assert unread is None


@pytest.mark.parametrize(
    ("precision", "scale", "arrow"),
    [
        (12, 2, pa.decimal128(12, 2)),
        (39, 2, pa.string()),
        (3, 5, pa.string()),
        (5, -2, pa.string()),
    ],
)
def test_numbers_are_decimals_where_one_holds_them(
    precision: int, scale: int, arrow: pa.DataType
) -> None:
    modifier = (precision << 16 | scale & 0x7FF) + 4
    assert kind_of(1700, modifier) == Kind(oid=1700, arrow=arrow)


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1))
def test_positions_as_text_have_their_order(one: int, two: int) -> None:
    assert read_lsn(lsn_text(one)) == one
    assert (one < two) == (lsn_text(one) < lsn_text(two))
