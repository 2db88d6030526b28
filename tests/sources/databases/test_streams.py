"""What makes columns and streams: decimals by their bits, several streams as one."""

import itertools
import threading
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.sources.databases.decimals import from_digits, from_text
from headgate.sources.databases.side_by_side import side_by_side

DIGITS = st.one_of(st.none(), st.integers(-(10**18) + 1, 10**18 - 1))


@given(digits=st.lists(DIGITS, max_size=20), scale=st.integers(0, 18))
def test_decimals_have_the_bits_of_their_digits(digits, scale):
    whole = np.array([d or 0 for d in digits], np.int64)
    there = np.array([d is not None for d in digits], np.bool_) if None in digits else None
    found = from_digits(pa.decimal128(18, scale), whole, there)
    found.validate(full=True)
    expected = [None if d is None else Decimal(d).scaleb(-scale) for d in digits]
    assert found.to_pylist() == expected
    assert found.null_count == digits.count(None)


@pytest.mark.parametrize("text", ["1.234", "NaN", "x", "123456789"])
def test_text_that_is_no_such_decimal_is_an_error_and_never_rounded(text):
    cast = from_text(pa.decimal128(8, 2))
    assert cast(pa.chunked_array([["-1.5", None]])).to_pylist() == [Decimal("-1.50"), None]
    with pytest.raises(pa.ArrowInvalid):
        cast(pa.chunked_array([[text]]))


def tables(*numbers):
    for number in numbers:
        yield pa.table({"n": [number]})


def numbers(stream):
    return sorted(row["n"] for table in stream for row in table.to_pylist())


@given(parts=st.lists(st.lists(st.integers(0, 9), max_size=20), max_size=5))
def test_every_table_of_every_stream_comes_once(parts):
    works = [lambda part=part: tables(*part) for part in parts]
    assert numbers(side_by_side(works)) == sorted(itertools.chain(*parts))


def test_what_one_stream_raises_is_raised_and_ends_the_others():
    ended = threading.Event()

    def endless():
        try:
            while True:
                yield from tables(1)
        finally:
            ended.set()

    def failing():
        yield from tables(1)
        raise LookupError("the third page")

    with pytest.raises(LookupError, match="the third page"):
        for _ in side_by_side([endless, failing]):
            pass
    assert ended.is_set()
    assert not [thread for thread in threading.enumerate() if "(_follow)" in thread.name]


def test_closing_ends_every_stream():
    ended = []

    def endless():
        try:
            while True:
                yield from tables(1)
        finally:
            ended.append(True)

    stream = side_by_side([endless, endless, endless])
    next(stream)
    stream.close()
    assert len(ended) == 3
