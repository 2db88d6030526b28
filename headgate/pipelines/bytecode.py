"""A function's bytecode without what readers do not care for: positions, formatting, docstrings.

Constants, names and jump targets are told apart from their places in tables, so that a docstring
or a comment above them changes nothing. Valid for one minor version of Python.
"""

import dis
import marshal
import sys
from dataclasses import dataclass
from itertools import pairwise
from types import CodeType
from typing import TypeAlias

MARSHAL_VERSION = 2
"""The last one without references: equal values, equal bytes. Sets come out sorted."""

_LOAD_GLOBAL = dis.opmap["LOAD_GLOBAL"]
_LOAD_NAME = dis.opmap["LOAD_NAME"]
_STORE_NAME = dis.opmap["STORE_NAME"]
_IMPORT_NAME = dis.opmap["IMPORT_NAME"]
_NOP = dis.opmap["NOP"]
_CONSTANT = frozenset(dis.hasconst)
_NAME = frozenset(dis.hasname)
_READ = frozenset({_LOAD_GLOBAL, _LOAD_NAME, _IMPORT_NAME})
_JUMP = frozenset(dis.hasjrel)
_BACKWARD = frozenset(op for op in _JUMP if "BACKWARD" in dis.opname[op])
_ATTRIBUTE = frozenset(
    dis.opmap[name] for name in ("LOAD_ATTR", "LOAD_METHOD") if name in dis.opmap
)
# Low bits of the argument that are flags, not part of the name's index.
_FLAG_BITS = {
    _LOAD_GLOBAL: 1,
    **({dis.opmap["LOAD_ATTR"]: 1} if sys.version_info >= (3, 12) else {}),
    **({dis.opmap["LOAD_SUPER_ATTR"]: 2} if "LOAD_SUPER_ATTR" in dis.opmap else {}),
}
# Two instructions that CPython makes one of where they stand on one line (3.13 and later).
_PAIRS = {
    dis.opmap[f"{first}_{second}"]: (dis.opmap[first], dis.opmap[second])
    for first, second in (
        ("LOAD_FAST", "LOAD_FAST"),
        ("LOAD_FAST_BORROW", "LOAD_FAST_BORROW"),
        ("STORE_FAST", "LOAD_FAST"),
        ("STORE_FAST", "STORE_FAST"),
    )
    if f"{first}_{second}" in dis.opmap
}
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


def read(code: CodeType) -> Code:
    """Give what a code object does, code inside of it (lambdas, comprehensions) included."""
    pieces: list[bytes] = []
    refers: dict[Name | Import, None] = {}
    _read(code, pieces, refers)
    return Code(tuple(pieces), tuple(refers))


_Instruction: TypeAlias = tuple[int, int, int, int]
"""Operation, argument, offset (in units of two bytes), offset of the next."""


def _read(code: CodeType, pieces: list[bytes], refers: dict[Name | Import, None]) -> None:
    instructions = _instructions(code)
    index = _positions(instructions, len(code.co_code) // 2)
    constants, names = code.co_consts, code.co_names
    stream: list[int] = []
    within: list[bytes] = []
    for position, (op, argument, _, after) in enumerate(instructions):
        stream.append(op)
        if op in _CONSTANT:
            constant = constants[argument]
            if isinstance(constant, CodeType):
                _read(constant, within, refers)
            else:
                within.append(marshal.dumps(constant, MARSHAL_VERSION))
        elif op in _NAME:
            bits = _FLAG_BITS.get(op, 0)
            name = names[argument >> bits]
            within.append(name.encode())
            stream.append(argument & (1 << bits) - 1)
            if op in _READ:
                refers[_referred(code, instructions, position, name)] = None
        elif op in _JUMP:
            stream.append(index[after - argument if op in _BACKWARD else after + argument])
        else:
            stream.append(argument)
    arguments = code.co_argcount + code.co_kwonlyargcount + (code.co_flags & 0x0C).bit_count()
    whole = (
        code.co_argcount,
        code.co_posonlyargcount,
        code.co_kwonlyargcount,
        code.co_flags & ~_NESTED_OR_DOCUMENTED,
        code.co_varnames[:arguments],
        _handlers(code, index),
        tuple(stream),
        len(within),
    )
    pieces.append(marshal.dumps(whole, MARSHAL_VERSION))
    pieces.extend(within)


def _instructions(code: CodeType) -> list[_Instruction]:
    """Give the instructions, but for what only keeps line numbers and nested classes' docstrings.

    Zeros are caches of the instruction before.
    """
    raw = code.co_code
    operations, arguments = raw[::2], raw[1::2]
    begins = [offset for offset, op in enumerate(operations) if op]
    found: list[_Instruction] = []
    extended, start = 0, -1
    for offset, after in pairwise([*begins, len(operations)]):
        op, argument = operations[offset], arguments[offset] | extended
        if start < 0:
            start = offset
        if op == dis.EXTENDED_ARG:
            extended = argument << 8
            continue
        if op == _STORE_NAME and code.co_names[argument] in _UNREAD_NAMES and found:
            found.pop()
        elif op in _PAIRS:
            one, other = _PAIRS[op]
            found += [(one, argument >> 4, start, after), (other, argument & 15, start, after)]
        elif op != _NOP:
            found.append((op, argument, start, after))
        extended, start = 0, -1
    return found


def _positions(instructions: list[_Instruction], size: int) -> list[int]:
    """Map every offset to the instruction that is there, or next."""
    index: list[int] = []
    for position, (_, _, offset, _) in enumerate(instructions):
        index.extend([position] * (offset + 1 - len(index)))
    index.extend([len(instructions)] * (size + 1 - len(index)))
    return index


def _referred(
    code: CodeType, instructions: list[_Instruction], at: int, name: str
) -> Name | Import:
    if instructions[at][0] != _IMPORT_NAME:
        attributes = []
        for op, argument, _, _ in instructions[at + 1 :]:
            if op not in _ATTRIBUTE:
                break
            attributes.append(code.co_names[argument >> _FLAG_BITS.get(op, 0)])
        return Name(name, tuple(attributes))
    level, members = (
        code.co_consts[argument] if op in _CONSTANT else argument
        for op, argument, _, _ in instructions[at - 2 : at]
    )
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
