import pytest

from headgate.clock import ManualClock
from headgate.project import open_project

NUMBERS = '''
from collections.abc import Iterator
from typing import Annotated
import headgate as hg

class Number(hg.Contract, rules=(hg.unique("n"),)):
    n: int
    square: Annotated[int, hg.between(0, {most})]

@hg.step(contract=Number)
def numbers(count: int = 4) -> Iterator[dict]:
    """Squares."""
    for n in range(count):
        yield {{"n": n, "square": n * n}}

evens = hg.sql_step("select * from numbers where n % 2 = 0")
total = hg.sql_step("select sum(square)::bigint as total from evens")
'''


@pytest.fixture
def write(tmp_path):
    """Write a file of the project."""

    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write


@pytest.fixture
def numbers(write):
    """Write (again) a pipeline of three steps whose contract allows squares up to ``most``."""

    def numbers(most=10_000):
        return write("squares.py", NUMBERS.format(most=most))

    write("headgate.toml", '[project]\nname = "squares"\npipelines = ["squares.py"]\n')
    numbers()
    return numbers


@pytest.fixture
def opened(tmp_path):
    """Open the project in the test's directory."""
    projects = []

    def opened(**settings):
        project = open_project(tmp_path, environment=settings.pop("environment", {}), **settings)
        projects.append(project)
        return project

    yield opened
    for project in projects:
        project.close()


@pytest.fixture
def project(numbers, opened):
    """A project of three steps that was never run."""
    del numbers
    return opened()


@pytest.fixture
def clock():
    return ManualClock()
