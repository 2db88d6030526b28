"""Instants as the metastore stores them: whole microseconds since 1970, in UTC."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def stored(at: datetime) -> int:
    """Give the number that stands for an instant."""
    return (at - _EPOCH) // _MICROSECOND


def instant(number: int) -> datetime:
    """Give the instant a number stands for."""
    return _EPOCH + timedelta(microseconds=number)
