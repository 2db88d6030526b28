"""docs/errors.md and the code name the same errors: each code, with its class, in order."""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import headgate.errors

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| `(?P<code>[^`]+)` \| (?P<kind>\w+) \| (?P<meaning>.*) \| (?P<todo>.*) \|$")
KINDS = {
    name
    for name, kind in inspect.getmembers(headgate.errors, inspect.isclass)
    if issubclass(kind, headgate.errors.HeadgateError)
}


def documented() -> list[dict[str, str]]:
    table = [
        line for line in (ROOT / "docs/errors.md").read_text().splitlines() if line[:3] == "| `"
    ]
    rows = [ROW.match(line) for line in table]
    assert all(rows), [line for line, row in zip(table, rows, strict=True) if row is None]
    return [row.groupdict() for row in rows if row is not None]


def literals(node: ast.expr) -> list[str] | None:
    """Give the texts an expression can be, None where that cannot be read off it."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.IfExp):
        either = [literals(node.body), literals(node.orelse)]
        return [text for texts in either if texts for text in texts] if all(either) else None
    return None


def made_in(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """Give each making of an error in a file: the class's own name and the call."""
    tree = ast.parse(path.read_text())
    own_names = {
        alias.asname or alias.name: alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "headgate.errors"
        for alias in node.names
        if alias.name in KINDS
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name) and node.func.id in own_names:
            yield own_names[node.func.id], node
        elif (
            isinstance(node.func, ast.Attribute)
            and node.func.attr in KINDS
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == "errors"
        ):
            yield node.func.attr, node


def raised() -> tuple[dict[str, set[str]], list[str]]:
    """Give code -> classes, and the places whose code is no literal."""
    codes: dict[str, set[str]] = {}
    unreadable = []
    for path in sorted((ROOT / "headgate").rglob("*.py")):
        for kind, call in made_in(path):
            texts = literals(call.args[0]) if call.args else None
            if texts is None:
                unreadable.append(f"{path.relative_to(ROOT)}:{call.lineno}")
            for text in texts or ():
                codes.setdefault(text, set()).add(kind)
    return codes, unreadable


def test_every_code_is_a_literal_that_can_be_searched_for() -> None:
    _, unreadable = raised()
    assert not unreadable


def test_every_raised_code_is_documented() -> None:
    codes, _ = raised()
    known = {row["code"] for row in documented()}
    assert not {code: kinds for code, kinds in codes.items() if code not in known}


def test_every_documented_code_is_raised_as_the_documented_class() -> None:
    codes, _ = raised()
    wrong = {
        row["code"]: (row["kind"], codes.get(row["code"]))
        for row in documented()
        if codes.get(row["code"]) != {row["kind"]}
    }
    assert not wrong


def test_the_table_is_sorted_and_complete() -> None:
    rows = documented()
    codes = [row["code"] for row in rows]
    assert codes == sorted(set(codes))
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", code) for code in codes)
    assert not [
        row["code"] for row in rows if not row["meaning"].strip() or not row["todo"].strip()
    ]
