"""The only reader of wall time. Everybody else takes a Clock."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """What time it is, and how long something took."""

    def now(self) -> datetime:
        """Give the current instant, aware, in UTC."""
        ...

    def monotonic_s(self) -> float:
        """Give seconds on a clock that never goes back; only differences mean anything."""
        ...

    def sleep(self, duration: timedelta) -> None:
        """Wait that long."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Give the current instant, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        """Give seconds since some fixed moment."""
        return time.monotonic()

    def sleep(self, duration: timedelta) -> None:
        """Wait that long."""
        time.sleep(duration.total_seconds())


class ManualClock:
    """A clock that stands still until it is moved; sleeping moves it."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = start
        self._start = start

    def now(self) -> datetime:
        """Give the instant the clock was last moved to."""
        return self._now

    def monotonic_s(self) -> float:
        """Give the seconds the clock was moved since it was made."""
        return (self._now - self._start).total_seconds()

    def sleep(self, duration: timedelta) -> None:
        """Move the clock; nobody waits."""
        self.move(duration)

    def move(self, duration: timedelta) -> None:
        """Move the clock forward."""
        self._now += duration
