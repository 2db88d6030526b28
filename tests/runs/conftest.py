"""Workplaces: a hall on a lake in a temporary directory."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from workplaces import Workplace


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Workplace]:
    """A workplace in a temporary directory."""
    workplace = Workplace(tmp_path)
    yield workplace
    workplace.close()


@pytest.fixture
def again(tmp_path: Path) -> Iterator[Callable[[], Workplace]]:
    """Open further workplaces on the same lake, as other processes would."""
    opened: list[Workplace] = []

    def make() -> Workplace:
        opened.append(Workplace(tmp_path))
        return opened[-1]

    yield make
    for workplace in opened:
        workplace.close()
