import os
import pickle
import sys
from datetime import timedelta

import pytest

from headgate.clock import ManualClock, SystemClock
from headgate.errors import Invalid
from headgate.project.imports import Code


@pytest.fixture
def project(tmp_path):
    def write(name, source, under="p"):
        file = tmp_path / under / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source)
        return file

    return write


@pytest.fixture(autouse=True)
def nothing_is_left_behind():
    before, path, finders = dict(sys.modules), list(sys.path), list(sys.meta_path)
    yield
    assert sys.path == path
    assert sys.meta_path == finders
    for name in ("flights", "shapes", "billing"):
        assert sys.modules.get(name) is before.get(name)


def test_a_file_is_imported_with_its_neighbours(project):
    project("shapes.py", "SIDES = 4\n")
    file = project("flights.py", "from shapes import SIDES\n")
    assert Code(file.parent).load(file).SIDES == 4


def test_two_projects_with_equal_names_never_meet(project):
    modules = []
    for under in ("one", "two"):
        project("shapes.py", f"WHERE = {under!r}\n", under)
        file = project("flights.py", "import shapes\nWHERE = shapes.WHERE\n", under)
        modules.append(Code(file.parent).load(file))
    assert [module.WHERE for module in modules] == ["one", "two"]


def test_a_module_of_the_same_name_that_was_there_before_is_there_again(project, monkeypatch):
    stranger = type(sys)("flights")
    monkeypatch.setitem(sys.modules, "flights", stranger)
    file = project("flights.py", "X = 1\n")
    assert Code(file.parent).load(file).X == 1
    assert sys.modules["flights"] is stranger


def test_an_edit_is_seen_at_once_even_with_the_same_size_in_the_same_second(project):
    for number in range(5):
        file = project("flights.py", f"X = {number}\n")
        os.utime(file, (1_700_000_000, 1_700_000_000))
        assert number == Code(file.parent, clock=ManualClock()).load(file).X


def test_bytecode_is_made_once_the_source_has_been_left_alone(project, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    file = project("flights.py", "X = 1\n")
    Code(file.parent).load(file)
    assert not list((file.parent / "__pycache__").glob("flights.*.pyc"))
    later = ManualClock(SystemClock().now() + timedelta(hours=1))
    assert Code(file.parent, clock=later).load(file).X == 1
    assert list((file.parent / "__pycache__").glob("flights.*.pyc"))


def test_imports_inside_functions_and_pickles_work_while_it_is_entered(project):
    project("shapes.py", "class Shape:\n    pass\n")
    file = project("flights.py", "def make():\n    import shapes\n    return shapes.Shape()\n")
    code = Code(file.parent)
    module = code.load(file)
    with code.importable(), code.importable():
        shape = module.make()
        assert type(pickle.loads(pickle.dumps(shape))) is type(shape)
        assert type(module.make()) is type(shape)
    assert "shapes" not in sys.modules


def test_dataclasses_with_text_annotations_can_be_declared(project):
    file = project(
        "flights.py",
        "from __future__ import annotations\nfrom dataclasses import dataclass\n"
        "@dataclass\nclass A:\n    x: int\n",
    )
    assert Code(file.parent).load(file).A(1).x == 1


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import no_such_thing\n", "ModuleNotFoundError: No module named 'no_such_thing'"),
        ("def f():\n    1 / 0\n\nf()\n", "ZeroDivisionError: division by zero"),
        ("def f(:\n", "SyntaxError"),
        ("raise SystemExit(3)\n", "SystemExit: 3"),
    ],
)
def test_an_error_in_the_users_code_shows_their_lines_only(project, source, said):
    file = project("flights.py", source)
    with pytest.raises(Invalid) as caught:
        Code(file.parent).load(file)
    message = caught.value.message
    assert message.startswith("flights.py cannot be imported: ")
    assert said in message
    assert "flights.py:" in message
    assert "headgate/" not in message
    assert "importlib" not in message


def test_a_refused_declaration_says_where_it_stands(project):
    file = project("flights.py", "import headgate as hg\n\nflights = hg.files()\n")
    with pytest.raises(Invalid) as caught:
        Code(file.parent).load(file)
    assert caught.value.code == "files-without-path"
    assert str(caught.value).startswith("flights.py:3: ")


def test_the_frames_lead_to_the_line(project):
    project("shapes.py", "def f():\n    return 1 / 0\n")
    file = project("flights.py", "import shapes\nshapes.f()\n")
    with pytest.raises(Invalid) as caught:
        Code(file.parent).load(file)
    assert caught.value.message.splitlines()[1:] == [
        "flights.py:2 in <module>",
        "  shapes.f()",
        "shapes.py:2 in f",
        "  return 1 / 0",
    ]
    assert caught.value.hint.startswith("Mend shapes.py:2,")


def test_a_module_that_would_hide_pythons_is_refused(project):
    project("json.py", "")
    file = project("flights.py", "")
    with pytest.raises(Invalid, match=r"hide Python's json from flights\.py"):
        Code(file.parent).load(file)


def test_a_directory_that_is_no_package_hides_nothing(project):
    project("xml/prices.py", "")
    file = project("flights.py", "import xml.dom\nX = xml.dom.__file__\n")
    assert str(file.parent) not in Code(file.parent).load(file).X


def test_packages_and_odd_names_are_imported(project):
    project("billing/prices.py", "PRICE = 3\n")
    file = project("billing/invoices.py", "from billing.prices import PRICE\n")
    odd = project("2013-flights.py", "PRICE = 4\n")
    code = Code(odd.parent)
    assert code.load(file).PRICE == 3
    assert code.load(odd).PRICE == 4


def test_a_file_that_opens_its_own_project_while_it_is_imported_is_refused(project):
    source = """
from pathlib import Path
from headgate.project.imports import Code

Code(Path(__file__).parent).load(Path(__file__))
"""
    file = project("flights.py", source)
    with pytest.raises(Invalid, match=r"flights\.py uses its own project") as refused:
        Code(file.parent).load(file)
    assert refused.value.code == "import-runs-project"
