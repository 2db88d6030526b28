"""How far a source was read, for people: its cursor in a few words."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Final, Protocol, runtime_checkable

from headgate.errors import HeadgateError
from headgate.sources.cursor_values import value_of
from headgate.sources.cursors import Cursor
from headgate.sources.source import Source

_FUNCTION: Final = "generator"
_ITEMS: Final[Mapping[str, str]] = {"files": "file", "pages": "page"}
_MOST_NAMES: Final = 20
_LONGEST: Final = 200


@runtime_checkable
class SayingHowFar(Protocol):
    """A source that says what a cursor of its own means; others are told by its shape."""

    def how_far(self, cursor: Cursor) -> str:
        """Say in a few words what was read. No I/O, no secrets."""
        ...


def how_far(kind: str, cursor: str, source: Source | None = None) -> str:
    """Say what a stored cursor means, by its source where that can be made."""
    try:
        if source is not None:
            read = source.cursor(cursor)
            return source.how_far(read) if isinstance(source, SayingHowFar) else _by_shape(read)
        read = Cursor.parse(cursor, kind=kind)
        return _value(value_of(read)) if kind == _FUNCTION else _by_shape(read)
    except HeadgateError:  # of another kind, or newer than this: what stands there is all there is
        return cut(cursor)


def cut(text: str) -> str:
    """Give a text on one line of some length."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def plain(value: object) -> str:
    """Give an instant as ``2026-01-02 03:04:05Z``, anything else as it is written."""
    try:
        instant = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        return cut(str(value))
    if isinstance(value, str) and len(value) <= len("2026-01-02"):
        return value
    text = instant.replace(tzinfo=None).isoformat(sep=" ")
    offset = instant.utcoffset()
    if offset is None:
        return text
    return f"{text}Z" if not offset else f"{text}{instant:%z}"


def _by_shape(cursor: Cursor) -> str:
    if cursor.items is not None:
        names = sorted(cursor.items)
        noun = _ITEMS.get(cursor.kind, "item")
        counted = f"{len(names):,} {noun}{'' if len(names) == 1 else 's'}"
        more = f", and {len(names) - _MOST_NAMES:,} more" if len(names) > _MOST_NAMES else ""
        return f"{counted}: {', '.join(names[:_MOST_NAMES])}{more}" if names else counted
    match cursor.sequence:
        case (int(number), str(state)) if state[:1] in {"{", "["}:  # of libraries: opaque to us
            return f"state {number}: {cut(state)}"
        case _:
            return ", ".join(plain(part) for part in cursor.sequence or ())


def _value(value: object) -> str:
    """Say the value of a function's cursor."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} up to {_value(each)}" for name, each in value.items())
    if isinstance(value, list):
        return ", ".join(_value(each) for each in value)
    if isinstance(value, datetime) or not isinstance(value, date):
        return plain(value) if isinstance(value, datetime) else cut(str(value))
    return value.isoformat()
