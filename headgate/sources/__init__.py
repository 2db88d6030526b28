"""Sources: where rows come from. A source reads; it never writes and never commits.

Names load when they are first touched.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headgate.sources.cursors import Cursor as Cursor
    from headgate.sources.files import FileSource as FileSource
    from headgate.sources.source import Batch as Batch
    from headgate.sources.source import Description as Description
    from headgate.sources.source import NativeRead as NativeRead
    from headgate.sources.source import Setting as Setting
    from headgate.sources.source import Source as Source

_FILES = {
    "cursors": ("Cursor",),
    "files": ("FileSource",),
    "source": ("Batch", "Description", "NativeRead", "Setting", "Source"),
}
_FILE_OF = {name: file for file, names in _FILES.items() for name in names}

__all__ = sorted(_FILE_OF)  # noqa: PLE0605 - computed, so that a name is written twice and not thrice


def __getattr__(name: str) -> object:
    """Load the file behind a name of this door."""
    file = _FILE_OF.get(name)
    if file is None:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"headgate.sources.{file}"), name)


def __dir__() -> list[str]:
    """List the door's names."""
    return list(__all__)
