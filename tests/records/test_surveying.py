"""A survey says what each record says, and leaves those that it cannot tell."""

import json
from itertools import pairwise

import pyarrow as pa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from headgate.records.guarding import guarded
from headgate.records.shapes import NOTHING, Shape, merged, of_text, with_numbers_alike
from headgate.records.surveying import Survey, surveyed

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.sampled_from([2**53, 2**53 + 1, -(2**63), 2**63 - 1, 10**15, -0.0]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
    st.sampled_from(["2026-01-31", "2026-01-31 10:00:00", "\x01", "\x00", "\x1f", 'a":', "ü"]),
)
KEYS = st.sampled_from(["a", "b", "A", "c.d", 'q"', "~/", "", "\x01", "\x00"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
LAYOUTS = st.sampled_from([None, 1])


@st.composite
def records(draw: st.DrawFn) -> list[str]:
    """Give records as JSON, most of them alike."""
    columns = draw(st.dictionaries(KEYS, st.lists(VALUES, min_size=1, max_size=2), max_size=3))
    found = []
    for _ in range(draw(st.integers(1, 40))):
        record = {key: draw(st.sampled_from(values)) for key, values in columns.items()}
        if draw(st.integers(0, 9)) == 0:
            record = draw(st.dictionaries(KEYS, VALUES, max_size=3))
        text = json.dumps(record, indent=draw(LAYOUTS), ensure_ascii=draw(st.booleans()))
        found.append(f" {text}\n" if draw(st.booleans()) else text)
    return found


def plain(one: Shape) -> object:
    """Give what a shape says, keys in their order: whole numbers may be among others unsaid."""
    return (
        one.kinds - {"integer"} if "number" in one.kinds else one.kinds,
        [(key, plain(inner)) for key, inner in one.fields.items()],
        None if one.element is None else plain(one.element),
        one.is_map,
    )


def surveyed_as_kept(texts: list[str]) -> tuple[list[str], Survey]:
    kept = guarded(pa.array(texts))
    fine = kept.texts.filter(pa.compute.invert(kept.single))
    return fine.to_pylist(), surveyed(fine)


@settings(max_examples=300, deadline=None)
@given(records())
@example(['{"a": 1}', '{"a": "x"}', '{"a": 2}'])
@example(['{"a": [1, "x"]}', '{"a": [null]}'])
@example(["{}", "{}"])
def test_a_survey_says_what_the_records_say(texts: list[str]) -> None:
    fine, survey = surveyed_as_kept(texts)
    left = set(survey.left)
    told = NOTHING
    for _, shape in survey.found:
        told = merged(told, shape)
    whole = NOTHING
    for row, text in enumerate(fine):
        if row not in left:
            whole = merged(whole, of_text(text))
    assert plain(told) == plain(whole)
    assert all(one < two for (one, _), (two, _) in pairwise(survey.found))
    assert left <= set(range(len(fine)))


@settings(max_examples=200, deadline=None)
@given(records(), st.data())
def test_a_key_that_is_there_twice_is_left(texts: list[str], data: st.DataObject) -> None:
    key, other = json.dumps("a"), json.dumps("b")
    twice = data.draw(
        st.sampled_from(
            [
                f"{{{key}: 1, {other}: 2, {key}: 1}}",
                f'{{{key}: null, "\\u0061" : null}}',
                f"{{{other}: [{{{key}: 1}}, {{{key}: 1, {key}: []}}]}}",
                f"{{{other}: {{{other}: {{{key}: {{}}, {key}: {{}}}}}}}}",
            ]
        )
    )
    row = data.draw(st.integers(0, len(texts)))
    survey = surveyed(pa.array([*(["{}"] * row), twice, *(["{}"] * 3)]))
    assert survey.left == (row,)
    fine, survey = surveyed_as_kept([*texts[:row], twice, *texts[row:]])
    assert fine.index(twice) in survey.left


def test_one_odd_record_does_not_hide_those_around_it() -> None:
    texts = [json.dumps({"id": n, "total": "n/a" if n % 50 == 7 else n / 4}) for n in range(500)]
    survey = surveyed(pa.array(texts))
    assert survey.left == ()
    kinds = [sorted(shape.fields["total"].kinds) for _, shape in survey.found[:3]]
    assert kinds == [["number"], ["text"], ["number"]]
    assert survey.found[1][0] == 7


def test_records_of_two_minds_are_given_up() -> None:
    texts = [json.dumps({"a": "x" if n % 2 else 1}) for n in range(500)]
    survey = surveyed(pa.array(texts))
    assert len(survey.left) > 400


def test_large_whole_numbers_may_be_among_any_others() -> None:
    texts = pa.array(['{"a": 1.5}', '{"a": 9007199254740993}'])
    assert guarded(texts).has_large
    [(_, shape)] = surveyed(texts).found
    kinds = [with_numbers_alike(shape, has_large=each).fields["a"].kinds for each in (True, False)]
    assert kinds == [{"integer", "number"}, {"number"}]
