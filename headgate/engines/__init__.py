"""Engines: what computes tables and writes Parquet. They never commit.

Names load when they are first touched: naming an engine loads neither duckdb, polars nor pyarrow.
"""

from typing import TYPE_CHECKING

from headgate.doors import door

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
    from headgate.engines.memory import Budget as Budget
    from headgate.engines.memory import machine_memory as machine_memory
    from headgate.engines.memory import size_in_bytes as size_in_bytes

_FILES = {
    "duckdb": ("DuckDB",),
    "engine": ("Engine", "MaskQuery", "NativeFiles", "Rows", "Session", "Sql", "Written"),
    "frames": ("FORMS", "accept", "supply"),
    "loading": ("load_engine",),
    "memory": ("Budget", "machine_memory", "size_in_bytes"),
}

__getattr__, __dir__, __all__ = door(__name__, _FILES)
