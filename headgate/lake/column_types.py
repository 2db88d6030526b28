"""Column types: the text the lake stores, with the ids of nested fields, and the tree behind it.

Primitive types are Iceberg's text (``long``, ``decimal(9, 2)``). Nested types carry the ids of what
is in them: ``list<4: long>``, ``map<5: string, 6: double>``, ``struct<7: city: string, 8: "post
code": int>``. Without ids the same text is *plain*: ``list<long>``; plain text compares types
across tables.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from headgate.errors import Internal
from headgate.lake.operations import Column

Path: TypeAlias = tuple[str, ...]
"""Where a field is: the column's name, then fields' names, ``element``, ``key`` or ``value``."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a struct; id 0 means that none was allocated yet."""

    name: str
    type: "Type"
    id: int = 0


@dataclass(frozen=True, slots=True)
class StructOf:
    """A struct type."""

    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list type."""

    element: "Type"
    element_id: int = 0


@dataclass(frozen=True, slots=True)
class MapOf:
    """A map type."""

    key: "Type"
    value: "Type"
    key_id: int = 0
    value_id: int = 0


Type: TypeAlias = str | StructOf | ListOf | MapOf

_NAME = re.compile(r"[^\W\d]\w*")
_ID = re.compile(r"(\d+): ")
_PRIMITIVE = re.compile(r"[a-z]+(\(\d+, \d+\)|\[\d+\])?")
_DECIMAL = re.compile(r"decimal\((\d+), (\d+)\)\Z")
_JSON = json.JSONDecoder()


def text(type_: Type) -> str:
    """Give a type's text, with ids where it has them."""
    match type_:
        case str():
            return type_
        case ListOf(element, element_id):
            return f"list<{_id(element_id)}{text(element)}>"
        case MapOf(key, value, key_id, value_id):
            return f"map<{_id(key_id)}{text(key)}, {_id(value_id)}{text(value)}>"
        case StructOf(fields):
            inner = ", ".join(f"{_id(f.id)}{_name(f.name)}: {text(f.type)}" for f in fields)
            return f"struct<{inner}>"


def plain(type_: Type | str) -> str:
    """Give a type's text without ids; takes a type or its text."""
    if isinstance(type_, str):
        return _plain_text(type_)
    return text(without_ids(type_))


@lru_cache(maxsize=4096)
def _plain_text(type_text: str) -> str:
    return type_text if "<" not in type_text else text(without_ids(parse(type_text)))


def without_ids(type_: Type) -> Type:
    """Give the type with every id 0."""
    match type_:
        case str():
            return type_
        case ListOf(element, _):
            return ListOf(without_ids(element))
        case MapOf(key, value, _, _):
            return MapOf(without_ids(key), without_ids(value))
        case StructOf(fields):
            return StructOf(tuple(Field(f.name, without_ids(f.type)) for f in fields))


@lru_cache(maxsize=4096)
def parse(type_text: str) -> Type:
    """Read a type's text.

    Raises:
        Internal: ``bad-column-type``: the text was not written by `text`.
    """
    type_, end = _parse(type_text, 0)
    if end != len(type_text):
        raise _bad(type_text)
    return type_


def decimal_digits(type_: Type) -> tuple[int, int] | None:
    """Give a decimal type's precision and scale, None for any other type."""
    found = _DECIMAL.match(type_) if isinstance(type_, str) else None
    return (int(found[1]), int(found[2])) if found else None


def path_text(path: Path) -> str:
    """Give a path as one text; paths that differ have texts that differ."""
    return ".".join(re.sub(r"([\\.:])", r"\\\1", part) for part in path)


def walk(path: Path, id_: int, type_: Type) -> Iterator[tuple[Path, int, Type]]:
    """Give every field of a column with its path, outermost first."""
    yield path, id_, type_
    match type_:
        case ListOf(element, element_id):
            yield from walk((*path, "element"), element_id, element)
        case MapOf(key, value, key_id, value_id):
            yield from walk((*path, "key"), key_id, key)
            yield from walk((*path, "value"), value_id, value)
        case StructOf(fields):
            for field in fields:
                yield from walk((*path, field.name), field.id, field.type)


def fields(columns: Sequence[Column]) -> Iterator[tuple[Path, int, Type]]:
    """Give every field of every column, nested ones included."""
    for column in columns:
        yield from walk((column.name,), column.id, parse(column.type))


def highest_id(columns: Sequence[Column]) -> int:
    """Give the greatest id in use."""
    return max((id_ for _, id_, _ in fields(columns)), default=0)


def with_ids(path: Path, type_: Type, id_of: Callable[[Path], int]) -> Type:
    """Give the type with ids for those nested fields that have none."""
    match type_:
        case str():
            return type_
        case ListOf(element, element_id):
            inner = (*path, "element")
            return ListOf(with_ids(inner, element, id_of), element_id or id_of(inner))
        case MapOf(key, value, key_id, value_id):
            key_path, value_path = (*path, "key"), (*path, "value")
            return MapOf(
                with_ids(key_path, key, id_of),
                with_ids(value_path, value, id_of),
                key_id or id_of(key_path),
                value_id or id_of(value_path),
            )
        case StructOf(fields_):
            return StructOf(
                tuple(
                    Field(
                        f.name,
                        with_ids((*path, f.name), f.type, id_of),
                        f.id or id_of((*path, f.name)),
                    )
                    for f in fields_
                )
            )


def _id(id_: int) -> str:
    return f"{id_}: " if id_ else ""


def _name(name: str) -> str:
    return name if _NAME.fullmatch(name) else json.dumps(name, ensure_ascii=False)


def _bad(type_text: str) -> Internal:
    return Internal("bad-column-type", f"{type_text!r} is no column type.", type=type_text)


def _parse(source: str, at: int) -> tuple[Type, int]:
    if source.startswith("list<", at):
        element_id, at = _parse_id(source, at + 5)
        element, at = _parse(source, at)
        return ListOf(element, element_id), _expect(source, at, ">")
    if source.startswith("map<", at):
        key_id, at = _parse_id(source, at + 4)
        key, at = _parse(source, at)
        value_id, at = _parse_id(source, _expect(source, at, ", "))
        value, at = _parse(source, at)
        return MapOf(key, value, key_id, value_id), _expect(source, at, ">")
    if source.startswith("struct<", at):
        return _parse_struct(source, at + 7)
    found = _PRIMITIVE.match(source, at)
    if found is None:
        raise _bad(source)
    return found[0], found.end()


def _parse_struct(source: str, at: int) -> tuple[Type, int]:
    found: list[Field] = []
    while not source.startswith(">", at):
        if found:
            at = _expect(source, at, ", ")
        id_, at = _parse_id(source, at)
        name, at = _parse_name(source, at)
        type_, at = _parse(source, _expect(source, at, ": "))
        found.append(Field(name, type_, id_))
    return StructOf(tuple(found)), at + 1


def _parse_id(source: str, at: int) -> tuple[int, int]:
    found = _ID.match(source, at)
    return (int(found[1]), found.end()) if found else (0, at)


def _parse_name(source: str, at: int) -> tuple[str, int]:
    if source.startswith('"', at):
        name, end = _JSON.raw_decode(source, at)
        return str(name), end
    found = _NAME.match(source, at)
    if found is None:
        raise _bad(source)
    return found[0], found.end()


def _expect(source: str, at: int, token: str) -> int:
    if not source.startswith(token, at):
        raise _bad(source)
    return at + len(token)
