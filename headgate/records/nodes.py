"""Nodes: how one value of a record is read out of JSON, as the engine's SQL.

A node is a place in the records: a scalar, an object that becomes a struct, a list. ``carrier`` is
what the engine reads it as in one pass over the JSON; ``read`` makes the table's value of that.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias, TypeVar

import msgspec
import pyarrow as pa

from headgate.names import literal, quote
from headgate.records.texts import HOLE, filled

Path: TypeAlias = tuple[str, ...]
Carrier: TypeAlias = "str | list[Carrier] | dict[str, Carrier] | None"
"""What the engine reads a value as, in the words of ``from_json``; None: nothing is read."""
Named = TypeVar("Named")
LIST: Final = "[]"
"""The step of a path into a list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One place. ``asks`` are conditions over the carrier's value, to be counted where they fail.

    ``check`` is one that must hold for the value to be read; ``guard`` is the JSON type that a
    value must have to be read at all (it is carried as JSON then).
    """

    kind: pa.DataType
    carrier: Carrier = "VARCHAR"
    read: str = HOLE
    check: str | None = None
    guard: str | None = None
    asks: Mapping[str, str] = field(default_factory=dict)
    fields: "Mapping[str, Node]" = field(default_factory=dict)
    element: "Node | None" = None

    @property
    def reads_as_carried(self) -> bool:
        """Whether the carrier's value is the table's."""
        inner = (*self.fields.values(), *((self.element,) if self.element is not None else ()))
        return (
            self.read == HOLE
            and self.guard is None
            and all(one.reads_as_carried and one.carrier is not None for one in inner)
        )

    @property
    def nested_carrier(self) -> Carrier:
        """What an object or a list is read as, where it is one."""
        if self.element is not None:
            return [self.element.carried]
        return {key: one.carried for key, one in self.fields.items() if one.carrier is not None}

    @property
    def carried(self) -> Carrier:
        """What the engine reads the value as."""
        nests = self.fields or self.element is not None
        return "JSON" if self.guard is not None else self.nested_carrier if nests else self.carrier


def narrowed(carried: Mapping[str, Carrier], paths: Collection[Path]) -> Mapping[str, Carrier]:
    """Give what must be read for the places at some paths, of what is read for all."""
    below = {key: [path[1:] for path in paths if path[0] == key] for key in carried}
    return {key: _narrowed(one, below[key]) for key, one in carried.items() if below[key]}


def _narrowed(carrier: Carrier, paths: Collection[Path]) -> Carrier:
    if () in paths:
        return carrier
    if isinstance(carrier, list):
        return [_narrowed(carrier[0], [path[1:] for path in paths if path[0] == LIST])]
    return dict(narrowed(carrier, paths)) if isinstance(carrier, dict) else carrier


def structure(carrier: Carrier) -> str:
    """Give a carrier as SQL text for ``from_json``."""
    return literal(msgspec.json.encode(carrier).decode())


def value(at: str, node: Node, depth: int = 0) -> str:
    """Give the table's value of what is carried at some SQL."""
    if node.guard is not None:
        at = opened(at, node)
    if node.fields:
        if all(one.reads_as_carried and one.carrier is not None for one in node.fields.values()):
            return at
        inner = ", ".join(
            f"{quote(key)} := {value(inside(at, key, one), one, depth)}"
            for key, one in node.fields.items()
        )
        return f"case when {at} is not null then struct_pack({inner}) end"
    if node.element is not None:
        if node.element.reads_as_carried:
            return at
        each = f"x{depth}"
        return f"list_transform({at}, lambda {each}: {value(each, node.element, depth + 1)})"
    return filled(node.read, at)


def opened(at: str, node: Node) -> str:
    """Give an object or a list that is carried as JSON among other things."""
    only = f"case when json_type({at}) = {literal(node.guard or '')} then {at} end"
    return f"from_json({only}, {structure(node.nested_carrier)})"


def inside(at: str, key: str, node: Node) -> str:
    """Give a field of a struct; NULL of its type where the records have none."""
    if node.carrier is None:
        return "NULL"
    return f"struct_extract({at}, {literal(key)})"


def failing(at: str, node: Node, depth: int = 0) -> str | None:
    """Give SQL that is true where a value cannot be read, None where all can."""
    found = [sql for _, sql in failures(at, node, (), depth)]
    return " or ".join(found) if found else None


def failures(at: str, node: Node, path: Path, depth: int = 0) -> Iterator[tuple[Path, str]]:
    """Give, for each place that is checked, SQL that is true where any of its values fails."""
    if node.check is not None:
        yield path, f"({at} is not null and not coalesce({filled(node.check, at)}, false))"
    yield from _below(at, node, path, depth, failures)


def asked(
    at: str, node: Node, path: Path, depth: int = 0
) -> Iterator[tuple[tuple[Path, str], str]]:
    """Give, for each condition that is asked of a place, SQL that is true where it fails."""
    for what, condition in node.asks.items():
        failed = f"({at} is not null and not coalesce({filled(condition, at)}, true))"
        yield (path, what), failed
    yield from _below(at, node, path, depth, asked)


def _below(
    at: str,
    node: Node,
    path: Path,
    depth: int,
    walk: Callable[[str, Node, Path, int], Iterator[tuple[Named, str]]],
) -> Iterator[tuple[Named, str]]:
    if node.guard is not None:
        at = opened(at, node)
    for key, one in node.fields.items():
        if one.carrier is not None:
            yield from walk(inside(at, key, one), one, (*path, key), depth)
    if node.element is not None:
        each = f"x{depth}"
        for name, sql in walk(each, node.element, (*path, LIST), depth + 1):
            yield name, f"coalesce(list_bool_or(list_transform({at}, lambda {each}: {sql})), false)"
