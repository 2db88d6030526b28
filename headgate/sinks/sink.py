"""What a sink must do: say how far it is, and take one published commit whole.

A sink remembers at the destination which commit it took last, in the same transaction as the rows;
therefore a delivery that is repeated, or that two processes try at once, is done once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, runtime_checkable

from headgate.clock import Clock, SystemClock
from headgate.secrets import Secret, no_secrets

if TYPE_CHECKING:
    import pyarrow as pa

Mode: TypeAlias = Literal["insert", "upsert", "replace"]
"""What a sink is declared to do with a table's rows."""

Effect: TypeAlias = Literal["insert", "upsert", "replace", "drop"]
"""What one commit makes of one table at the destination."""

Reader: TypeAlias = Callable[[], "pa.RecordBatchReader"]
"""Reads rows, anew with each call, in bounded memory. The caller closes what it is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a sink is given beside its options.

    ``name`` is what the user calls it. Paths are relative to ``root``, the project's directory;
    ``cache`` may be dropped at any time. ``lake`` is the lake's id: what a destination remembers
    is of this lake. ``reveal`` gives the value of an option that is a secret, when a connection is
    made and not before.
    """

    name: str
    lake: str
    root: Path
    cache: Path
    clock: Clock = field(default_factory=SystemClock)
    reveal: Callable[[str | Secret], str] = no_secrets


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """The commit that the destination has: its id, and its number on the branch it came from.

    ``tables`` are those it has from the sink, each with its name over there: a table that is not
    among them (it was added to the sink later) comes whole.
    """

    commit: str
    number: int
    tables: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TableDelivery:
    """What one commit makes of one table at the destination.

    ``insert`` adds ``rows``; ``upsert`` puts them in the place of those with an equal ``key`` and
    takes away those whose keys are in ``deleted`` (key columns only); ``replace`` makes them all
    there is; ``drop`` takes the table away. ``table`` is its name in the lake, ``to`` at the
    destination. ``schema`` is the table's, whole, and that of ``rows``.

    ``whole`` says that ``rows`` are all that the lake's table has, not what changed. ``gone`` names
    columns that the table over there must lose, because they left, were renamed or have another
    type now; those that are in ``schema`` are made again. Then ``rows`` replace all there is.
    ``new`` names columns that the commit added: none of them can be over there yet.
    """

    table: str
    to: str
    effect: Effect
    schema: "pa.Schema"
    rows: Reader
    key: tuple[str, ...] = ()
    deleted: Reader | None = None
    whole: bool = False
    gone: tuple[str, ...] = ()
    new: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One published commit for one sink.

    ``after`` is what the destination must have; None: nothing yet, and the tables come whole.
    Commits between ``after`` and ``position`` changed none of the sink's tables. Without tables it
    only moves the position.
    """

    position: Position
    after: Position | None
    published: datetime
    branch: str
    run: str | None = None
    tables: tuple[TableDelivery, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """A sink for people: ``title`` in a few words, ``facts`` as texts, without secrets."""

    kind: str
    title: str
    facts: Mapping[str, str] = field(default_factory=dict)


@runtime_checkable
class Sink(Protocol):
    """Takes published rows. Made of its options and a ``Setting``; making one does no I/O."""

    kind: str
    remembers: bool
    """Whether the destination remembers its position. Else the lake does: a delivery may be
    repeated, and whoever receives it tells that by the commit's id."""
    edits: bool
    """Whether rows can be added to what is there, and found by key in it. Else a table comes whole
    each time, unless it is declared to be inserted: then each commit is a piece of its own."""

    def describe(self) -> Description:
        """Say what the sink is. No I/O."""
        ...

    def position(self) -> Position | None:
        """Give the commit that the destination has; None before the first delivery.

        Raises:
            Unavailable: the destination does not answer.
            Refused: it holds what another lake delivered under the sink's name.
        """
        ...

    def deliver(self, delivery: Delivery) -> Mapping[str, int]:
        """Take a commit, whole or not at all; give how many rows were sent, by table.

        Deleted keys count. Tables that are not there are made, columns that are new are added.

        Raises:
            Conflict: ``sink-elsewhere``: the destination is not at ``delivery.after``.
            Unavailable: the destination does not answer; ask for its position before trying again.
            Refused, Invalid: it does not take the rows; nothing of the delivery is there.
        """
        ...

    def place(self, position: Position | None) -> None:
        """Say at the destination that it has a commit, without rows; None: that it has nothing.

        Raises:
            Unavailable: the destination does not answer.
        """
        ...

    def close(self) -> None:
        """Free connections and handles."""
        ...
