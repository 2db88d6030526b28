"""Shapes: the kinds at each place, the same whoever found them."""

import json

import duckdb
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.records.guarding import guarded
from headgate.records.shapes import NOTHING, Shape, merged, of_structure, of_text

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x01"), max_size=5)
)
KEYS = st.sampled_from(["a", "b", "A", "c.d", 'q"', "~/", ""])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
RECORDS = st.dictionaries(KEYS, VALUES, max_size=4)


def shape(*records: object) -> Shape:
    whole = NOTHING
    for record in records:
        whole = merged(whole, of_text(json.dumps(record)))
    return whole


def plain(one: Shape) -> object:
    """Give what a shape says, whatever the order in which it was found.

    Whole numbers beside others in one list are not told apart by an engine.
    """
    return (
        one.kinds - {"integer"} if "number" in one.kinds else one.kinds,
        {key: plain(inner) for key, inner in one.fields.items()},
        None if one.element is None else plain(one.element),
        one.is_map,
    )


@given(RECORDS, RECORDS, RECORDS)
def test_merging_is_the_same_in_any_order(one: object, two: object, three: object) -> None:
    a, b, c = (of_text(json.dumps(each)) for each in (one, two, three))
    assert plain(merged(merged(a, b), c)) == plain(merged(c, merged(b, a)))
    assert merged(a, a) == a


@settings(max_examples=300, deadline=None)
@given(RECORDS)
def test_a_structure_says_what_the_values_say(record: object) -> None:
    text = json.dumps(record)
    [[structure]] = duckdb.execute("select json_structure(?::json)::varchar", [text]).fetchall()
    if '"JSON"' in structure and "[" in structure:
        return  # looked at value by value
    assert plain(of_structure(structure)) == plain(of_text(text))


def test_numbers_that_are_kept_as_texts_say_what_they_are() -> None:
    big, exact, large = "1" * 30, "0.1234567890123456789", str(2**60)
    texts = pa.array([f'{{"a": {big}}}', f'{{"a": {exact}}}', f'{{"a": [{large}]}}', '{"a": 1.5}'])
    kept = guarded(texts)
    assert kept.faults.null_count == 4
    assert kept.has_large
    assert kept.single.to_pylist() == [True, True, False, False]
    kinds = [of_text(text).fields["a"] for text in kept.texts.to_pylist()]
    assert [set(each.kinds) for each in kinds] == [{"big"}, {"exact"}, {"list"}, {"number"}]
    assert kinds[2].element == Shape(frozenset({"integer"}))


def test_what_holds_nothing_makes_no_column() -> None:
    assert shape({"a": None}, {"a": {}}, {"a": {"b": None}}).fields["a"].holds_nothing
    assert shape({"a": []}, {"a": [[]]}).fields["a"].holds_nothing
    assert not shape({"a": {"b": 0}}).fields["a"].holds_nothing


def test_too_many_keys_are_a_map() -> None:
    whole = shape(*({f"k{n}": 1} for n in range(1_500)))
    assert whole.is_map
    assert not whole.fields


def test_what_is_no_number_in_json_is_one_here() -> None:
    found = of_text('{"a": [NaN, "NaN", -Infinity], "b": nan, "nan": "\\"inf"}')
    assert found.fields["a"].element == Shape(frozenset({"number", "text"}))
    assert found.fields["b"].kinds == {"number"}
    assert found.fields["nan"].kinds == {"text"}
