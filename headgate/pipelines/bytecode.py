"""A function's bytecode without what readers do not care for: positions, formatting, docstrings.

Constants, names and jump targets are told apart from their places in tables, so that a docstring
or a comment above them changes nothing. Valid for one minor version of Python.
"""

import dis
import marshal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from types import CodeType

MARSHAL_VERSION = 2
"""The last one without references: equal values, equal bytes. Sets come out sorted."""

_CONSTANT = frozenset(dis.hasconst)
_NAME = frozenset(dis.hasname)
_JUMP = frozenset(dis.hasjrel)
_BACKWARD = frozenset(op for op in _JUMP if "BACKWARD" in dis.opname[op])
_CACHE = dis.opmap["CACHE"]
_NOP = dis.opmap["NOP"]
_LOAD_GLOBAL = dis.opmap["LOAD_GLOBAL"]
_LOAD_NAME = dis.opmap["LOAD_NAME"]
_STORE_NAME = dis.opmap["STORE_NAME"]
_IMPORT_NAME = dis.opmap["IMPORT_NAME"]
_ATTRIBUTE = frozenset(
    dis.opmap[name] for name in ("LOAD_ATTR", "LOAD_METHOD") if name in dis.opmap
)
# Low bits of the argument that are flags, not part of the name's index.
_FLAG_BITS = {
    _LOAD_GLOBAL: 1,
    **({dis.opmap["LOAD_ATTR"]: 1} if sys.version_info >= (3, 12) else {}),
    **({dis.opmap["LOAD_SUPER_ATTR"]: 2} if "LOAD_SUPER_ATTR" in dis.opmap else {}),
}
if sys.version_info >= (3, 14):
    _FLAG_BITS[_IMPORT_NAME] = 0
_UNREAD_NAMES = frozenset({"__doc__", "__firstlineno__", "__static_attributes__"})
_NESTED_OR_DOCUMENTED = 0x10 | 0x4000000


@dataclass(frozen=True, slots=True)
class Name:
    """A global name that code reads, with the attributes it reads of it right away."""

    name: str
    attributes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Import:
    """An import statement inside of code."""

    name: str
    level: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Code:
    """What code does, as bytes in an order of their own, and what it refers to, in order."""

    pieces: tuple[bytes, ...]
    refers: tuple[Name | Import, ...]


@dataclass(frozen=True, slots=True)
class _Instruction:
    op: int
    argument: int
    offset: int
    after: int


def read(code: CodeType) -> Code:
    """Give what a code object does, code inside of it (lambdas, comprehensions) included."""
    pieces: list[bytes] = []
    refers: dict[Name | Import, None] = {}
    _read(code, pieces, refers)
    return Code(tuple(pieces), tuple(refers))


def _read(code: CodeType, pieces: list[bytes], refers: dict[Name | Import, None]) -> None:
    instructions = _kept(list(_instructions(code)), code)
    index = _positions(instructions, len(code.co_code))
    stream = bytearray()
    within: list[bytes] = []
    for position, one in enumerate(instructions):
        stream.append(one.op)
        if one.op in _CONSTANT:
            constant = code.co_consts[one.argument]
            if isinstance(constant, CodeType):
                _read(constant, within, refers)
            else:
                within.append(marshal.dumps(constant, MARSHAL_VERSION))
        elif one.op in _NAME:
            name = code.co_names[one.argument >> _FLAG_BITS.get(one.op, 0)]
            within.append(name.encode())
            stream += (one.argument & (1 << _FLAG_BITS.get(one.op, 0)) - 1).to_bytes(4, "big")
            if one.op in (_LOAD_GLOBAL, _LOAD_NAME):
                refers[Name(name, _attributes(code, instructions, position))] = None
            elif one.op == _IMPORT_NAME:
                refers[_import(code, instructions, position, name)] = None
        elif one.op in _JUMP:
            distance = -one.argument if one.op in _BACKWARD else one.argument
            stream += index[(one.after + 2 * distance) // 2].to_bytes(4, "big")
        else:
            stream += one.argument.to_bytes(4, "big")
    arguments = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & 0x0C)
    head = (
        code.co_argcount,
        code.co_posonlyargcount,
        code.co_kwonlyargcount,
        code.co_flags & ~_NESTED_OR_DOCUMENTED,
        code.co_varnames[:arguments],
        _handlers(code, index),
        len(within),
    )
    pieces.append(marshal.dumps(head, MARSHAL_VERSION))
    pieces.append(bytes(stream))
    pieces.extend(within)


def _instructions(code: CodeType) -> Iterator[_Instruction]:
    raw = code.co_code
    extended = start = 0
    begins = [o for o in range(0, len(raw), 2) if raw[o] != _CACHE]
    for offset, after in pairwise([*begins, len(raw)]):
        argument = raw[offset + 1] | extended
        if raw[offset] == dis.EXTENDED_ARG:
            extended = argument << 8
            continue
        yield _Instruction(raw[offset], argument, start, after)
        extended, start = 0, after


def _kept(instructions: list[_Instruction], code: CodeType) -> list[_Instruction]:
    """Leave out what only keeps line numbers, and what stores a nested class's docstring."""
    kept: list[_Instruction] = []
    for one in instructions:
        if one.op == _STORE_NAME and code.co_names[one.argument] in _UNREAD_NAMES and kept:
            kept.pop()
        elif one.op != _NOP:
            kept.append(one)
    return kept


def _positions(instructions: list[_Instruction], size: int) -> list[int]:
    """Map every offset (in units of two bytes) to the instruction that is there, or next."""
    index: list[int] = []
    for position, one in enumerate(instructions):
        index.extend([position] * (one.offset // 2 + 1 - len(index)))
    return [*index, *([len(instructions)] * (size // 2 + 1 - len(index)))]


def _attributes(code: CodeType, instructions: list[_Instruction], at: int) -> tuple[str, ...]:
    found = []
    for one in instructions[at + 1 :]:
        if one.op not in _ATTRIBUTE:
            break
        found.append(code.co_names[one.argument >> _FLAG_BITS.get(one.op, 0)])
    return tuple(found)


def _import(code: CodeType, instructions: list[_Instruction], at: int, name: str) -> Import:
    def pushed(one: _Instruction) -> object:
        return code.co_consts[one.argument] if one.op in _CONSTANT else one.argument

    level, members = (pushed(one) for one in instructions[at - 2 : at])
    return Import(
        name,
        level if isinstance(level, int) else 0,
        tuple(members) if isinstance(members, tuple) else (),
    )


def _handlers(code: CodeType, index: list[int]) -> tuple[tuple[int, int, int, int], ...]:
    """Give what is guarded by which handler.

    CPython: Objects/exception_handling_notes.txt, "Format of the exception table".
    """
    numbers: list[int] = []
    value = 0
    for byte in code.co_exceptiontable:
        value = value << 6 | byte & 0x3F
        if not byte & 0x40:
            numbers.append(value)
            value = 0
    rows = zip(*[iter(numbers)] * 4, strict=True)
    return tuple(
        (index[start], index[start + length], index[target], depth)
        for start, length, target, depth in rows
        if index[start] != index[start + length]
    )
