"""Texts by rule: local times as Python's own time zones have them, numbers with a comma."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.records.rules import Ambiguous, RecordRules
from headgate.records.texts import instant, is_marked_number, number_text

ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "America/Sao_Paulo",
)


def changes(zone: ZoneInfo) -> Iterator[datetime]:
    """Give the hours in which a zone's clocks were set, as UTC."""
    day = datetime(1990, 1, 1, tzinfo=UTC)
    while day.year < 2035:
        hours = [day + timedelta(hours=hour) for hour in range(25)]
        offsets = [hour.astimezone(zone).utcoffset() for hour in (hours[0], hours[-1])]
        for one, two in pairwise(hours) if offsets[0] != offsets[1] else ():
            if one.astimezone(zone).utcoffset() != two.astimezone(zone).utcoffset():
                yield one
        day += timedelta(days=1)


def times(zone: ZoneInfo) -> list[datetime]:
    """Give times on a zone's clocks, those around every change among them."""
    start = datetime(1991, 1, 1)  # noqa: DTZ001 - on a clock
    found = {start + timedelta(hours=701 * n, minutes=7 * n) for n in range(500)}
    for at in changes(zone):
        local = at.astimezone(zone).replace(tzinfo=None)
        found |= {local + timedelta(minutes=minutes) for minutes in range(-150, 160, 10)}
    return sorted(found)


def read(zone: str, ambiguous: Ambiguous, found: list[datetime]) -> list[datetime | None]:
    rules = RecordRules(time_zone=zone, ambiguous_times=ambiguous)
    given_times = pa.table({"t": [at.isoformat(sep=" ") for at in found]})  # noqa: F841 - in the SQL
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        rows = connection.execute(
            f"select epoch_us({instant('t', rules)}) from given_times"
        ).fetchall()
    start = datetime(1970, 1, 1, tzinfo=UTC)
    return [None if us is None else start + timedelta(microseconds=us) for (us,) in rows]


@pytest.mark.parametrize("name", ZONES)
def test_a_time_on_a_clock_is_the_instant_that_python_says(name: str) -> None:
    zone = ZoneInfo(name)
    found = times(zone)
    folds = [[at.replace(tzinfo=zone, fold=f).astimezone(UTC) for at in found] for f in (0, 1)]
    shown = [
        one.astimezone(zone).replace(tzinfo=None) == at
        for one, at in zip(folds[0], found, strict=True)
    ]
    both = zip(*folds, shown, strict=True)
    expected = [(one, two) if there else (None, None) for one, two, there in both]
    assert read(name, "earlier", found) == [one for one, _ in expected]
    assert read(name, "later", found) == [two for _, two in expected]
    assert read(name, "quarantine", found) == [one if one == two else None for one, two in expected]


NUMBERS = st.decimals(-(10**9), 10**9, places=2, allow_nan=False)


@given(st.lists(NUMBERS, min_size=1, max_size=20), st.booleans())
def test_a_number_with_a_comma_is_that_number(numbers: list[Decimal], grouped: bool) -> None:
    rules = RecordRules(decimal_mark=",")
    form = "{:,.2f}" if grouped else "{:.2f}"
    swap = str.maketrans(",.", ".,")
    words = pa.table({"t": [form.format(number).translate(swap) for number in numbers]})  # noqa: F841
    rows = duckdb.execute(
        f"select cast({number_text('t', rules)} as decimal(18, 2)), {is_marked_number('t')} "
        "from words"
    ).fetchall()
    assert rows == [(number, True) for number in numbers]


@pytest.mark.parametrize(
    "text", ["1.2,5", "1,2,3", "1.2345", "12.34", ",5", "x", "", "1 000", "1.5"]
)
def test_what_is_no_number_with_a_comma_stays(text: str) -> None:
    rules = RecordRules(decimal_mark=",")
    words = pa.table({"t": [text]})  # noqa: F841 - in the SQL
    [[found]] = duckdb.execute(f"select {number_text('t', rules)} from words").fetchall()
    assert found == text
