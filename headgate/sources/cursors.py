"""Cursors: how far a source has been read. Ordered, serialisable, versioned.

A cursor is stored as text in the commit of the rows it covers. Two shapes are enough for every
source:

- ``sequence``: a list of numbers or texts, compared item by item (an offset, a date and a page);
- ``items``: a mapping of what has been read to the state it was read in (files, partitions of a
topic);
  one cursor is before another if the other covers all it covers, and more.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self, TypeAlias

from headgate.digests import canonical_json
from headgate.errors import Invalid

Scalar: TypeAlias = int | float | str
VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """How far a source of one ``kind`` has been read.

    Exactly one of ``sequence`` and ``items`` is set. ``version`` is that of the source's own
    meaning of the values: a source refuses what it does not know.
    """

    kind: str
    version: int = VERSION
    sequence: tuple[Scalar, ...] | None = None
    items: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        """Check that there is one position.

        Raises:
            Invalid: ``bad-cursor``.
        """
        if (self.sequence is None) == (self.items is None):
            raise Invalid(
                "bad-cursor", f"A cursor of {self.kind} has one position, not none or two."
            )

    def text(self) -> str:
        """Give the cursor as text: equal cursors, equal texts."""
        body: dict[str, object] = {"kind": self.kind, "version": self.version}
        if self.sequence is not None:
            body["sequence"] = list(self.sequence)
        if self.items is not None:
            body["items"] = dict(self.items)
        return canonical_json(body).decode()

    @classmethod
    def parse(cls, text: str, *, kind: str, version: int = VERSION) -> Self:
        """Read a cursor back; only the source that wrote it can.

        Raises:
            Invalid: ``bad-cursor``, ``cursor-of-another-source``, ``cursor-too-new``.
        """
        body = _body(text)
        if body["kind"] != kind:
            raise Invalid(
                "cursor-of-another-source",
                f"The cursor was written by a source of the kind {body['kind']!r}, not {kind!r}.",
                hint="Give the step another name, or read the source from its beginning.",
                kind=body["kind"],
            )
        if not isinstance(body["version"], int) or body["version"] > version:
            raise Invalid(
                "cursor-too-new",
                f"A cursor of {kind} has version {body['version']}; {version} is known here.",
                hint="Upgrade headgate.",
                version=body["version"],
            )
        sequence, items = body.get("sequence"), body.get("items")
        return cls(
            kind=kind,
            version=body["version"],
            sequence=tuple(sequence) if isinstance(sequence, list) else None,
            items=dict(items) if isinstance(items, dict) else None,
        )

    def __le__(self, other: "Cursor") -> bool:
        """Say whether the other cursor covers all that this one covers."""
        if self.kind != other.kind:
            return False
        if self.sequence is not None and other.sequence is not None:
            return self.sequence <= other.sequence
        if self.items is not None and other.items is not None:
            return self.items.keys() <= other.items.keys()
        return False

    def __lt__(self, other: "Cursor") -> bool:
        """Say whether the other cursor covers more."""
        return self <= other and self != other


def _body(text: str) -> dict[str, object]:
    try:
        body = json.loads(text)
    except ValueError as error:
        raise Invalid("bad-cursor", f"This is no cursor: {text[:80]!r}.") from error
    if not isinstance(body, dict) or not {"kind", "version"} <= body.keys():
        raise Invalid("bad-cursor", f"This is no cursor: {text[:80]!r}.")
    return body
