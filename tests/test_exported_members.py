"""The top door: what it says it has is what it has."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import headgate as hg

DOORS = ("headgate", "headgate.pipelines")


def under_type_checking(module: str) -> set[str]:
    """Give the names a door imports for type checkers."""
    file = importlib.import_module(module).__file__
    names = set()
    for node in ast.parse(Path(str(file)).read_text()).body:
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            for statement in node.body:
                if isinstance(statement, ast.ImportFrom):
                    names |= {alias.asname or alias.name for alias in statement.names}
    return names


@pytest.mark.parametrize("door", DOORS)
def test_all_names_what_type_checkers_see(door: str) -> None:
    exported = set(importlib.import_module(door).__all__)
    assert exported - {"__version__"} == under_type_checking(door)


def test_all_is_sorted_and_shown() -> None:
    assert hg.__all__ == sorted(hg.__all__)
    assert dir(hg) == hg.__all__


@pytest.mark.parametrize("door", DOORS)
def test_every_name_can_be_had(door: str) -> None:
    module = importlib.import_module(door)
    assert [name for name in module.__all__ if not hasattr(module, name)] == []


@pytest.mark.parametrize("name", [name for name in hg.__all__ if not name.startswith("_")])
def test_every_name_says_what_it_is(name: str) -> None:
    thing = getattr(hg, name)
    assert thing.__doc__
    if callable(thing):
        assert "Returns the" not in thing.__doc__


@pytest.mark.parametrize("room", ["contracts", "pipelines", "lake", "engines", "project"])
def test_no_name_of_a_room_is_hidden_by_a_module_of_it(room: str) -> None:
    door = importlib.import_module(f"headgate.{room}")
    modules = {path.stem for path in Path(str(door.__file__)).parent.glob("*.py")}
    assert not modules & set(door.__all__)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        hg.nothing  # noqa: B018


def test_a_module_of_the_same_name_does_not_hide_the_door() -> None:
    program = (
        "import headgate as hg, headgate.filesets\n"
        "from headgate.filesets import DataFile\n"
        "print(hg.files)"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("<function files")
