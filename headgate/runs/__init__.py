"""The runs' door: pipelines become transactions here."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headgate.runs.beginning import owner_name as owner_name
    from headgate.runs.hall import Hall as Hall
    from headgate.runs.plan import Plan as Plan
    from headgate.runs.planned import PlannedStep as PlannedStep
    from headgate.runs.quarantine import quarantine_table as quarantine_table
    from headgate.runs.results import RunResult as RunResult
    from headgate.runs.revert import RevertPlan as RevertPlan
    from headgate.runs.transaction import Transaction as Transaction
    from headgate.runs.wiring import Wiring as Wiring

_FILES = {
    "beginning": ("owner_name",),
    "hall": ("Hall",),
    "plan": ("Plan",),
    "planned": ("PlannedStep",),
    "quarantine": ("quarantine_table",),
    "results": ("RunResult",),
    "revert": ("RevertPlan",),
    "transaction": ("Transaction",),
    "wiring": ("Wiring",),
}
_FILE_OF = {name: file for file, names in _FILES.items() for name in names}

__all__ = sorted(_FILE_OF)  # noqa: PLE0605 - computed, so that a name is written twice and not thrice


def __getattr__(name: str) -> object:
    """Load the file behind a name of this door."""
    file = _FILE_OF.get(name)
    if file is None:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"headgate.runs.{file}"), name)


def __dir__() -> list[str]:
    """List the door's names."""
    return list(__all__)
