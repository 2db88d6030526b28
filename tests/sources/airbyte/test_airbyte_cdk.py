"""A connector that is made with Airbyte's own kit is read like the one of the tests.

The kit has dependencies of its own; it lives in ``.venv-airbyte`` (``.ci/run`` makes it), or where
``TEST_AIRBYTE_PYTHON`` says.
"""

import json
import os
from pathlib import Path

import pytest

from headgate.project import open_project

ROOT = Path(__file__).parents[3]
PIPELINE = """
import headgate as hg

orders = hg.airbyte(connection="kit", stream="orders", key="id")
"""
SETTINGS = """
[project]
name = "shop"
pipelines = ["pipe.py"]
[connections.kit]
command = {command}
config = {{ file = "{file}", token = {{ secret = "token" }} }}
"""


@pytest.fixture
def kit():
    """Give the interpreter that has Airbyte's kit."""
    python = Path(
        os.environ.get("TEST_AIRBYTE_PYTHON") or ROOT / ".venv-airbyte" / "bin" / "python"
    )
    if not python.exists():
        what = 'no kit: tools/environment.sh .venv-airbyte "airbyte-cdk>=7"'
        if os.environ.get("CI"):
            pytest.fail(what)
        pytest.skip(what)
    return python


def write_rows(file, first, count, name="n"):
    with file.open("a") as lines:
        lines.writelines(
            json.dumps({"id": n, "name": name}) + "\n" for n in range(first, first + count)
        )


@pytest.fixture
def shop(kit, tmp_path):
    file = tmp_path / "rows.jsonl"
    write_rows(file, 1, 5)
    command = json.dumps([str(kit), str(Path(__file__).with_name("cdk_connector.py"))])
    (tmp_path / "headgate.toml").write_text(SETTINGS.format(command=command, file=file))
    (tmp_path / "pipe.py").write_text(PIPELINE)
    return file


def ids(project):
    return sorted(project.table("orders").to_arrow().column("id").to_pylist())


def test_a_real_connector_is_read_on_from_its_state(shop, tmp_path):
    with open_project(tmp_path, environment={"HEADGATE_SECRET_TOKEN": "canary-1"}) as project:
        project.run()
        assert ids(project) == [1, 2, 3, 4, 5]
        write_rows(shop, 6, 2)
        run = project.run()
        assert ids(project) == [1, 2, 3, 4, 5, 6, 7]
        (step,) = run.commit.record.steps
        assert step.rows_out == 2
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path.name for path in kept if b"canary-1" in path.read_bytes()] == []
