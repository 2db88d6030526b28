"""The project's engine: what settings say, and its part of the machine's memory."""

from collections.abc import Callable
from contextlib import suppress
from inspect import Parameter, signature
from pathlib import Path
from typing import cast

from headgate.engines import Budget, Engine, machine_memory, size_in_bytes
from headgate.names import Ids
from headgate.project.plugins import plugin
from headgate.project.settings import Settings

_SPILL = "spill"
_MEMORY = "memory"


def make_engine(settings: Settings, ids: Ids) -> Engine:
    """Start the engine that settings name.

    An engine that takes ``memory`` gets a part of the budget of all processes that share the cache,
    unless ``memory_limit`` says what it may take by itself.

    Raises:
        NotFound: ``unknown-engine``.
    """
    make = cast("Callable[..., Engine]", plugin("headgate.engines", settings.engine))
    options: dict[str, object] = {
        "threads": settings.threads,
        "memory_limit": settings.memory_limit,
        "temp_directory": spill_directory(settings),
    }
    if settings.memory_limit is None and _takes(make, "memory"):
        options["memory"] = Budget(budget_bytes(settings), settings.cache / _MEMORY, ids)
    return make(**{name: value for name, value in options.items() if value is not None})


def budget_bytes(settings: Settings) -> int:
    """Give what all processes may take together."""
    return size_in_bytes(settings.memory, whole=machine_memory())


def spill_directory(settings: Settings) -> Path:
    """Give where processes have their directories for what does not fit into memory."""
    return settings.temp_directory or settings.cache / _SPILL


def spilled_bytes(settings: Settings) -> int:
    """Give how much is spilled now, or was left by processes that were killed."""
    size = 0
    for file in spill_directory(settings).rglob("*"):
        with suppress(OSError):
            size += file.stat().st_size if file.is_file() else 0
    return size


def _takes(make: Callable[..., Engine], name: str) -> bool:
    parameters = signature(make).parameters.values()
    return any(each.name == name or each.kind is Parameter.VAR_KEYWORD for each in parameters)
