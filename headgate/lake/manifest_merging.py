"""Manifest merging: which manifests a commit writes as one, so that every commit costs the same.

Manifests are kept in tiers by size: up to 9, 99 and 999 files. Ten of one tier become one of the
next, and manifests of 1,000 files and more are left alone. So an entry is written three more times
in its life, a table has few manifests, and no commit rewrites more than 1,000 files' entries per
tier. Only manifests of one write-time schema become one: that is how a file's schema is known for
ever.
"""

from collections.abc import Sequence
from dataclasses import dataclass

FANOUT = 10
_TIERS = 3


@dataclass(frozen=True, slots=True)
class Size:
    """A manifest's write-time schema and number of files."""

    schema: int
    files: int

    @property
    def tier(self) -> int:
        """0 for 1 to 9 files, 1 for 10 to 99, and so on; the last is never merged."""
        return min(len(str(self.files)) - 1, _TIERS)


def merge_groups(sizes: Sequence[Size]) -> list[list[int]]:
    """Give the positions of manifests that become one, in order; most groups hold one position."""
    groups = [([position], size) for position, size in enumerate(sizes)]
    while True:
        classes: dict[tuple[int, int], list[int]] = {}
        for number, (_, size) in enumerate(groups):
            if size.tier < _TIERS:
                classes.setdefault((size.schema, size.tier), []).append(number)
        full = next((numbers for numbers in classes.values() if len(numbers) >= FANOUT), None)
        if full is None:
            return [positions for positions, _ in groups]
        positions = [position for number in full for position in groups[number][0]]
        files = sum(groups[number][1].files for number in full)
        merged = (positions, Size(groups[full[0]][1].schema, files))
        groups = [
            merged if number == full[0] else group
            for number, group in enumerate(groups)
            if number == full[0] or number not in full
        ]
