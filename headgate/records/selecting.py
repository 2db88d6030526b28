"""Selecting: the SQL over kept records that a plan, or a question, comes to."""

from collections.abc import Iterator, Mapping
from typing import Final

from headgate.names import literal, quote
from headgate.records.deciding import CARRIED, RECORD, RecordPlan, carrier
from headgate.records.nodes import Carrier
from headgate.records.shapes import Shape

_ELEMENTS: Final = "from_json({at}, '[\"JSON\"]')"


def carried(relation: str, what: Mapping[str, Carrier]) -> str:
    """Give a relation of kept records with what is carried of each beside it."""
    return f"(select *, {carrier(what)} as {CARRIED} from {relation})"


def select(plan: RecordPlan, relation: str, *, also: tuple[str, ...] = ()) -> str:
    """Give the query of a plan's columns where what it needs is carried; ``also`` are SQL items."""
    items = [f"{column.sql} as {quote(column.name)}" for column in plan.columns]
    return f"select {', '.join((*items, *also))} from {relation}"


def doubled_keys(shape: Shape) -> str:
    """Give SQL that is true for a record in which an object has a key twice.

    Which of the two values is meant, nobody knows: readers differ.
    """
    return _doubled(RECORD, shape, 0)


def _doubled(at: str, shape: Shape, depth: int) -> str:
    paths = [path for path, one in _objects(shape, "") if one.fields]
    pointers = ", ".join(literal(path or "$") for path in paths)
    tests = []
    if paths:
        twice = f"lambda k{depth}: len(k{depth}) <> len(list_distinct(k{depth}))"
        tests.append(f"len(list_filter(json_keys({at}, [{pointers}]), {twice})) > 0")
    for path, one in _lists(shape, ""):
        inner = json_at(at, path)
        each = f"e{depth}"
        below = _doubled(each, one, depth + 1)
        if below != "false":
            elements = _ELEMENTS.format(at=inner)
            tests.append(
                f"coalesce(list_bool_or(list_transform({elements}, lambda {each}: {below})), false)"
            )
    return " or ".join(f"({test})" for test in tests) or "false"


def json_at(at: str, pointer: str) -> str:
    """Give the value at a JSON pointer."""
    return f"json_extract({at}, {literal(pointer)})" if pointer else at


def _objects(shape: Shape, path: str) -> Iterator[tuple[str, Shape]]:
    if "object" in shape.kinds:
        yield path, shape
    for key, one in shape.fields.items():
        yield from _objects(one, f"{path}/{pointed(key)}")


def _lists(shape: Shape, path: str) -> Iterator[tuple[str, Shape]]:
    if shape.element is not None:
        yield path, shape.element
    for key, one in shape.fields.items():
        yield from _lists(one, f"{path}/{pointed(key)}")


def pointed(key: str) -> str:
    """Give a key as a JSON pointer has it (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")
