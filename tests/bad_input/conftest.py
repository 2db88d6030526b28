"""Projects to type commands in."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typing_users import GOOD, Typed


@pytest.fixture
def project(tmp_path: Path) -> Typed:
    """A project in a directory of its own."""
    return Typed(tmp_path)


@pytest.fixture
def published(project: Typed) -> Callable[[], str]:
    """Publish a good table; give what main's head is now, whenever called."""
    project.steps(GOOD)
    assert project.type("run").code == 0

    def head() -> str:
        return project.type("log", "--limit", "1").out.split()[0]

    return head
