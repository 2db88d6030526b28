"""What an engine must do: compute tables and write Parquet.

It never commits and never lists a directory.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeAlias

from headgate.filesets import NativeFiles, Scan, WriteTarget
from headgate.masks import MaskQuery

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "Engine",
    "MaskQuery",
    "NativeFiles",
    "Rows",
    "Scan",
    "Session",
    "Sql",
    "WriteTarget",
    "Written",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sql:
    """A query in the engine's dialect over the tables it is given by name.

    ``verbatim`` names, by the query's columns, those of the one table of raw files it reads that
    they are, value by value: by their texts rows are found again in the files.
    """

    text: str
    parameters: Mapping[str, object] = field(default_factory=dict)
    verbatim: Mapping[str, str] = field(default_factory=dict)


Rows: TypeAlias = "Sql | NativeFiles | Scan | pa.Table | pa.RecordBatchReader"


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What an engine wrote: the accepted rows' files, by absolute paths, and the rejected rows.

    ``violations`` counts per check name. ``rejected`` holds the quarantined rows as they came in,
    plus the columns ``_mask`` (the bits) and ``_position`` (where the source knows it, as text).
    ``malformed`` holds the records of raw files that are no rows at all (text that does not parse,
    or does not fit the column's type): ``_position``, ``_raw`` (the record's text), ``_column`` and
    ``_reason``, all text. ``partitions`` maps a path to the values of ``partition_by`` in that
    file. Always ``rows + len(rejected) + len(malformed) == rows_read``; the engine checks it.
    """

    paths: tuple[str, ...]
    rows: int
    rows_read: int
    violations: Mapping[str, int] = field(default_factory=dict)
    examples: Mapping[str, Sequence[Mapping[str, object]]] = field(default_factory=dict)
    rejected: "pa.Table | None" = None
    malformed: "pa.Table | None" = None
    partitions: Mapping[str, Mapping[str, object]] = field(default_factory=dict)


class Session(Protocol):
    """One unit of work on an engine (a step, a verification). Not shared between threads.

    Close it.
    """

    def bind(self, tables: "Mapping[str, Scan | pa.Table]") -> None:
        """Make tables known to later queries, by name; dots are namespaces. Reads nothing yet."""
        ...

    def schema(self, rows: Rows) -> "pa.Schema":
        """Give the columns a query or a file would yield, without computing its rows."""
        ...

    def reader(self, rows: Rows) -> "pa.RecordBatchReader":
        """Compute rows as a stream of Arrow batches, in bounded memory."""
        ...

    def write(self, rows: Rows, target: "WriteTarget", *, mask: MaskQuery | None = None) -> Written:
        """Compute rows once; write the accepted ones as Parquet with field ids, memory bounded."""
        ...

    def write_several(
        self, works: "Sequence[tuple[Sql, WriteTarget]]", *, rows: int
    ) -> tuple[Written, ...]:
        """Write several queries' rows, as many at a time as the engine has room for; in order.

        ``rows`` is about how many they have in all. If one fails, nothing that was written stays.
        """
        ...

    def keep(self, name: str, rows: Sql) -> None:
        """Compute rows once, and keep them under a name for later queries of this session.

        They may be larger than memory. A name given again means the new rows.
        """
        ...

    def scalars(self, sql: str) -> Mapping[str, object]:
        """Run a query of one row and give it as a mapping (a contract's question)."""
        ...

    def close(self) -> None:
        """Free everything the session holds."""
        ...


class Engine(Protocol):
    """Computes tables on one machine or on many."""

    name: str

    def session(self) -> Session:
        """Open a unit of work. Cheap: milliseconds."""
        ...

    def interrupt(self) -> None:
        """Make what its sessions compute now end with ``interrupted``. From any thread."""
        ...

    def close(self) -> None:
        """Free everything the engine holds; what its sessions compute is interrupted."""
        ...
