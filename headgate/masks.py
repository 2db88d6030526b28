"""Row checks as SQL: how a contract tells an engine what to look for, without knowing it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

ROWS = "_rows"
"""The name under which a mask's preparations find the rows that are being written."""

MASK_BITS = 63
"""How many checks one mask carries: the bits of a BIGINT without its sign."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskQuery:
    """Row checks as SQL: ``expression`` is an integer whose bit i is set where check i is violated.

    ``preparations`` are queries run first, in order, each into a temporary table of that name
    (duplicate keys, missing references); they read the rows being written under the name ``_rows``.
    ``expression`` reads the columns by their bare names, and preparations. ``quarantine_bits``
    are the bits whose rows go to quarantine; a row with any other bit stays in (its check fails or
    warns and is counted). ``names`` has at most 63 checks, one per bit.
    """

    expression: str
    names: tuple[str, ...]
    quarantine_bits: int
    preparations: Mapping[str, str] = field(default_factory=dict)
