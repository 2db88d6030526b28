"""What a survey tells of kept records is what the engine tells of them, one by one."""

import json
from contextlib import closing

import pyarrow as pa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from headgate.engines import DuckDB
from headgate.records import Shape, guarded
from headgate.runs.record_shapes import RecordShapes, Span

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.sampled_from([0.5, 2.0, 2**53 + 1, 10**25, 1e300, "x", "\x01", "2026-01-31"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abA"), inner, max_size=3)
    ),
    max_leaves=6,
)
RECORDS = st.dictionaries(st.sampled_from(["k", "l", "K"]), VALUES, max_size=3).map(json.dumps)
DOUBLED = st.just('{"k": {"a": 1, "a": 2}, "l": "x"}')


def plain(one: Shape) -> object:
    """Give what a shape says."""
    return (
        one.kinds,
        {key: plain(inner) for key, inner in one.fields.items()},
        None if one.element is None else plain(one.element),
        one.is_map,
    )


def shapes(texts: list[str], spans: list[Span]) -> tuple[object, list[str]]:
    """Give the shape of records, and the keys of those that would be asked for doubled ones."""
    kept = guarded(pa.array(texts, pa.string()))
    rows = pa.array(range(len(texts)), pa.int64())
    table = pa.table({"_hg_row": rows, "_hg_record": kept.texts, "_hg_single": kept.single})
    with DuckDB(threads=1) as engine, closing(engine.session()) as session:
        session.bind({"_hg_records": table})
        found = RecordShapes(session, "_hg_records", spans, has_large=kept.has_large)
        shape = found.shape("_hg_records", tagged=any(kept.single.to_pylist()))
        asked = f"select list(_hg_record) as found from _hg_records where {found.untold}"
        return plain(shape), list(session.scalars(asked)["found"] or [])  # type: ignore[call-overload]


@settings(max_examples=60, deadline=None)
@example(['{"k": 0.5, "l": [9007199254740993], "K": {}}'], 0)
@given(st.lists(RECORDS | RECORDS | DOUBLED, min_size=1, max_size=30), st.integers(0, 30))
def test_a_survey_tells_what_the_engine_tells(texts: list[str], cut: int) -> None:
    count = len(texts)
    cut = min(cut, count)
    spans = [span for span in ((0, cut), (cut, count)) if span[0] < span[1]]
    told, asked = shapes(texts, spans)
    assert told == shapes(texts, [])[0]
    assert asked.count('{"k": {"a": 1, "a": 2}, "l": "x"}') == texts.count(
        '{"k": {"a": 1, "a": 2}, "l": "x"}'
    )


def test_keys_come_in_order_and_those_of_records_looked_at_singly_last() -> None:
    texts = ['{"a": 1}', '{"b": [1, "x"]}', '{"c": 1}', '{"c": 1, "a": 1, "d": 1}', '{"e": "x"}']
    for spans in ([], [(0, 5)], [(0, 3), (3, 5)]):
        told, _ = shapes(texts, spans)  # type: ignore[arg-type]
        assert isinstance(told, tuple)
        assert list(told[1]) == ["a", "c", "d", "e", "b"]


def test_a_survey_that_tells_little_is_given_up() -> None:
    texts = [json.dumps({"a": "x" if n % 2 else n}) for n in range(20_000)]
    told, left = shapes(texts, [(0, 20_000)])
    assert told == plain(Shape(frozenset({"object"}), {"a": Shape(frozenset({"integer", "text"}))}))
    assert len(left) > 19_000


def test_keys_that_are_data_are_a_map_whoever_tells() -> None:
    texts = [json.dumps({"id": n, "of": {f"k{n}": n, "x": [n]}}) for n in range(3_000)]
    told, left = shapes(texts, [(0, 3_000)])
    assert told == shapes(texts, [])[0]
    assert left  # a reader of columns had better not go on
