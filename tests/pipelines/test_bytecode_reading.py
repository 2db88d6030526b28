import ast
import dis
import json
import sys
import types
from collections.abc import Iterator
from pathlib import Path

from headgate.pipelines import bytecode

MODULES = sorted(Path(json.__file__).parents[1].glob("[a-d]*.py"))


def functions(code: types.CodeType) -> Iterator[types.CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield constant
            yield from functions(constant)


def without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and ast.get_docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
    return tree


def test_a_function_written_on_other_lines_without_docstrings_reads_the_same() -> None:
    """The whole standard library, printed anew: what differs is what CPython compiles otherwise."""
    read = other = 0
    for path in MODULES:
        tree = ast.parse(path.read_bytes())
        before = compile(tree, "before", "exec")
        after = compile(ast.unparse(without_docstrings(tree)), "after", "exec")
        for one, two in zip(functions(before), functions(after), strict=True):
            if one.co_flags & 0x2:  # a function, not a class body, whose docstring was kept
                read += 1
                other += bytecode.read(one) != bytecode.read(two)
    assert read > 1000
    # Python 3.12 inlines comprehensions, and jumps back in one once for each line it stands on.
    assert other / read < (0.02 if sys.version_info[:2] == (3, 12) else 0.005)


def test_every_function_of_the_standard_library_reads_unlike_another() -> None:
    """Two functions that read the same have the same instructions."""
    seen: dict[bytecode.Code, types.CodeType] = {}
    for path in MODULES[:20]:
        for code in functions(compile(ast.parse(path.read_bytes()), "x", "exec")):
            twin = seen.setdefault(bytecode.read(code), code)
            assert [i.opname for i in dis.get_instructions(code) if i.opname != "NOP"] == [
                i.opname for i in dis.get_instructions(twin) if i.opname != "NOP"
            ]


def test_what_is_guarded_is_part_of_it() -> None:
    def inside() -> None:
        try:
            len("1")
            len("2")
        except ValueError:
            len("3")

    def outside() -> None:
        try:
            len("1")
        except ValueError:
            len("3")
        else:
            len("2")

    assert bytecode.read(inside.__code__) != bytecode.read(outside.__code__)


def test_names_carry_the_attributes_read_of_them() -> None:
    def function() -> object:
        from json.decoder import JSONDecoder  # noqa: F401

        return ast.walk(dis.opname.index("x"))  # type: ignore[arg-type]

    refers = bytecode.read(function.__code__).refers
    assert refers == (
        bytecode.Import("json.decoder", 0, ("JSONDecoder",)),
        bytecode.Name("ast", ("walk",)),
        bytecode.Name("dis", ("opname", "index")),
    )
