"""Engines by name, ours and strangers', found by entry point."""

from importlib import import_module
from importlib.metadata import entry_points

from headgate.engines.engine import Engine
from headgate.errors import NotFound
from headgate.names import suggestion

GROUP = "headgate.engines"
OURS = {"duckdb": "headgate.engines.duckdb:DuckDB"}
"""What we ship is not looked up: that would read every installed package's metadata."""


def load_engine(name: str, **settings: object) -> Engine:
    """Make the engine of that name; ``settings`` are its own (threads, memory_limit, ...).

    Raises:
        NotFound: ``unknown-engine``.
    """
    if name in OURS:
        module, _, attribute = OURS[name].partition(":")
        ours: Engine = getattr(import_module(module), attribute)(**settings)
        return ours
    found = {each.name: each for each in entry_points(group=GROUP)}
    if name not in found:
        meant = suggestion(name, found)
        raise NotFound(
            "unknown-engine",
            f"There is no engine {name!r}; there are: {', '.join(sorted({*found, *OURS}))}.",
            hint=f"Did you mean {meant}?" if meant else "Install the package that provides it.",
            engine=name,
        )
    made: Engine = found[name].load()(**settings)
    return made
