"""The lake: a commit history of tables, and the one place where state changes.

Names load when they are first touched: looking at the history needs neither pyarrow nor PyIceberg.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headgate.lake.diffing import Change as Change
    from headgate.lake.entries import Entry as Entry
    from headgate.lake.entries import TableBody as TableBody
    from headgate.lake.entries import blob_key as blob_key
    from headgate.lake.entries import contract_key as contract_key
    from headgate.lake.entries import cursor_key as cursor_key
    from headgate.lake.entries import step_key as step_key
    from headgate.lake.entries import table_key as table_key
    from headgate.lake.lake import Candidate as Candidate
    from headgate.lake.lake import Lake as Lake
    from headgate.lake.metastore import Branch as Branch
    from headgate.lake.metastore import EventRow as EventRow
    from headgate.lake.metastore import Metastore as Metastore
    from headgate.lake.metastore import Outcome as Outcome
    from headgate.lake.metastore import Reservation as Reservation
    from headgate.lake.metastore import RunRow as RunRow
    from headgate.lake.metastore import RunState as RunState
    from headgate.lake.metastore import StepRow as StepRow
    from headgate.lake.metastore import StepState as StepState
    from headgate.lake.metastore import Tag as Tag
    from headgate.lake.records import Commit as Commit
    from headgate.lake.records import Read as Read
    from headgate.lake.records import Record as Record
    from headgate.lake.records import Skip as Skip
    from headgate.lake.records import StepRecord as StepRecord
    from headgate.lake.records import Write as Write
    from headgate.lake.trees import Tree as Tree

_FILES = {
    "diffing": ("Change",),
    "entries": (
        "Entry",
        "TableBody",
        "blob_key",
        "contract_key",
        "cursor_key",
        "step_key",
        "table_key",
    ),
    "lake": ("Candidate", "Lake"),
    "metastore": (
        "Branch",
        "EventRow",
        "Metastore",
        "Outcome",
        "Reservation",
        "RunRow",
        "RunState",
        "StepRow",
        "StepState",
        "Tag",
    ),
    "records": ("Commit", "Read", "Record", "Skip", "StepRecord", "Write"),
    "trees": ("Tree",),
}
_FILE_OF = {name: file for file, names in _FILES.items() for name in names}

__all__ = sorted(_FILE_OF)  # noqa: PLE0605 - computed, so that a name is written twice and not thrice


def __getattr__(name: str) -> object:
    """Load the file behind a name of this door."""
    file = _FILE_OF.get(name)
    if file is None:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"headgate.lake.{file}"), name)


def __dir__() -> list[str]:
    """List the door's names."""
    return __all__
