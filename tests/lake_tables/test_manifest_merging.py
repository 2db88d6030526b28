"""Merging manifests: few of them, of one schema each, and little written per commit."""

from hypothesis import given
from hypothesis import strategies as st

from headgate.lake.manifest_merging import Size, merge_groups

SIZES = st.builds(Size, st.integers(1, 3), st.integers(1, 3_000))


@given(st.lists(SIZES, max_size=80))
def test_every_manifest_is_in_one_group_of_its_schema(sizes):
    groups = merge_groups(sizes)
    assert sorted(position for group in groups for position in group) == list(range(len(sizes)))
    for group in groups:
        assert len({sizes[position].schema for position in group}) == 1


@given(st.lists(SIZES, max_size=80))
def test_no_tier_keeps_ten_and_large_manifests_are_left_alone(sizes):
    groups = merge_groups(sizes)
    merged = [
        Size(sizes[group[0]].schema, sum(sizes[position].files for position in group))
        for group in groups
    ]
    for size in merged:
        alike = [
            other for other in merged if (other.schema, other.tier) == (size.schema, size.tier)
        ]
        assert size.tier == 3 or len(alike) < 10
    assert all(sizes[p].files < 1_000 for group in groups if len(group) > 1 for p in group)
    assert merge_groups(merged) == [[position] for position in range(len(merged))]


def test_ten_thousand_appends_write_each_entry_four_times_and_keep_few_manifests():
    sizes, entries = [], 0
    for _ in range(10_000):
        groups = merge_groups([*sizes, Size(1, 1)])
        everything = [*sizes, Size(1, 1)]
        sizes = [Size(1, sum(everything[p].files for p in group)) for group in groups]
        entries += 1 + sum(
            size.files for size, group in zip(sizes, groups, strict=True) if len(group) > 1
        )
        assert len(sizes) <= 37
    assert entries <= 4 * 10_000
