"""Numbers are kept with all of their digits, and nothing else is touched."""

import json
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headgate.records.guarding import TAG, guarded, untagged

NUMBERS = st.from_regex(
    r"-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,4})?", fullmatch=True
)
TEXTS = st.text(max_size=30) | st.sampled_from([TAG, TAG + "1", TAG + TAG, '"', "\\", '\\"1e999'])


def kept(text: str) -> str:
    return str(guarded(pa.array([text])).texts[0].as_py())


@given(NUMBERS)
@example("0." + "0" * 30)
@example("-0")
@example("1e-400")
@example("9" * 19)
@example("1.7976931348623157e308")
def test_a_number_is_read_as_it_was_written(number: str) -> None:
    text = f'{{"a": {number}}}'
    value = json.loads(kept(text))["a"]
    if isinstance(value, str):
        assert value == TAG + number
        value = value.removeprefix(TAG)
    elif isinstance(value, int):
        assert -(2**63) <= value < 2**63
    assert Decimal(str(value)) == Decimal(number)


@given(st.lists(NUMBERS | TEXTS.map(json.dumps), min_size=1, max_size=6))
@example(['"1234567890123456"', "1e400", '"1e400"'])
@example(['"\\\\"', "12345678901234567890123", "0.1234567890123456789"])
def test_numbers_are_told_from_texts_that_look_like_them(tokens: list[str]) -> None:
    values = json.loads(kept(f'{{"a": [{", ".join(tokens)}]}}'))["a"]
    for token, value in zip(tokens, values, strict=True):
        if token.startswith('"'):
            assert value in (json.loads(token), TAG + json.loads(token))
        elif isinstance(value, str):
            assert value == TAG + token
        else:
            assert Decimal(str(value)) == Decimal(token)


@given(st.lists(TEXTS, max_size=5), NUMBERS)
def test_what_is_marked_is_unmarked_again(words: list[str], number: str) -> None:
    text = f'{{"words": {json.dumps(words)}, "n": {number}}}'
    assert untagged(kept(text)) == text
    assert (
        json.loads(kept(text))["words"]
        == [TAG + word if word.startswith(TAG) else word for word in words]
        or kept(text) == text
    )


@pytest.mark.parametrize(("depth", "fault"), [(10, False), (63, False), (64, True), (5_000, True)])
def test_depth_is_counted_outside_of_texts(depth: int, fault: bool) -> None:
    nested = '{"a": ' + "[" * depth + "]" * depth + "}"
    text = json.dumps({"a": "[{" * 5_000})
    faults = guarded(pa.array([nested, text, None])).faults
    assert [each is not None for each in faults.to_pylist()] == [fault, False, False]
