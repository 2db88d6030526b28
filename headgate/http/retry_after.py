"""When the other side wants to be asked again: what it says in its headers."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

_EPOCHS_BEGIN = 1_000_000_000
"""A reset above it is an instant in Unix seconds, below it a number of seconds."""


def asked_wait(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """Give the wait an answer asks for; None where it names none. Names of headers are lower-case.

    ``Retry-After`` (RFC 9110) is seconds, or a date, which is measured from the answer's own
    ``Date`` where it has one: the two clocks need not agree. Without it, a rate that is used up
    (``x-ratelimit-remaining: 0``) ends at ``x-ratelimit-reset``.
    """
    said = headers.get("retry-after")
    if said is not None:
        return _seconds(said) if _number(said) is not None else _until(said, headers, now)
    if headers.get("x-ratelimit-remaining", "").strip() == "0":
        reset = _number(headers.get("x-ratelimit-reset", ""))
        if reset is not None and reset > _EPOCHS_BEGIN:
            return max(timedelta(), timedelta(seconds=reset) - (_sent(headers, now) - _EPOCH))
        if reset is not None:
            return _seconds(str(reset))
    return None


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_S = 10.0**9


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 <= number < float("inf") else None


def _seconds(text: str) -> timedelta:
    return timedelta(seconds=min(float(text), _LONGEST_S))


def _until(text: str, headers: Mapping[str, str], now: datetime) -> timedelta | None:
    instant = _date(text)
    return None if instant is None else max(timedelta(), instant - _sent(headers, now))


def _sent(headers: Mapping[str, str], now: datetime) -> datetime:
    return _date(headers.get("date", "")) or now


def _date(text: str) -> datetime | None:
    try:
        instant = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
