"""Spans of time as people write them in settings and on the command line: ``30d``, ``12h``."""

import re
from datetime import timedelta

_SPAN = re.compile(r"(?P<count>\d{1,6})\s*(?P<unit>[wdhms]?)\Z")
_UNITS = {
    "w": timedelta(weeks=1),
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
}


def span(value: object) -> timedelta:
    """Give the span a text means: a whole number and a unit; 0 needs none.

    Raises:
        ValueError: it means none; the error's text says what does.
    """
    found = _SPAN.match(value.strip()) if isinstance(value, str) else None
    if found is None or (not found["unit"] and int(found["count"])):
        raise ValueError('a span of time like "30d", "12h" or "90m"')
    return int(found["count"]) * _UNITS[found["unit"] or "s"]
