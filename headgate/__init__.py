"""Data pipelines in which every run is a transaction: published whole, or not at all."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headgate.project import Project
    from headgate.project import open_project as open  # noqa: A004 - headgate.open(path)

__version__ = "0.1.0"

_HOMES = {
    "Project": ("headgate.project", "Project"),
    "open": ("headgate.project", "open_project"),
}

__all__ = ["Project", "__version__", "open"]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        room, attribute = _HOMES[name]
        return getattr(import_module(room), attribute)
    raise AttributeError(f"module 'headgate' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
