"""Where in the user's files a thing was declared, so that errors can show it."""

import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import FrameType, FunctionType

LEDGER = "__headgate_declarations__"
"""The global of a user's module in which its declarations are listed as they are made."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A line of a file. Prints as ``flights.py:12``, relative to ``root`` where one is given."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"

    def within(self, root: Path | None) -> "Place":
        """Give the same place with its file relative to ``root``, if it is in there."""
        return self if root is None else Place(_relative(self.file, root), self.line)


@lru_cache(maxsize=256)
def _relative(file: str, root: Path) -> str:
    path = Path(file)
    return str(path.relative_to(root)) if path.is_relative_to(root) else file


def of_function(function: FunctionType) -> Place:
    """Give the line on which a function, or its first decorator, stands."""
    return Place(function.__code__.co_filename, function.__code__.co_firstlineno)


def caller() -> FrameType:
    """Give the frame of the user's code that called the door: the first one outside this room."""
    frame = sys._getframe(1)  # noqa: SLF001 - the only way to know where a declaration stands
    while frame.f_back is not None and frame.f_globals.get("__package__") == __package__:
        frame = frame.f_back
    return frame


def of_frame(frame: FrameType) -> Place:
    """Give the line a frame is at."""
    return Place(frame.f_code.co_filename, frame.f_lineno)


def note(frame: FrameType, declaration: object) -> None:
    """List a declaration in the module that makes it, so that none gets lost without a name.

    Code that comes from no file (a notebook's cell, a console) is left alone: it is run again and
    again.
    """
    if not frame.f_code.co_filename.startswith("<"):
        frame.f_globals.setdefault(LEDGER, []).append(declaration)
