"""Allocation: the part of the metastore that tables need."""

from collections.abc import Mapping, Sequence
from typing import Protocol


class Allocation(Protocol):
    """Where numbers come from that mean the same on every branch."""

    def allocate(self, table: str, names: Sequence[str], *, at_least: int = 1) -> Mapping[str, int]:
        """Give each name its number within ``table``: the one it has, or the next, for ever."""
        ...
