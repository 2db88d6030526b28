"""What a table is sorted by is a hint of its entry: writes set it, and follow it."""

from typing import Any

import pyarrow as pa
import pytest

from headgate.errors import Invalid
from headgate.lake import Append, ChangeSchema, Column, Entry, Replace

ROWS = pa.table({"k": [3, 1, 2], "day": ["c", "a", "b"]})


def hint(entry: Entry) -> tuple[str, ...]:
    assert entry.table is not None
    return entry.table.sort_by


def written(bench: Any, before: Entry | None, *sort_by: str, mode: str = "append") -> Entry:
    plan = bench.tables.plan_write(
        before, ROWS.schema, table="t", mode=mode, prefix="p", sort_by=sort_by
    )
    files = bench.tables.collect([bench.file(plan, ROWS)], plan.columns)
    operation = (
        Append(files=files, sort_by=sort_by)
        if mode == "append"
        else Replace(files=files, schema=plan.columns, sort_by=sort_by)
    )
    return bench.tables.apply(before, (*plan.operations, operation), table="t")


def test_a_table_stays_sorted_by_what_it_was_last_told(bench: Any) -> None:
    entry = written(bench, None, "day", "k")
    assert hint(entry) == ("day", "k")
    entry = written(bench, entry)
    assert hint(entry) == ("day", "k")
    assert hint(written(bench, entry, "k")) == ("k",)


def test_rows_for_a_sorted_table_are_sorted_like_it(bench: Any) -> None:
    entry = written(bench, None, "day", "k")
    days = ROWS.select(["day"])
    for rows, expected in ((ROWS, ("day", "k")), (days, ("day",))):
        plan = bench.tables.plan_write(entry, rows.schema, table="t", mode="append", prefix="p")
        assert plan.target.sort_by == expected


def test_a_replacement_is_sorted_by_what_it_says(bench: Any) -> None:
    entry = written(bench, None, "day")
    assert hint(written(bench, entry, mode="replace")) == ()
    assert hint(written(bench, entry, "k", mode="replace")) == ("k",)


def test_the_content_of_a_table_does_not_depend_on_what_it_is_sorted_by(bench: Any) -> None:
    entry = written(bench, None)
    told = bench.tables.apply(entry, (Append(files=(), sort_by=("day",)),), table="t")
    assert hint(told) == ("day",)
    assert told.content == entry.content


def test_what_a_table_is_sorted_by_follows_renamed_columns_and_goes_with_dropped_ones(
    bench: Any,
) -> None:
    entry = written(bench, None, "day", "k")
    assert entry.table is not None
    k, day = entry.table.schema
    renamed = (k, Column(name="date", type=day.type, id=day.id))
    change = ChangeSchema(columns=renamed, what="day is now date")
    assert hint(bench.tables.apply(entry, (change,), table="t")) == ("date", "k")
    dropped = ChangeSchema(columns=(k,), what="day dropped")
    assert hint(bench.tables.apply(entry, (dropped,), table="t")) == ()


def test_sorting_by_a_column_that_is_not_there_is_refused(bench: Any) -> None:
    with pytest.raises(Invalid, match="sorted by 'dya'") as error:
        written(bench, None, "dya")
    assert error.value.code == "sort-unknown-column"
    assert "day" in str(error.value.hint)
