"""Numerics as PostgreSQL sends them: the same decimals, or refused; never rounded."""

import random
import struct
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.errors import HeadgateError
from headgate.sources.databases.postgresql_numbers import Unfit, from_sent

NAN, INFINITY, MINUS_INFINITY = (struct.pack(">4H", 0, 0, s, 0) for s in (0xC000, 0xD000, 0xF000))


def sent(value):
    """Write a number as ``numeric_send`` does: without zeros at either end."""
    if value is None:
        return None
    sign, digits, exponent = value.as_tuple()
    after = -(-max(-exponent, 0) // 4)
    whole = int("".join(map(str, digits))) * 10 ** (exponent + 4 * after)
    words = []
    while whole:
        whole, word = divmod(whole, 10_000)
        words.insert(0, word)
    weight = len(words) - after - 1
    while words and not words[-1]:
        words.pop()
    head = (len(words), weight if words else 0, 0x4000 if sign and words else 0)
    return struct.pack(f">HhHH{len(words)}H", *head, max(-exponent, 0), *words)


@st.composite
def columns(draw):
    precision = draw(st.integers(1, 18))
    scale = draw(st.integers(0, precision))
    most = 10**precision - 1
    whole = st.one_of(st.integers(-most, most), st.sampled_from([most, -most, 0, 1, 10_000]))
    number = whole.map(lambda n: Decimal(max(-most, min(n, most))).scaleb(-scale))
    chunks = st.lists(st.lists(st.one_of(st.none(), number), max_size=12), max_size=3)
    return pa.decimal128(precision, scale), draw(chunks)


def made(type_, chunks, *, skip=0, none=False):
    before = [sent(Decimal("123456.789"))] * skip
    arrays = [pa.array([*before, *chunk], pa.binary())[skip:] for chunk in chunks]
    found = from_sent(type_, none=none)(pa.chunked_array(arrays, pa.binary()))
    found.validate(full=True)
    assert found.type == type_
    return found.to_pylist()


@given(column=columns(), skip=st.integers(0, 3))
def test_every_number_that_fits_is_the_same(column, skip):
    type_, chunks = column
    expected = [value for chunk in chunks for value in chunk]
    assert made(type_, [[sent(v) for v in chunk] for chunk in chunks], skip=skip) == expected


@given(
    value=st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30),
    precision=st.integers(1, 18),
    scale=st.integers(0, 18),
)
def test_a_number_is_the_same_or_refused(value, precision, scale):
    type_ = pa.decimal128(precision, min(scale, precision))
    fits = abs(value) < Decimal(10) ** (precision - type_.scale) and (
        Decimal(value).normalize().as_tuple().exponent >= -type_.scale or not value
    )
    others = [sent(Decimal(0)), None]
    if fits:
        assert made(type_, [[sent(value), *others]]) == [value, 0, None]
    else:
        with pytest.raises(Unfit, match=rf"does not fit decimal\({precision}, {type_.scale}\)"):
            made(type_, [[sent(value), *others]])


@pytest.mark.parametrize("special", [NAN, INFINITY, MINUS_INFINITY])
def test_what_is_not_finite_is_refused_or_null(special):
    type_, column = pa.decimal128(6, 2), [[sent(Decimal("1.5")), special, None]]
    with pytest.raises(Unfit, match="NaN or infinity"):
        made(type_, column)
    assert made(type_, column, none=True) == [Decimal("1.5"), None, None]


@pytest.mark.parametrize("broken", [b"", b"\0", b"\0" * 7, b"\0" * 9, b"\0\1" + b"\0" * 6])
def test_bytes_of_another_form_are_an_error(broken):
    with pytest.raises(HeadgateError) as caught:
        made(pa.decimal128(6, 2), [[sent(Decimal(1)), broken, None]])
    assert caught.value.code == "numeric-form-unknown"


@pytest.mark.parametrize("kind", ["numeric(18, 0)", "numeric(18, 18)", "numeric(12, 2)", "numeric"])
def test_a_server_sends_numbers_so(pg, opened, kind):
    chance = random.Random(kind)
    scale = {"numeric(18, 0)": 0, "numeric(18, 18)": 18, "numeric(12, 2)": 2, "numeric": 5}[kind]
    digits = 12 if kind in {"numeric(12, 2)", "numeric"} else 18
    numbers = [
        Decimal(chance.randrange(10 ** chance.randint(1, digits))).scaleb(-scale)
        * chance.choice([1, -1])
        for _ in range(500)
    ]
    numbers[::9] = [None] * len(numbers[::9])
    values = ", ".join(f"({n}, {'null' if v is None else v})" for n, v in enumerate(numbers))
    pg.execute(f"create table sent (n int, c {kind})", f"insert into sent values {values}")
    [batch] = opened(pg.url(), query="select * from sent order by n").read(None)
    assert pa.types.is_decimal(batch.rows.schema.field("c").type)
    assert batch.rows.column("c").to_pylist() == numbers


@pytest.mark.parametrize(
    ("numbers", "value", "what"),
    [
        ("decimal(6, 2)", "12345", "decimal(6, 2)"),
        ("decimal(6, 2)", "0.001", "decimal(6, 2)"),
        ("decimal(6, 2)", "1e130000", "decimal(6, 2)"),
        ("decimal(6, 2)", "1e-16000", "decimal(6, 2)"),
        ("decimal(6, 2)", "'Infinity'", "NaN or infinity"),
    ],
)
def test_a_number_that_does_not_fit_what_was_said_is_refused_by_name(
    pg, opened, numbers, value, what
):
    pg.execute("create table wide (c numeric)", f"insert into wide values (1), ({value}), (null)")
    with pytest.raises(HeadgateError) as caught:
        list(opened(pg.url(), "wide", numbers=numbers).read(None))
    assert caught.value.code == "database-value-unsupported"
    assert what in caught.value.message
    assert caught.value.facts["column"] == "c"
