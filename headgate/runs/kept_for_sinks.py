"""What the lake keeps for sinks: a pin at the commit that each one has, and so all after it.

The pin also says how far a sink is as far as the lake knows, and which tables it has.
"""

import json
from collections.abc import Sequence

from headgate.digests import digest
from headgate.lake import Pin, commit_collected
from headgate.runs.sink_states import SinkState
from headgate.runs.wiring import Wiring
from headgate.sinks import Position

_FIRST = "to be delivered first"


class KeptForSink:
    """The pins of one sink."""

    def __init__(self, wiring: Wiring, sink: str) -> None:
        self._wiring = wiring
        self._sink = sink

    def position(self) -> Position | None:
        """Give the newest position that was noted down in the lake."""
        found = [_pinned(self._wiring, pin) for pin in self._pins() if not _is_first(pin)]
        return max(found, key=lambda position: position.number, default=None)

    def hold(self, position: Position) -> None:
        """Keep a commit, and all that comes after it.

        Raises:
            NotFound: ``commit-collected``.
        """
        self._pin(self._id(position), position.commit, _shown(position.tables))

    def hold_first(self, commit: str) -> None:
        """Keep a commit for the first delivery, and no longer what an earlier try was to bring.

        Raises:
            NotFound: ``commit-collected``.
        """
        own = f"sink/{self._sink}/{commit}/first"
        self._pin(own, commit, _FIRST)
        self._unpin([pin for pin in self._pins() if _is_first(pin) and pin.id != own])

    def let_go(self, *, before: Position) -> None:
        """Let go of what the sink has left behind; a deliverer that is further on keeps its own."""
        own, link = self._id(before), self._wiring.lake.metastore.link
        left = [p for p in self._pins() if p.id != own and link(p.commit).number <= before.number]
        self._unpin(left)

    def keep_only(self, position: Position | None) -> None:
        """Let go of all but a position; None: of all."""
        own = "" if position is None else self._id(position)
        self._unpin([pin for pin in self._pins() if pin.id != own])

    def _id(self, position: Position) -> str:
        tables = digest(_shown(position.tables))[:12]
        return f"sink/{self._sink}/{position.commit}/{tables}"

    def _pins(self) -> list[Pin]:
        return _pins_of(self._wiring, self._sink)

    def _pin(self, id: str, commit: str, why: str) -> None:
        now = self._wiring.clock.now()
        pin = Pin(id=id, kind="sink", holder=self._sink, commit=commit, created=now, why=why)
        if not self._wiring.lake.metastore.retention.pin(pin):
            raise commit_collected(commit, at=now)

    def _unpin(self, pins: Sequence[Pin]) -> None:
        for pin in pins:
            self._wiring.lake.metastore.retention.unpin(pin.id)


def let_go_of_sink(wiring: Wiring, sink: str) -> None:
    """Keep nothing for a sink any more."""
    KeptForSink(wiring, sink).keep_only(None)


def undeclared_sinks(wiring: Wiring, declared: Sequence[str]) -> tuple[SinkState, ...]:
    """Give the sinks for which the lake keeps something, and which are not declared any more."""
    names = dict.fromkeys(pin.holder for pin in _pins_of(wiring) if pin.holder not in declared)
    found = {name: KeptForSink(wiring, name).position() for name in names}
    return tuple(
        SinkState(
            name=name,
            kind="",
            title="not declared any more",
            branch="",
            tables=dict(has.tables if has else ()),
            has=has,
            declared=False,
        )
        for name, has in found.items()
    )


def _pins_of(wiring: Wiring, sink: str | None = None) -> list[Pin]:
    pins = wiring.lake.metastore.retention.pins()
    return [pin for pin in pins if pin.kind == "sink" and sink in (None, pin.holder)]


def _is_first(pin: Pin) -> bool:
    return pin.id.endswith("/first")


def _shown(tables: Sequence[tuple[str, str]]) -> str:
    """Say which tables a destination has; ``_pinned`` reads it. JSON, because names may be odd."""
    return json.dumps(dict(tables), ensure_ascii=False)


def _pinned(wiring: Wiring, pin: Pin) -> Position:
    number = wiring.lake.metastore.link(pin.commit).number
    return Position(commit=pin.commit, number=number, tables=tuple(json.loads(pin.why).items()))
