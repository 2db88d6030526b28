"""Who may ask a host when: its rate, and the pause it asked for. Pure; times are microseconds."""

from dataclasses import dataclass, field
from datetime import timedelta

_MICROSECOND = timedelta(microseconds=1)


@dataclass(slots=True, kw_only=True)
class Gate:
    """One host's turnstile: a token bucket, and a pause while the host refuses everybody.

    ``interval`` is the time between two requests, ``burst`` how many may go at once. One refused
    request waits by itself; when a second one is refused and none was answered in between, all wait
    until the later of their times.
    """

    interval: timedelta = timedelta()
    burst: int = 1
    _free_at: int = field(default=0, init=False)
    _paused_until: int = field(default=0, init=False)
    _refused_until: int | None = field(default=None, init=False)

    def opens(self, now: int) -> int:
        """Give when the next request may go: now, or later."""
        return max(now, self._paused_until, self._free_at - self._ahead())

    def take(self, now: int) -> None:
        """Hear that a request goes now."""
        self._free_at = max(self._free_at, now) + self.interval // _MICROSECOND

    def slow_down(self, interval: timedelta) -> None:
        """Hear that the host wants at least so much time between two requests."""
        more = max(interval - self.interval, timedelta())
        self.interval += more
        self._free_at += more // _MICROSECOND

    def answered(self) -> None:
        """Hear that the host answered a request."""
        self._refused_until = None

    def refused(self, until: int) -> None:
        """Hear that it was asked too often, and until when the refused request waits."""
        if self._refused_until is not None:
            self._paused_until = max(self._paused_until, self._refused_until, until)
        self._refused_until = max(self._refused_until or 0, until)

    def _ahead(self) -> int:
        return self.interval // _MICROSECOND * (self.burst - 1)
