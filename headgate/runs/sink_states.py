"""How far sinks are, and how they take each table: values for people and programs."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from headgate.errors import HeadgateError
from headgate.pipelines import SinkMode
from headgate.sinks import Position


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkState:
    """How far a sink is. ``behind`` counts commits that changed its tables and are to come.

    ``has`` is the commit it has, as the destination said, or as was last known where it does not
    answer (``error``). ``late`` is how long ago the first of those to come was published.
    """

    name: str
    kind: str
    title: str
    branch: str
    tables: Mapping[str, str]
    has: Position | None
    behind: int = 0
    late: timedelta = timedelta(0)
    error: HeadgateError | None = None
    declared: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class TableAtSink:
    """How a sink takes a table: by which mode and key, with which columns and their types.

    ``mode`` is None where nobody said it and the lake has no such table yet. ``error`` says why the
    table cannot be delivered as it is declared.
    """

    table: str
    to: str
    mode: SinkMode | None
    key: tuple[str, ...] = ()
    is_there: bool
    columns: tuple[tuple[str, str], ...] = ()
    error: HeadgateError | None = None
