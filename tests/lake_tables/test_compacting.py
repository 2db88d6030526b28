"""Which files a compaction takes: each once, in range, by partition, and never for nothing."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.filesets import DataFile
from headgate.lake import Group, batches, files_until_due, plan_groups
from headgate.lake.compacting import LEAST_BYTES, MOST_BYTES, SORTED_BYTES, TARGET_BYTES

MB = 1024 * 1024


def file(number: int, size: int, *, rows: int = 10, part: object = None, low: object = None):
    bounds = {"k": (low, low)} if low is not None else {}
    partition = {} if part is None else {"part": part}
    return DataFile(
        path=f"f{number}",
        rows=rows,
        size_bytes=size,
        checksum="",
        bounds=bounds,
        partition=partition,
    )


sizes = st.one_of(
    st.integers(1, 64 * 1024),
    st.integers(1, 16 * MB),
    st.integers(1, LEAST_BYTES - 1),
    st.integers(LEAST_BYTES, 700 * MB),
)
described = st.lists(
    st.tuples(sizes, st.sampled_from([None, "a", "b"]), st.none() | st.integers(0, 9)), max_size=60
)


def made(found) -> list[DataFile]:
    return [file(n, size, part=part, low=low) for n, (size, part, low) in enumerate(found)]


def rewritten(files: list[DataFile], groups: tuple[Group, ...]) -> list[DataFile]:
    """The table after a plan is carried out by an engine that makes bytes of bytes."""
    gone = {each.path for group in groups for each in group.files}
    left = [each for each in files if each.path not in gone]
    for number, group in enumerate(groups):
        todo = group.size_bytes
        while todo > 0:
            size = min(todo, group.file_size_bytes)
            todo -= size
            new = file(0, size, part=group.files[0].partition.get("part"))
            left.append(DataFile(**{**fields(new), "path": f"new{number}-{todo}"}))
    return left


def fields(one: DataFile) -> dict[str, object]:
    return {name: getattr(one, name) for name in DataFile.__dataclass_fields__}


def by_partition(files: list[DataFile]) -> dict[object, list[DataFile]]:
    found: dict[object, list[DataFile]] = {}
    for each in files:
        found.setdefault(each.partition.get("part"), []).append(each)
    return found


@given(described, st.sampled_from([(), ("k",)]), st.sampled_from([0, 3, 10]))
def test_every_file_is_taken_at_most_once_and_with_its_own_partition(found, sort_by, after) -> None:
    files = made(found)
    groups = plan_groups(files, sort_by=sort_by, after=after)
    taken = Counter(each.path for group in groups for each in group.files)
    assert set(taken.values()) <= {1}
    assert taken.keys() <= {each.path for each in files}
    for group in groups:
        assert len({each.partition.get("part") for each in group.files}) == 1
        assert len(group.files) > 1
        assert all(each.size_bytes < LEAST_BYTES for each in group.files)


@given(described)
def test_small_files_with_company_are_all_taken_and_come_out_in_range(found) -> None:
    files = made(found)
    groups = plan_groups(files)
    for part, members in by_partition(files).items():
        small = {each.path for each in members if each.size_bytes < LEAST_BYTES}
        mine = [g for g in groups if g.files[0].partition.get("part") == part]
        taken = {each.path for group in mine for each in group.files}
        assert taken == (small if len(small) > 1 else set())
        total = sum(group.size_bytes for group in mine)
        if total >= LEAST_BYTES:
            assert all(LEAST_BYTES <= group.size_bytes <= MOST_BYTES for group in mine)
        else:
            assert len(mine) <= 1


@given(described, st.sampled_from([(), ("k",)]))
def test_compacting_again_and_again_ends_with_one_small_file_a_partition(found, sort_by) -> None:
    files = made(found)
    for _ in range(10):
        groups = plan_groups(files, sort_by=sort_by)
        if not groups:
            break
        files = rewritten(files, groups)
    assert not plan_groups(files, sort_by=sort_by)
    for members in by_partition(files).values():
        assert sum(each.size_bytes < LEAST_BYTES for each in members) <= 1


@given(described)
def test_what_was_compacted_is_left_alone(found) -> None:
    files = made(found)
    assert not plan_groups(rewritten(files, plan_groups(files)))


@given(described)
def test_sorted_groups_are_of_neighbours_and_bounded(found) -> None:
    files = made([(size, part, low or 0) for size, part, low in found])
    for group in plan_groups(files, sort_by=("k",)):
        lows = [each.bounds["k"][0] for each in group.files]
        assert lows == sorted(lows)
        assert group.size_bytes <= SORTED_BYTES
        assert (group.file_size_bytes == MOST_BYTES) == (group.size_bytes <= MOST_BYTES)


def test_groups_whose_ranges_overlap_are_sorted_together() -> None:
    apart = [file(n, 100 * MB, low=n) for n in range(12)]
    assert [len(g.files) for g in plan_groups(apart, sort_by=("k",))] == [3, 3, 3, 3]
    mixed = [DataFile(**{**fields(each), "bounds": {"k": (0, 100)}}) for each in apart]
    groups = plan_groups(mixed, sort_by=("k",))
    assert [len(g.files) for g in groups] == [9, 3]
    assert groups[0].file_size_bytes == TARGET_BYTES


def test_files_with_bounds_of_no_kind_come_first() -> None:
    files = [file(0, 10, low="b"), file(1, 10), file(2, 10, low="a")]
    [group] = plan_groups(files, sort_by=("k",))
    assert [each.path for each in group.files] == ["f1", "f2", "f0"]


def test_a_file_far_too_large_is_divided_by_hand_only_and_if_it_has_the_rows() -> None:
    large = file(0, 3 * 1024 * MB, rows=50_000_000)
    [group] = plan_groups([large])
    assert group.files == (large,)
    assert group.file_size_bytes == TARGET_BYTES
    assert not plan_groups([large], after=1)
    assert not plan_groups([file(0, 3 * 1024 * MB, rows=1000)])
    assert not plan_groups([file(0, MOST_BYTES + 1, rows=50_000_000)])


# -- by policy


@given(described, st.integers(2, 12))
def test_by_policy_a_partition_is_due_with_enough_files_of_one_size(found, after) -> None:
    files = made(found)
    taken = {each.path for group in plan_groups(files, after=after) for each in group.files}
    for members in by_partition(files).values():
        small = [each for each in members if each.size_bytes < LEAST_BYTES]
        counts = Counter(len(str(each.size_bytes)) for each in small)
        full = max((tier for tier, count in counts.items() if count >= after), default=0)
        for each in members:
            due = each in small and len(str(each.size_bytes)) <= full
            assert (each.path in taken) == due


@given(described, st.integers(2, 12), described)
def test_nothing_is_due_before_so_many_files_came(found, after, more) -> None:
    files = made(found)
    wait = files_until_due(files, after)
    assert (wait == 0) == bool(plan_groups(files, after=after))
    new = [DataFile(**{**fields(each), "path": f"n-{each.path}"}) for each in made(more)]
    assert wait == 0 or not plan_groups([*files, *new[: wait - 1]], after=after)


@pytest.mark.parametrize("size", [700, 40_000])
def test_by_policy_no_byte_is_rewritten_often_however_many_appends_there_are(size) -> None:
    after, written = 20, 0
    files: list[DataFile] = []
    for number in range(20_000):
        files.append(file(number, size))
        if groups := plan_groups(files, after=after):
            written += sum(group.size_bytes for group in groups)
            files = [
                DataFile(**{**fields(each), "path": f"{number}-{each.path}"})
                for each in rewritten(files, groups)
            ]
    assert len(files) < 5 * after
    assert written < 6 * 20_000 * size


# -- batches


@given(described, st.integers(1, 900 * MB))
def test_batches_are_the_groups_in_order_within_the_limit(found, limit) -> None:
    groups = plan_groups(made(found))
    cut = list(batches(groups, limit))
    assert tuple(group for batch in cut for group in batch) == groups
    for batch in cut:
        assert len(batch) == 1 or sum(group.size_bytes for group in batch) <= limit
    for batch, following in pairwise(cut):
        assert sum(g.size_bytes for g in batch) + following[0].size_bytes > limit
