"""Flags: the conditions a mask is made of."""

from dataclasses import dataclass

from headgate.contracts import checks


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """One condition of a mask: when a row violates a check."""

    check: checks.Check | checks.Typed
    sql: str
