"""Doors keep what they promise: every name they list is there, and stays what it is."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "headgate"
DOORS = sorted(path.parent for path in PACKAGE.rglob("__init__.py"))


def listed(door: Path) -> list[str]:
    """Give ``__all__`` as a fresh interpreter sees it."""
    module = ".".join(door.relative_to(PACKAGE.parent).parts)
    program = f"import {module} as door; print(*getattr(door, '__all__', ()))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def named_for_types(door: Path) -> set[str]:
    """Give the names a door imports under TYPE_CHECKING."""
    tree = ast.parse((door / "__init__.py").read_text())
    return {
        alias.asname or alias.name
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and ast.unparse(branch.test) == "TYPE_CHECKING"
        for node in ast.walk(branch)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.name)
def test_a_file_behind_the_door_does_not_hide_a_name_of_the_door(door: Path) -> None:
    files = {path.stem for path in door.glob("*.py")} - {"__init__"}
    module = ".".join(door.relative_to(PACKAGE.parent).parts)
    for name in files & (set(listed(door)) | named_for_types(door)):
        program = (
            f"import {module}.{name}; from {module} import {name}; print(type({name}).__name__)"
        )
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout.strip() != "module", f"rename {module}.{name}, or what it hides"


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.name)
def test_a_lazy_door_lists_the_names_its_types_name(door: Path) -> None:
    assert named_for_types(door) <= set(listed(door))


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.name)
def test_every_listed_name_can_be_taken(door: Path) -> None:
    module = ".".join(door.relative_to(PACKAGE.parent).parts)
    program = (
        f"import {module} as door\nfor name in getattr(door, '__all__', ()): getattr(door, name)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_public_names_are_sorted() -> None:
    names = listed(PACKAGE)
    assert names == sorted(names)
