"""A function of the user's gets a secret's value as an argument; nobody else hears of it."""

import pytest

from headgate.errors import HeadgateError, Refused
from headgate.project import open_project

PIPELINE = """
from collections.abc import Iterator
from typing import Annotated
import headgate as hg

@hg.source
def fetched(token: Annotated[str, hg.secret("shop")], cursor: int = 0, size: int = 2):
    for n in range(cursor, cursor + size):
        yield {{"n": n, "length": len(token)}}, n + 1
    {then}

@hg.step
def called(password=hg.secret("other")) -> Iterator[dict]:
    yield {{"length": len(password)}}

@hg.step
def told(token: Annotated[str, hg.secret("shop")]) -> None:
    assert token.startswith("canary")
"""


@pytest.fixture
def shop(write, tmp_path):
    write("headgate.toml", '[project]\nname = "shop"\npipelines = ["pipe.py"]\n')

    def shop(then="", **secrets):
        write("pipe.py", PIPELINE.format(then=then))
        environment = {f"HEADGATE_SECRET_{name.upper()}": text for name, text in secrets.items()}
        return open_project(tmp_path, environment=environment)

    return shop


def test_functions_get_the_values_of_secrets(shop):
    with shop(shop="canary-1", other="canary-22") as project:
        project.run()
        rows = project.table("fetched").to_arrow().to_pylist()
        assert rows == [{"n": 0, "length": 8}, {"n": 1, "length": 8}]
        assert project.table("called").to_arrow().to_pylist() == [{"length": 9}]


def test_a_value_is_no_parameter_and_changes_no_fingerprint(shop):
    with shop(shop="canary-1", other="canary-2") as project:
        (step,) = [each for each in project.pipeline().steps if each.name == "called"]
        assert step.parameters == ()
        project.run()
    with shop(shop="canary-1", other="canary-three") as project:
        plan = project.plan()
        assert {each.step: each.action for each in plan.steps}["called"] == "skip"


def test_what_a_function_says_of_it_is_taken_out(shop, tmp_path):
    then = 'raise ValueError(f"401 for {token}")'
    with shop(then, shop="canary-1", other="x1y2") as project:
        with pytest.raises(HeadgateError) as caught:
            project.run()
        assert "401 for secret('shop')" in caught.value.message
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path.name for path in kept if b"canary-1" in path.read_bytes()] == []


def test_a_secret_nobody_knows_fails_the_step(shop):
    with shop(other="x1y2") as project, pytest.raises(HeadgateError) as caught:
        project.run()
    assert caught.value.code == "unknown-secret"


def test_outside_of_a_project_nothing_is_revealed(shop):
    with shop() as project:
        (step,) = [each for each in project.pipeline().steps if each.name == "called"]
        with pytest.raises(Refused):
            step.call({})
