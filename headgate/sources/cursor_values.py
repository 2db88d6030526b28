"""Cursors of plain values: numbers, texts, days, instants, lists of these, mappings of texts.

A value comes back as what it was. Values of one shape are ordered; others are not comparable.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import cast

import msgspec

from headgate.errors import Invalid
from headgate.sources.cursors import Cursor, Scalar

_ONE, _LIST = "one", "list"


def cursor_of(value: object, *, kind: str) -> Cursor:
    """Give a value as a cursor.

    Raises:
        Invalid: ``bad-cursor``.
    """
    if isinstance(value, Mapping):
        items = {
            _name(name): msgspec.json.encode(_written(v)).decode() for name, v in value.items()
        }
        return Cursor(kind=kind, items=items)
    if isinstance(value, (list, tuple)):
        parts = [part for each in cast("Sequence[object]", value) for part in _written(each)]
        return Cursor(kind=kind, sequence=(_LIST, *parts))
    return Cursor(kind=kind, sequence=(_ONE, *_written(value)))


def value_of(cursor: Cursor) -> object:
    """Give the value of a cursor back.

    Raises:
        Invalid: ``bad-cursor``: the text was not written by ``cursor_of``.
    """
    try:
        if cursor.items is not None:
            return {name: _read(*msgspec.json.decode(v)) for name, v in cursor.items.items()}
        shape, *parts = cursor.sequence or ()
        found = [_read(*pair) for pair in zip(parts[::2], parts[1::2], strict=True)]
        [one] = found if shape == _ONE else [found]
    except (ValueError, TypeError, msgspec.DecodeError) as error:
        raise Invalid("bad-cursor", f"This is no cursor of values: {cursor.text()}.") from error
    return one


def is_behind(cursor: Cursor, last: Cursor) -> bool:
    """Whether a cursor is not at, or after, the last one: less in a part, or of another shape."""
    if cursor.items is not None and last.items is not None:
        if not cursor.items.keys() >= last.items.keys():
            return True
        return any(
            not _reaches(msgspec.json.decode(cursor.items[name]), msgspec.json.decode(value))
            for name, value in last.items.items()
        )
    if cursor.sequence is None or last.sequence is None:
        return True
    return not _reaches(cursor.sequence, last.sequence)


def _reaches(one: Sequence[Scalar], other: Sequence[Scalar]) -> bool:
    """Whether one is at or after the other, item by item; words for kinds must be alike."""
    if len(one) != len(other):
        return False
    for mine, theirs in zip(one, other, strict=True):
        if isinstance(mine, str) != isinstance(theirs, str):
            return False
    words = slice(0, None, 2) if len(one) % 2 == 0 else slice(1, None, 2)
    return list(one[words]) == list(other[words]) and tuple(one) >= tuple(other)


def _name(name: object) -> str:
    if not isinstance(name, str):
        raise _bad(name, "a mapping's names are texts")
    return name


def _written(value: object) -> tuple[str, Scalar]:
    """Give a value with the word for what it is; equal words, comparable values."""
    match value:
        case bool():
            raise _bad(value, "true and false have no order")
        case float() if not math.isfinite(value):
            raise _bad(value, "it has no order")
        case int() | float():
            return "number", value
        case str():
            return "text", value
        case datetime() if value != value:  # noqa: PLR0124 - pandas' NaT is a datetime
            raise _bad(value, "it has no order")
        case datetime() if getattr(value, "nanosecond", 0):
            raise _bad(value, "it has nanoseconds, and an instant is kept to the microsecond")
        case datetime() if value.tzinfo is not None:
            return "instant", value.astimezone(UTC).isoformat(timespec="microseconds")
        case datetime():
            return "local", value.isoformat(timespec="microseconds")
        case date():
            return "day", value.isoformat()
        case _:
            raise _bad(value, "it has no order that is known here")


def _read(word: object, value: object) -> object:
    match word, value:
        case ("number", int() | float()) | ("text", str()):
            return value
        case (("instant" | "local"), str()):
            return datetime.fromisoformat(value)
        case "day", str():
            return date.fromisoformat(value)
    raise ValueError(f"no {word}")


def _bad(value: object, why: str) -> Invalid:
    return Invalid(
        "bad-cursor",
        f"{type(value).__name__} is no cursor: {why}.",
        hint="A cursor is an int, a float, a text, a date, an instant, a list of these, or a "
        "mapping of texts to these.",
    )
