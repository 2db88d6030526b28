"""Footprints: which rows of a table were looked at or changed, as a closed range per column.

A footprint must cover every row it stands for; it may cover more. A row whose column is NULL lies
in no range of that column, so a read of such rows must not name the column.
"""

from collections.abc import Iterable

from headgate.lake.operations import Footprint, Range, Scalar


def meet(one: Footprint | None, other: Footprint | None) -> bool:
    """Whether some row could lie in both. None and the empty footprint are the whole table."""
    if not one or not other:
        return True
    for column, mine in one.items():
        theirs = other.get(column)
        if theirs is not None and (_below(mine, theirs) or _below(theirs, mine)):
            return False
    return True


def cover(footprints: Iterable[Footprint]) -> Footprint:
    """Give the smallest footprint that covers all of these; of none: the whole table."""
    found = list(footprints)
    if not found or not all(found):
        return {}
    shared = [column for column in found[0] if all(column in other for other in found)]
    return {column: _hull([footprint[column] for footprint in found]) for column in shared}


def _below(one: Range, other: Range) -> bool:
    """Whether every value of ``one`` is less than every value of ``other``; False where unknown."""
    if one.high is None or other.low is None:
        return False
    try:
        return bool(one.high < other.low)  # type: ignore[operator]
    except TypeError:
        return False


def _hull(ranges: list[Range]) -> Range:
    try:
        return Range(
            low=_least([each.low for each in ranges]),
            high=_greatest([each.high for each in ranges]),
        )
    except TypeError:
        return Range()


def _least(bounds: list[Scalar]) -> Scalar:
    return None if None in bounds else min(bounds)  # type: ignore[type-var]


def _greatest(bounds: list[Scalar]) -> Scalar:
    return None if None in bounds else max(bounds)  # type: ignore[type-var]
