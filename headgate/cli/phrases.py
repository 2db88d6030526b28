"""Short phrases: counts, durations, ids, example rows."""

import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal

COMMIT_DIGITS = 6
RUN_DIGITS = 4
_LONG_VALUE = 40
_WHOLE_ID = re.compile(r"\b[0-9a-f]{40}\b")
_MINUTE_S = 60
_HOUR_S = 3600


def counted(count: int, noun: str) -> str:
    """Say ``1 row``, ``3,322 rows``."""
    return f"{count:,} {noun if count == 1 else noun + 's'}"


def without_quarantines(tables: Iterable[str]) -> tuple[str, ...]:
    """Give the tables that people named, without those that hold their rejected rows."""
    return tuple(table for table in tables if not table.startswith("_quarantine."))


def duration(seconds: float) -> str:
    """Say ``40 ms``, ``3.2 s``, ``2 min 5 s``, ``1 h 12 min``."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < _MINUTE_S:
        return f"{seconds:.1f} s"
    if seconds < _HOUR_S:
        return f"{int(seconds) // _MINUTE_S} min {int(seconds) % _MINUTE_S} s"
    return f"{int(seconds) // _HOUR_S} h {int(seconds) % _HOUR_S // _MINUTE_S} min"


def short(commit: str | None) -> str:
    """Give a commit's first digits."""
    return commit[:COMMIT_DIGITS] if commit else "nothing"


def shortened(text: str) -> str:
    """Give a text or a ref with the ids of commits in it cut to their first digits."""
    return _WHOLE_ID.sub(lambda found: short(found[0]), text)


def short_run(run: str) -> str:
    """Give a run's first digits."""
    return run[:RUN_DIGITS]


def size(count: int) -> str:
    """Say ``512 B``, ``1.4 MB``."""
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:  # noqa: PLR2004 - SI
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def instant(value: datetime) -> str:
    """Give an instant to the second, in UTC: ``2026-11-01 12:00:00``."""
    return value.strftime("%Y-%m-%d %H:%M:%S")


def example(row: Mapping[str, object]) -> str:
    """Give a row as ``(name='Envoy Air', hour=4)``; long values are cut."""
    return "(" + ", ".join(f"{name}={_value(value)}" for name, value in row.items()) + ")"


def _value(value: object) -> str:
    if isinstance(value, date | Decimal):
        return str(value)
    text = "null" if value is None else repr(value)
    return text if len(text) <= _LONG_VALUE else text[: _LONG_VALUE - 1] + "…"
