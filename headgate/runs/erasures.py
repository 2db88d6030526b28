"""Erasures as values: what is asked for, and what is told of it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from headgate.lake import Commit


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasedTable:
    """What goes of a table: rows that readers of the target see, and all copies in its history."""

    table: str
    rows: int
    copies: int
    files: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What an erasure did, or would do where ``commit`` is None.

    ``commits`` counts those that say something else now, ``runs`` are those that cannot be
    reproduced any more, ``derived`` the tables computed from these, which stay as they are.
    ``broken`` are contracts that fail now. ``not_reached`` names what is out of reach.
    ``predicate_digest`` is that of (``salt``, condition); the salt is not kept.
    """

    id: str
    at: datetime
    target: str
    tables: tuple[ErasedTable, ...]
    commits: int
    runs: tuple[str, ...]
    derived: tuple[str, ...]
    not_reached: tuple[str, ...]
    commit: Commit | None = None
    certificate: str | None = None
    salt: str | None = None
    broken: tuple[str, ...] = ()
    finished_earlier: bool = False

    @property
    def found_nothing(self) -> bool:
        """Whether no file held such rows."""
        return not any(each.copies for each in self.tables)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Which rows go, why, and where else texts of them may stand.

    ``logs`` are directories of text files in which words are struck out; ``wait`` is how long to
    wait for readers.
    """

    tables: tuple[str, ...]
    where: str
    reason: str
    target: str
    logs: tuple[Path, ...] = ()
    wait: timedelta = timedelta(0)
    only_plan: bool = False
