"""Projects made of a few files, imported afresh."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from types import ModuleType

import pytest

from headgate.pipelines import Declared, Step, collect

Write = Callable[..., ModuleType]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Write modules into the project, import the last one anew and give it."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)

    def forget() -> None:
        for name in set(sys.modules) - before:
            file = getattr(sys.modules[name], "__file__", None) or ""
            if file.startswith(str(tmp_path)):
                del sys.modules[name]

    def written(**files: str) -> ModuleType:
        forget()
        for name, text in files.items():
            path = tmp_path / f"{name.replace('__', '/')}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(text))
        importlib.invalidate_caches()
        return importlib.import_module(list(files)[-1].replace("__", "."))

    yield written
    forget()


@pytest.fixture
def declare(write: Write, tmp_path: Path) -> Callable[..., Declared]:
    """Write modules into the project and collect what the last one declares."""

    def declared(**files: str) -> Declared:
        return collect([write(**files)], root=tmp_path)

    return declared


@pytest.fixture
def step_of(declare: Callable[..., Declared]) -> Callable[[str], Step]:
    """Give the last step of a module's text."""
    return lambda text: declare(steps_here=text).steps[-1]
