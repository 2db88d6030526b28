"""A function as a source: its rows, and its cursor as it was."""

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.errors import Invalid, Unavailable
from headgate.source_columns import RECORD
from headgate.sources import Setting
from headgate.sources.cursor_values import cursor_of, is_behind, value_of
from headgate.sources.cursors import Cursor
from headgate.sources.generators import BATCH_ROWS, GeneratorSource
from headgate.testing.source_suite import Situation, SourceSuite, rows_of


def source(
    read: Callable[[object], object], *, appends: bool = True, takes_cursor: bool = True
) -> GeneratorSource:
    setting = Setting(root=Path(), cache=Path(), appends=appends)
    options = {"read": read, "title": "orders()", "takes_cursor": takes_cursor}
    return GeneratorSource(options, setting)


class TestPagesOfNumbers(SourceSuite):
    def situation(self, directory: Path) -> Situation:
        numbers = list(range(1, 8))
        colours: dict[int, str] = {}

        def pages(cursor: object) -> object:
            after = cursor or 0
            assert isinstance(after, int)
            for at in range(after, len(numbers), 3):
                chunk = numbers[at : at + 3]
                yield [row(n) for n in chunk], chunk[-1]

        def row(n: int) -> dict[str, object]:
            plain: dict[str, object] = {"n": n, "name": f"name {n}"}
            return {**plain, "colour": colours[n]} if n in colours else plain

        def grow() -> list[dict[str, object]]:
            more = [len(numbers) + 1, len(numbers) + 2]
            numbers.extend(more)
            return [row(n) for n in more]

        def widen() -> list[dict[str, object]]:
            colours[len(numbers) + 1] = "red"
            numbers.append(len(numbers) + 1)
            return [row(numbers[-1])]

        def nobody(_: object) -> object:
            raise Unavailable("shop-away", "The shop is away.", hint="Try again.")
            yield

        return Situation(
            open=lambda: source(pages),
            rows=[row(n) for n in numbers],
            grow=grow,
            widen=widen,
            empty=lambda: source(lambda _: iter(())),
            unreachable=lambda: source(nobody),
        )


NAIVE = datetime.fromisoformat("2026-01-01")
VALUES = st.one_of(
    st.integers(-(2**60), 2**60),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
    st.dates(),
    st.datetimes(),
    st.datetimes(timezones=st.just(UTC)),
)


@given(st.one_of(VALUES, st.lists(VALUES), st.dictionaries(st.text(), VALUES)))
def test_a_cursor_comes_back_as_what_it_was(value: object) -> None:
    cursor = cursor_of(value, kind="generator")
    back = value_of(Cursor.parse(cursor.text(), kind="generator"))
    assert back == value
    assert type(back) is type(value)
    assert not is_behind(cursor, cursor)


@given(st.one_of(*(st.tuples(kind, kind) for kind in (
    st.integers(), st.text(), st.dates(), st.datetimes(), st.datetimes(timezones=st.just(UTC)),
    st.lists(st.integers(), min_size=2, max_size=2), st.tuples(st.datetimes(), st.integers()),
))))  # fmt: skip
def test_cursors_are_ordered_as_their_values(pair: tuple[object, object]) -> None:
    one, two = pair
    cursors = [cursor_of(value, kind="generator") for value in (one, two)]
    assert is_behind(*cursors) == (one < two)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("before", "after"),
    [(1, "1"), (1, [1]), ("a", date(2026, 1, 1)), ({"a": 1, "b": 1}, {"a": 2}),
     ({"a": 1, "b": 5}, {"a": 2, "b": 4}), (NAIVE, NAIVE.replace(tzinfo=UTC)),
     ([1, 2], [1]), (5, {"a": 6})],
)  # fmt: skip
def test_what_does_not_follow_is_behind(before: object, after: object) -> None:
    def read(_: object) -> object:
        yield {"id": 1}, before
        yield {"id": 2}, after

    with closing(source(read)) as opened, pytest.raises(Invalid) as raised:
        list(opened.read(None))
    assert raised.value.code == "cursor-descends"


def test_instants_of_other_zones_are_compared_as_instants() -> None:
    berlin = timezone(timedelta(hours=1))
    earlier = cursor_of(datetime(2026, 1, 1, 12, tzinfo=berlin), kind="g")
    later = cursor_of(datetime(2026, 1, 1, 11, 30, tzinfo=UTC), kind="g")
    assert is_behind(earlier, later)
    assert not is_behind(later, earlier)


@pytest.mark.parametrize(
    "bad",
    [
        True,
        float("nan"),
        float("inf"),
        None.__class__,
        {1: 2},
        [True],
        b"x",
        pd.NaT,
        pd.Timestamp("2026-01-01 00:00:00.123456789"),
    ],
)
def test_what_has_no_order_is_no_cursor(bad: object) -> None:
    with pytest.raises(Invalid) as raised:
        cursor_of(bad, kind="generator")
    assert raised.value.code == "bad-cursor"


@pytest.mark.parametrize(
    "rows",
    [
        {"id": 1, "name": "a"},
        [{"id": 1, "name": "a"}],
        pa.table({"id": [1], "name": ["a"]}),
        pa.record_batch({"id": [1], "name": ["a"]}),
        pd.DataFrame({"id": [1], "name": ["a"]}),
        pd.DataFrame({"name": ["a"]}, index=pd.Index([1], name="id")),
        pl.DataFrame({"id": [1], "name": ["a"]}),
        pl.LazyFrame({"id": [1], "name": ["a"]}),
        pa.table({"id": [1], "name": ["a"]}).to_reader(),
    ],
)
@pytest.mark.parametrize("how", ["yield", "yield pair", "return", "return pair"])
def test_rows_of_every_kind_are_taken(rows: object, how: str) -> None:
    def yielding(_: object) -> object:
        yield (rows, 5) if how == "yield pair" else rows

    def returning(_: object) -> object:
        return (rows, 5) if how == "return pair" else rows

    if isinstance(rows, pa.RecordBatchReader):
        rows = pa.table({"id": [1], "name": ["a"]}).to_reader()
    read = yielding if how.startswith("yield") else returning
    with closing(source(read, takes_cursor="pair" in how)) as opened:
        [batch] = opened.read(None)
    assert rows_of([batch]) == [{"id": 1, "name": "a"}]
    if not isinstance(rows, (dict, list)):
        assert set(batch.rows.schema.types) == {pa.int64(), pa.string()}
    assert (batch.cursor and value_of(batch.cursor)) == (5 if "pair" in how else None)


def test_rows_one_by_one_are_gathered_up_to_the_last_cursor() -> None:
    def read(_: object) -> object:
        for n in range(BATCH_ROWS + 5):
            yield {"n": n}, n

    with closing(source(read)) as opened:
        one, two = opened.read(None)
    assert (one.rows.num_rows, two.rows.num_rows) == (BATCH_ROWS, 5)
    assert one.cursor is not None
    assert value_of(one.cursor) == BATCH_ROWS - 1


def test_rows_that_no_cursor_covers_are_refused_where_they_would_come_again() -> None:
    def read(_: object) -> object:
        yield {"n": 1}, 1
        yield {"n": 2}

    with closing(source(read)) as opened, pytest.raises(Invalid, match="after the cursor 1"):
        list(opened.read(None))
    with closing(source(read, appends=False)) as opened:
        assert len(list(opened.read(None))) == 1


def test_a_frame_in_parts_has_its_cursor_at_the_end() -> None:
    parts = [pa.table({"n": [1]}), pa.table({"n": [2]})]
    with closing(source(lambda _: (parts, 9))) as opened:
        one, two = opened.read(None)
    assert one.cursor is None
    assert two.cursor is not None


@pytest.mark.parametrize("wrong", [None, 7, "rows", b"rows", (1, 2, 3), pd.Series([1])])
def test_what_is_no_rows_is_refused_by_name(wrong: object) -> None:
    with (
        closing(source(lambda _: wrong)) as opened,
        pytest.raises(Invalid, match=r"orders\(\) gave"),
    ):
        list(opened.read(None))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (7, "7"), (2**70, str(2**70)), (1.5, "1.5"), (float("nan"), '"NaN"'), (None, "null"),
        ([float("-inf")], '["-Infinity"]'), (Decimal("1.10"), "1.10"), ("x", '"x"'),
        (NAIVE.replace(tzinfo=UTC), '"2026-01-01T00:00:00Z"'), (NAIVE, '"2026-01-01T00:00:00"'),
        (date(2026, 1, 2), '"2026-01-02"'), (b"\xff\x00", '"/wA="'), (np.int64(7), "7"),
        (np.float64("nan"), '"NaN"'), (pd.Timestamp("2026-01-02"), '"2026-01-02T00:00:00"'),
        (pd.NaT, "null"), (pd.NA, "null"), ({"a": [1, {"b": None}]}, '{"a":[1,{"b":null}]}'),
        (UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
    ],
)  # fmt: skip
def test_values_of_dicts_are_kept_by_rule(value: object, text: str) -> None:
    with closing(source(lambda _: [{"v": value}], takes_cursor=False)) as opened:
        [batch] = opened.read(None)
    assert batch.rows.to_pylist() == [{RECORD: f'{{"v":{text}}}'}]


def test_a_value_nobody_knows_is_refused() -> None:
    with closing(source(lambda _: [{"v": object()}])) as opened, pytest.raises(Invalid) as raised:
        list(opened.read(None))
    assert raised.value.code == "source-value-unknown"


def test_a_cursor_without_rows_moves_on() -> None:
    def read(_: object) -> object:
        yield [{"n": 1}], 1
        yield [], 7
        yield []

    with closing(source(read)) as opened:
        batches = list(opened.read(None))
    assert [batch.rows.num_rows for batch in batches] == [1, 0]
    assert batches[-1].cursor == cursor_of(7, kind="generator")


def test_a_reading_that_ends_early_lets_the_function_clean_up() -> None:
    ended: list[bool] = []

    def read(_: object) -> object:
        try:
            while True:
                yield [{"n": 1}], len(ended)
        finally:
            ended.append(True)

    reading = source(read).read(None)
    next(reading)
    reading.close()  # type: ignore[attr-defined]
    assert ended == [True]


def test_appended_rows_with_a_cursor_that_nobody_hears_are_refused() -> None:
    def read(_: object) -> object:
        yield {"id": 1}, 1

    with closing(source(read, takes_cursor=False)) as opened, pytest.raises(Invalid) as raised:
        list(opened.read(None))
    assert raised.value.code == "cursor-argument-missing"
    with closing(source(read, takes_cursor=False, appends=False)) as opened:
        assert len(list(opened.read(None))) == 1
