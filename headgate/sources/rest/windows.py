"""Stretches of time: which there are, and how their ends are written. Pure."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from headgate.sources.rest.declaration import Windows


def stretches(
    windows: Windows, begin: datetime, now: datetime
) -> Iterator[tuple[datetime, datetime]]:
    """Give each stretch from ``begin`` to ``now`` less the lag; the last may be shorter.

    It ends at a time that the format can write: what is written rounded would be passed over.
    """
    end = _floor(now - windows.lag, _resolution(windows.format))
    low = begin
    while low < end:
        high = min(low + windows.step, end)
        yield low, high
        low = high


def value_of(instant: datetime, form: str) -> str | int:
    """Write an instant as the API wants it."""
    utc = instant.astimezone(UTC)
    if form == "unix":
        return int(utc.timestamp())
    if form == "unix_ms":
        return round(utc.timestamp() * 1000)
    if form == "date":
        return utc.strftime("%Y-%m-%d")
    if form == "iso":
        return utc.isoformat().replace("+00:00", "Z")
    return utc.strftime(form)


def _resolution(form: str) -> timedelta:
    if form == "date":
        return timedelta(days=1)
    if "%" not in form or any(code in form for code in ("%S", "%T", "%X", "%c", "%s", "%r")):
        return timedelta(seconds=1)
    if any(code in form for code in ("%M", "%R")):
        return timedelta(minutes=1)
    return timedelta(hours=1) if "%H" in form or "%I" in form else timedelta(days=1)


def _floor(instant: datetime, resolution: timedelta) -> datetime:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return epoch + (instant.astimezone(UTC) - epoch) // resolution * resolution
