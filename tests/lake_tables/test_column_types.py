"""Column types: text and tree say the same, and paths that differ have texts that differ."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.errors import Internal
from headgate.lake.column_types import (
    Field,
    ListOf,
    MapOf,
    StructOf,
    fields,
    highest_id,
    parse,
    path_text,
    plain,
    text,
)
from headgate.lake.operations import Column

PRIMITIVES = st.sampled_from(["int", "string", "decimal(9, 2)", "fixed[16]", "timestamptz"])
IDS = st.integers(0, 99)
NAMES = st.text(min_size=1, max_size=6)


def nested(inner):
    return (
        st.builds(ListOf, inner, IDS)
        | st.builds(MapOf, inner, inner, IDS, IDS)
        | st.builds(
            StructOf,
            st.lists(st.builds(Field, NAMES, inner, IDS), min_size=1, max_size=4).map(tuple),
        )
    )


TYPES = st.recursive(PRIMITIVES, nested, max_leaves=8)


@given(TYPES)
def test_a_type_is_read_back_from_its_text(type_):
    assert parse(text(type_)) == type_


@given(TYPES)
def test_plain_text_has_no_ids_and_is_its_own_plain_text(type_):
    assert plain(text(type_)) == plain(type_) == plain(plain(type_))
    assert highest_id([Column(name="a", type=plain(type_), id=0)]) == 0


@given(st.lists(NAMES, min_size=1, max_size=4), st.lists(NAMES, min_size=1, max_size=4))
def test_paths_that_differ_have_texts_that_differ(one, other):
    assert (path_text(tuple(one)) == path_text(tuple(other))) == (one == other)


def test_odd_names_are_quoted():
    type_ = StructOf((Field("a b", "int", 1), Field('say "x"', "long", 2)))
    assert text(type_) == 'struct<1: "a b": int, 2: "say \\"x\\"": long>'


def test_every_nested_field_is_found_with_its_path():
    column = Column(name="m", type="map<2: string, 3: list<4: struct<5: x: int>>>", id=1)
    assert [(path_text(path), id_) for path, id_, _ in fields([column])] == [
        ("m", 1),
        ("m.key", 2),
        ("m.value", 3),
        ("m.value.element", 4),
        ("m.value.element.x", 5),
    ]


@pytest.mark.parametrize("wrong", ["", "list<int", "struct<a int>", "int>", "map<int>"])
def test_a_text_that_is_no_type_is_refused(wrong):
    with pytest.raises(Internal) as error:
        parse(wrong)
    assert error.value.code == "bad-column-type"
