"""Compacting, planned: which of a table's files become which larger ones. Pure.

Small files of one partition are rewritten together into files of 128 to 512 MB; what is in range
already is left alone, and so is a small file without company. Planning the result of a plan gives
nothing, as soon as the bytes come out as large as they went in; else it gives fewer files each
time.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from headgate.filesets import DataFile

LEAST_BYTES = 128 * 1024 * 1024
"""A file below is small."""
TARGET_BYTES = 256 * 1024 * 1024
MOST_BYTES = 512 * 1024 * 1024
"""No file is written larger."""
SORTED_BYTES = 1024 * 1024 * 1024
"""What is sorted together at most: it bounds what a sort spills to disk."""
_ROW_GROUP_ROWS = 122_880
"""Engines begin a new file between row groups only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Files of one partition that are written anew together, into files of ``file_size_bytes``."""

    files: tuple[DataFile, ...]
    file_size_bytes: int = MOST_BYTES

    @property
    def rows(self) -> int:
        """How many rows they hold."""
        return sum(file.rows for file in self.files)

    @property
    def size_bytes(self) -> int:
        """How large they are."""
        return sum(file.size_bytes for file in self.files)


def plan_groups(
    files: Iterable[DataFile], *, sort_by: Sequence[str] = (), after: int = 0
) -> tuple[Group, ...]:
    """Give the files to write anew, in groups.

    With ``after`` only where a partition has so many small files of about one size, and then with
    those that are smaller: what is rewritten grows tenfold each time, so that no row is rewritten
    often. Without, every small file that has company, and what is far too large.
    """
    groups: list[Group] = []
    for members in _partitions(files):
        small = [file for file in members if file.size_bytes < LEAST_BYTES]
        if after:
            small = _due(small, after)
        else:
            groups += (_divided(file) for file in members if _is_far_too_large(file))
        if len(small) > 1:
            groups += _grouped(small, sort_by)
    return tuple(groups)


def files_until_due(files: Iterable[DataFile], after: int) -> int:
    """Give how many files a table gets, at least, before ``plan_groups`` finds something."""
    fullest = 0
    for members in _partitions(files):
        counts: dict[int, int] = {}
        for file in members:
            if file.size_bytes < LEAST_BYTES:
                counts[_tier(file)] = counts.get(_tier(file), 0) + 1
        fullest = max(fullest, *counts.values(), 0)
    return max(after - fullest, 0)


def batches(groups: Sequence[Group], limit_bytes: int) -> Iterator[tuple[Group, ...]]:
    """Divide groups, in order, into batches of at most so many bytes, or of one group."""
    batch: list[Group] = []
    size = 0
    for group in groups:
        if batch and size + group.size_bytes > limit_bytes:
            yield tuple(batch)
            batch, size = [], 0
        batch.append(group)
        size += group.size_bytes
    if batch:
        yield tuple(batch)


def _partitions(files: Iterable[DataFile]) -> Iterable[list[DataFile]]:
    found: dict[tuple[tuple[str, object], ...], list[DataFile]] = {}
    for file in files:
        found.setdefault(tuple(sorted(file.partition.items())), []).append(file)
    return found.values()


def _tier(file: DataFile) -> int:
    return len(str(file.size_bytes))


def _due(small: Sequence[DataFile], after: int) -> list[DataFile]:
    """Give the files of the largest size of which there are enough, and the smaller ones."""
    counts: dict[int, int] = {}
    for file in small:
        counts[_tier(file)] = counts.get(_tier(file), 0) + 1
    full = max((tier for tier, count in counts.items() if count >= after), default=0)
    return [file for file in small if _tier(file) <= full]


def _is_far_too_large(file: DataFile) -> bool:
    pieces = file.size_bytes // TARGET_BYTES
    return file.size_bytes > 2 * MOST_BYTES and file.rows >= pieces * _ROW_GROUP_ROWS


def _divided(file: DataFile) -> Group:
    return Group(files=(file,), file_size_bytes=TARGET_BYTES)


def _grouped(small: Sequence[DataFile], sort_by: Sequence[str]) -> list[Group]:
    """Divide small files of one partition into groups of about the target's size."""
    if not sort_by:
        return [Group(files=tuple(part)) for part in _balanced(small)]
    ordered = sorted(small, key=lambda file: _rank(_bounds(file, sort_by[0])[0]))
    groups: list[list[DataFile]] = []
    for part in _balanced(ordered):
        if groups and _sort_together(groups[-1], part, sort_by[0]):
            groups[-1] += part
        else:
            groups.append(part)
    return [
        Group(
            files=tuple(group),
            file_size_bytes=MOST_BYTES if _size(group) <= MOST_BYTES else TARGET_BYTES,
        )
        for group in groups
    ]


def _balanced(files: Sequence[DataFile]) -> list[list[DataFile]]:
    """Cut a sequence into parts of nearly equal size; a file belongs where its middle lies.

    No file is larger than half the target. Parts of the target and more, before the cuts move by
    half a file at each end, end up within the range.
    """
    total = _size(files)
    count = max(total // TARGET_BYTES, 1)
    parts: list[list[DataFile]] = [[] for _ in range(count)]
    before = 0
    for file in files:
        middle = before + file.size_bytes // 2
        parts[min(middle * count // max(total, 1), count - 1)].append(file)
        before += file.size_bytes
    return [part for part in parts if part]


def _sort_together(group: Sequence[DataFile], other: Sequence[DataFile], column: str) -> bool:
    """Tell whether two groups, the first with the lower rows, share a range, and may be one."""
    if _size(group) + _size(other) > SORTED_BYTES:
        return False
    highest = [_bounds(file, column)[1] for file in group]
    lowest = [_bounds(file, column)[0] for file in other]
    if None in highest or None in lowest:
        return True  # not known: floats have no upper bound
    return max(map(_rank, highest)) > min(map(_rank, lowest))


def _size(files: Iterable[DataFile]) -> int:
    return sum(file.size_bytes for file in files)


def _bounds(file: DataFile, column: str) -> tuple[object, object]:
    return file.bounds.get(column, (None, None))


def _rank(bound: object) -> tuple[int, float, str]:
    """Give what bounds are ordered by: a column has numbers or text, a file may have neither."""
    match bound:
        case int() | float():
            return (1, bound, "")
        case str():
            return (2, 0, bound)
        case _:
            return (0, 0, "")
