"""Footprints meet wherever a row could lie in both, and cover what they stand for."""

from hypothesis import given
from hypothesis import strategies as st

from headgate.lake import Footprint, Range, cover, meet

values = st.integers(-3, 3)
ranges = st.builds(Range, low=st.one_of(st.none(), values), high=st.one_of(st.none(), values))
footprints = st.dictionaries(st.sampled_from(("x", "y")), ranges, max_size=2)
rows = st.fixed_dictionaries({"x": values, "y": values})


def holds(footprint: Footprint, row: dict[str, int]) -> bool:
    return all(
        (span.low is None or span.low <= row[column])  # type: ignore[operator]
        and (span.high is None or row[column] <= span.high)  # type: ignore[operator]
        for column, span in footprint.items()
    )


@given(footprints, footprints, rows)
def test_a_row_in_both_means_they_meet(
    one: Footprint, other: Footprint, row: dict[str, int]
) -> None:
    if holds(one, row) and holds(other, row):
        assert meet(one, other)


@given(footprints, footprints)
def test_meeting_is_mutual(one: Footprint, other: Footprint) -> None:
    assert meet(one, other) == meet(other, one)


@given(st.lists(footprints, max_size=3), rows)
def test_a_cover_holds_every_row(parts: list[Footprint], row: dict[str, int]) -> None:
    if any(holds(each, row) for each in parts):
        assert holds(cover(parts), row)


def test_unlike_values_may_be_the_same_row() -> None:
    one: Footprint = {"x": Range(low=1, high=2)}
    other: Footprint = {"x": Range(low="a", high="b")}
    assert meet(one, other)
    assert cover([one, other]) == {"x": Range()}


def test_the_whole_table_meets_everything() -> None:
    one: Footprint = {"x": Range(low=1, high=2)}
    assert meet({}, one)
    assert meet(None, one)
    assert cover([]) == {}
    assert cover([one, {}]) == {}
