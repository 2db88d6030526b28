"""The project's engine: what settings say, and its part of the machine's memory."""

from collections.abc import Callable
from inspect import Parameter, signature
from typing import cast

from headgate.engines import Budget, Engine, machine_memory, size_in_bytes
from headgate.names import Ids
from headgate.project.plugins import plugin
from headgate.project.settings import Settings

SPILL = "spill"
MEMORY = "memory"


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
        "temp_directory": settings.temp_directory or settings.cache / SPILL,
    }
    if settings.memory_limit is None and _takes(make, "memory"):
        options["memory"] = Budget(budget_bytes(settings), settings.cache / MEMORY, ids)
    return make(**{name: value for name, value in options.items() if value is not None})


def budget_bytes(settings: Settings) -> int:
    """Give what all processes may take together."""
    return size_in_bytes(settings.memory, whole=machine_memory())


def _takes(make: Callable[..., Engine], name: str) -> bool:
    parameters = signature(make).parameters.values()
    return any(each.name == name or each.kind is Parameter.VAR_KEYWORD for each in parameters)
