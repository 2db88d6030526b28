"""Doors: the names a room gives to others, each loaded when it is first touched.

A room's ``__init__`` repeats its names under ``TYPE_CHECKING``, for readers and type checkers,
says which file each is in, and ends with::

    __getattr__, __dir__, __all__ = door(__name__, _FILES)
"""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module


def door(
    room: str, files: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], object], Callable[[], list[str]], list[str]]:
    """Give a room's module ``__getattr__``, ``__dir__`` and ``__all__``.

    ``files`` maps a file of the room to the names that others may use of it.
    """
    file_of = {name: file for file, names in files.items() for name in names}
    exported = sorted(file_of)

    def load(name: str) -> object:
        file = file_of.get(name)
        if file is None:
            raise AttributeError(f"module {room!r} has no attribute {name!r}")
        return getattr(import_module(f"{room}.{file}"), name)

    return load, lambda: list(exported), exported
