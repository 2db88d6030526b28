"""Engines: what computes tables and writes Parquet. They never commit.

Names load when they are first touched: naming an engine loads neither duckdb, polars nor pyarrow.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headgate.engines.duckdb import DuckDB as DuckDB
    from headgate.engines.engine import Engine as Engine
    from headgate.engines.engine import MaskQuery as MaskQuery
    from headgate.engines.engine import NativeFiles as NativeFiles
    from headgate.engines.engine import Rows as Rows
    from headgate.engines.engine import Session as Session
    from headgate.engines.engine import Sql as Sql
    from headgate.engines.engine import Written as Written
    from headgate.engines.frames import FORMS as FORMS
    from headgate.engines.frames import accept as accept
    from headgate.engines.frames import supply as supply
    from headgate.engines.loading import load_engine as load_engine

_FILES = {
    "duckdb": ("DuckDB",),
    "engine": ("Engine", "MaskQuery", "NativeFiles", "Rows", "Session", "Sql", "Written"),
    "frames": ("FORMS", "accept", "supply"),
    "loading": ("load_engine",),
}
_FILE_OF = {name: file for file, names in _FILES.items() for name in names}

__all__ = sorted(_FILE_OF)  # noqa: PLE0605 - computed, so that a name is written twice and not thrice


def __getattr__(name: str) -> object:
    """Load the file behind a name of this door."""
    file = _FILE_OF.get(name)
    if file is None:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"headgate.engines.{file}"), name)


def __dir__() -> list[str]:
    """List the door's names."""
    return list(__all__)
