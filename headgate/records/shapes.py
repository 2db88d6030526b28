"""Shapes: which kinds of values stand at each place of nested records, over all of them.

Kinds are JSON's, numbers told apart by what holds them: ``integer`` (64 bits), ``number`` (a double
that is written back as it was read), ``big`` (a whole number of at most 38 digits) and ``exact``
(digits that none of these keeps). A text is ``text``, whatever it says.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec

from headgate.records.guarding import TAG

WIDEST: Final = 1_000
"""An object with more keys than this is a map: its keys are data, not columns."""

_KINDS: Final = {
    "BOOLEAN": "boolean",
    "UBIGINT": "integer",
    "BIGINT": "integer",
    "HUGEINT": "integer",
    "DOUBLE": "number",
    "VARCHAR": "text",
}
_NOT_FINITE: Final = re.compile(r'"(?:[^"\\]|\\.)*"|-?(?i:infinity|inf|nan)', re.DOTALL)
_MOST_DIGITS: Final = 38


@dataclass(frozen=True, slots=True)
class Shape:
    """The kinds seen at one place. NULL is none.

    ``fields`` are the keys of objects in the order in which they were first seen, ``element`` what
    is in lists. ``is_map``: the objects have too many keys to be columns.
    """

    kinds: frozenset[str] = frozenset()
    fields: "Mapping[str, Shape]" = field(default_factory=dict)
    element: "Shape | None" = None
    is_map: bool = False

    @property
    def has_maps(self) -> bool:
        """Whether there is a map anywhere."""
        below = (*self.fields.values(), *((self.element,) if self.element is not None else ()))
        return self.is_map or any(one.has_maps for one in below)

    @property
    def holds_nothing(self) -> bool:
        """Whether there is no value at all: nothing but NULL, ``{}`` and ``[]``."""
        if self.kinds <= {"object"}:
            return not self.is_map and all(one.holds_nothing for one in self.fields.values())
        return self.kinds == {"list"} and (self.element is None or self.element.holds_nothing)


NOTHING: Final = Shape()


def merged(one: Shape, two: Shape) -> Shape:
    """Give the shape of what has either shape."""
    if two in (one, NOTHING):
        return one
    if one == NOTHING:
        return two
    is_map = one.is_map or two.is_map
    fields: dict[str, Shape] = {}
    if not is_map:
        fields = dict(one.fields)
        for key, shape in two.fields.items():
            known = fields.get(key)
            fields[key] = shape if known is None else merged(known, shape)
        is_map = len(fields) > WIDEST
    element = one.element
    if two.element is not None:
        element = two.element if element is None else merged(element, two.element)
    return Shape(
        kinds=one.kinds | two.kinds,
        fields={} if is_map else fields,
        element=element,
        is_map=is_map,
    )


def with_numbers_alike(shape: Shape, *, has_large: bool) -> Shape:
    """Give a shape that does not tell whole numbers from others where both may be.

    They are numbers like the others, if a double holds each; where some are ``large`` they may be
    among any others, which is for others to ask.
    """
    kinds, element = shape.kinds, shape.element
    if "number" in kinds:
        kinds = kinds | {"integer"} if has_large else kinds - {"integer"}
    return replace(
        shape,
        kinds=kinds,
        fields={
            key: with_numbers_alike(one, has_large=has_large) for key, one in shape.fields.items()
        },
        element=None if element is None else with_numbers_alike(element, has_large=has_large),
    )


def of_structure(text: str) -> Shape:
    """Give the shape that DuckDB's ``json_structure`` tells of one record.

    It calls an empty object ``JSON``, and within a list whatever is not of one kind: records of
    which it says that are looked at by ``of_text``. Whole numbers among others in a list it does
    not tell.
    """
    return _of_structure(msgspec.json.decode(text))


def _of_structure(node: object) -> Shape:
    if isinstance(node, str):
        if node == "NULL":
            return NOTHING
        kind = _KINDS.get(node)
        return Shape(frozenset({"object"})) if kind is None else Shape(frozenset({kind}))
    if isinstance(node, list):
        return Shape(frozenset({"list"}), element=_of_structure(node[0]))
    if not isinstance(node, dict):
        raise TypeError(type(node).__name__)
    return of_fields({key: _of_structure(inner) for key, inner in node.items()})


def of_text(text: str) -> Shape:
    """Give the shape of one JSON text, value by value.

    ``NaN`` and ``Infinity``, which are no JSON and often there, are numbers.
    """
    try:
        return of_value(msgspec.json.decode(text))
    except msgspec.DecodeError:
        return of_value(msgspec.json.decode(_NOT_FINITE.sub(_finite, text)))


def _finite(found: re.Match[str]) -> str:
    return found[0] if found[0].startswith('"') else "0.5"


def of_value(value: object) -> Shape:  # noqa: PLR0911 - a table of kinds
    """Give the shape of one decoded value; numbers that were tagged are texts."""
    match value:
        case None:
            return NOTHING
        case bool():
            return Shape(frozenset({"boolean"}))
        case int():
            return Shape(frozenset({"integer"}))
        case float():
            return Shape(frozenset({"number"}))
        case str():
            return Shape(frozenset({_of_tagged(value)}))
        case list():
            return Shape(frozenset({"list"}), element=_all(of_value(each) for each in value))
        case dict():
            return of_fields({key: of_value(inner) for key, inner in value.items()})
    raise TypeError(type(value).__name__)


def _of_tagged(text: str) -> str:
    if not text.startswith(TAG) or text.startswith(TAG + TAG):
        return "text"
    digits = text.removeprefix(TAG).removeprefix("-")
    return "big" if digits.isdecimal() and len(digits) <= _MOST_DIGITS else "exact"


def of_fields(fields: Mapping[str, Shape]) -> Shape:
    """Give the shape of objects with these keys."""
    is_map = len(fields) > WIDEST
    return Shape(frozenset({"object"}), fields={} if is_map else fields, is_map=is_map)


def _all(shapes: Iterable[Shape]) -> Shape:
    whole = NOTHING
    for shape in shapes:
        whole = merged(whole, shape)
    return whole
