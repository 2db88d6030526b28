"""Fixtures for a project's own tests: ``pytest_plugins = ["headgate.testing.pytest_plugin"]``.

A test gets the real project, its pipelines and its data, with a lake of its own that goes away with
the test: nothing it does can reach a lake that anybody reads.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from headgate.project import Project, open_project


@pytest.fixture
def hg_project(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Project]:
    """Give the project around the tests, on an empty lake in a temporary directory."""
    with open_project(request.config.rootpath, lake=tmp_path / "lake") as project:
        yield project
