"""Elements read out of their records in one pass are what they are as records of their own."""

import json

import duckdb
import pyarrow as pa
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from headgate.contracts import text_cast
from headgate.names import quote
from headgate.records import (
    Level,
    RecordRules,
    carried,
    child_shape,
    decide,
    exploded,
    guarded,
    is_carried_whole,
    merged,
    of_text,
    place_of,
    select,
    unfolded,
)
from headgate.records.shapes import NOTHING

PATH = "p.items"
SCALARS = st.none() | st.integers(-5, 5) | st.sampled_from([0.5, 2**60, 10**30, "x", "\x01", True])
VALUES = SCALARS | st.lists(SCALARS, max_size=2) | st.dictionaries(st.just("d"), SCALARS)
OBJECTS = st.none() | st.dictionaries(st.sampled_from(["a", "b", "A", "value", 'q"']), VALUES)
ELEMENTS = st.one_of(
    st.lists(OBJECTS, max_size=3), st.lists(SCALARS, max_size=3), st.lists(VALUES, max_size=3)
)
RECORDS = st.lists(
    st.one_of(
        st.builds(lambda items: {"p": {"items": items}}, ELEMENTS | st.none()),
        st.sampled_from([{}, {"p": None}, {"p": 5}, {"p": {}}, {"p": {"Items": [1]}}]),
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=300, deadline=None)
@given(RECORDS)
@example([{"p": {"items": [None, {"a": 1}, {}]}}, {"p": {"items": [{"b": [1, None]}]}}])
@example([{"p": {"items": ["x", None, 1]}}, {"p": 5}])
@example([{"p": {"items": [[1], [], None]}}])
def test_elements_are_the_same_in_passing(records: list[object]) -> None:
    kept = guarded(pa.array([json.dumps(record) for record in records]))
    whole = NOTHING
    for text in kept.texts.to_pylist():
        whole = merged(whole, of_text(text))
    assume(whole.fields.get("p", NOTHING).element is None)
    found = place_of(whole, PATH, "t")
    assume(is_carried_whole(found))
    shape = child_shape(found)
    assume(not shape.holds_nothing)
    tagged = any(kept.single.to_pylist())
    level = Level(table="t", shape=shape, rules=RecordRules(), cast=text_cast, tagged=tagged)
    plan = decide(level, {})
    rows = pa.array(range(len(records)), pa.int64())
    table = pa.table({"_hg_row": rows, "_hg_root": rows, "_hg_record": kept.texts})
    table = table.append_column("_hg_position", pa.nulls(len(records), pa.string()))
    of_values = found.element is not None and "object" not in found.element.kinds
    alone = carried(f"({exploded('records', PATH, is_deeper=False)})", plan.carried)
    passing = unfolded("records", PATH, plan.carried, beside=("_hg_root",), of_values=of_values)
    with duckdb.connect() as connection:
        connection.register("records", table)
        names = ", ".join(quote(each.name) for each in plan.columns)
        places = ("_hg_root", "_hg_index", "_hg_outer")
        rows_of = [
            connection.execute(
                f"select {', '.join(places)}, {names} "
                f"from ({select(plan, each, also=places)}) order by 1, 2"
            ).fetchall()
            for each in (alone, passing)
        ]
    assert rows_of[0] == rows_of[1]
    assert len(rows_of[0]) == sum(
        len(record["p"].get("items") or [])
        for record in records
        if isinstance(record, dict) and isinstance(record.get("p"), dict)
    )
