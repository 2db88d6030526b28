"""Names: a key has the same column whatever comes with it, and no two keys have one."""

from hypothesis import given
from hypothesis import strategies as st

from headgate.records.naming import column_names, renamed

KEYS = st.lists(
    st.sampled_from(["a", "A", "b", "", "B", "\x00", "_hg_x", "_mask", "ß", "SS", "ss"])
    | st.text(max_size=3),
    unique=True,
    max_size=8,
)


@given(KEYS, KEYS)
def test_columns_are_told_apart_without_capitals(keys: list[str], earlier: list[str]) -> None:
    present = list(column_names(earlier).values())
    names = column_names(keys, present)
    folded = [name.casefold() for name in names.values()]
    assert len({*folded}) == len(keys)
    assert all(folded)
    known = {name.casefold(): name for name in present}
    assert all(known.get(name.casefold(), name) == name for name in names.values())


@given(KEYS, KEYS)
def test_a_key_finds_its_column_again(first: list[str], second: list[str]) -> None:
    present = column_names(first)
    again = column_names([*second, *first], list(present.values()))
    assert {key: again[key] for key in first} == dict(present)


def test_names_are_the_keys_where_they_can_be() -> None:
    assert column_names(["id", "Name", "a.b"]) == {"id": "id", "Name": "Name", "a.b": "a.b"}
    assert column_names(["a", "A"]) == {"a": "a", "A": renamed("A")}
    assert column_names(["A"], ["a"]) == {"A": renamed("A")}
