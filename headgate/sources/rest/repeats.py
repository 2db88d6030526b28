"""Records met twice in one reading, because the list moved while it was read."""

from collections.abc import Sequence
from enum import Enum, auto

import msgspec

from headgate.sources.rest.boundary import normal
from headgate.sources.rest.paths import MISSING, Path, picker


class Met(Enum):
    """Whether a record is new to a reading."""

    NEW = auto()
    AGAIN = auto()
    """It was given before, as it is."""
    CHANGED = auto()
    """It was given before, and has changed since."""


class Identities:
    """Which records were given, by the fields that name one: some 150 bytes each.

    Kept are hashes of 64 bits: of a million records, two are taken for one with a chance of 3e-8.
    """

    def __init__(self, identity: Sequence[Path]) -> None:
        self._picks = [picker(path) for path in identity]
        self._given: dict[int, int] = {}
        self._unnamed = 0

    def __len__(self) -> int:
        return len(self._given) + self._unnamed

    def meet(self, record: msgspec.Raw) -> Met:
        """Say whether it was met before; one that lacks a field is always new."""
        values = [pick(record) for pick in self._picks]
        if any(value is MISSING or value is None for value in values):
            self._unnamed += 1
            return Met.NEW
        name = hash(msgspec.json.encode(values, order="deterministic"))
        content = hash(normal(record))
        before = self._given.get(name)
        if before is None:
            self._given[name] = content
            return Met.NEW
        return Met.AGAIN if before == content else Met.CHANGED
