"""What a collection says: what went, or would go; what waits; who holds what."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from headgate.lake.pins import Pin


@dataclass(frozen=True, slots=True, kw_only=True)
class LostRun:
    """A published run that cannot be reproduced once the state it began from has gone.

    ``now``: it goes, or went, in this collection; else it waits.
    """

    run: str
    pipeline: str | None
    commit: str
    at: datetime
    base: str
    now: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What went, or would go.

    ``commits`` lost their trees and tables, ``operations`` the files of their operations,
    ``records`` their rows. ``branches`` says why each went. ``ready`` is when the first of what
    waits may go. ``pins`` are those in force, leases of readers among them.
    """

    at: datetime
    commits: int = 0
    operations: int = 0
    records: int = 0
    nodes: int = 0
    files: int = 0
    size_bytes: int = 0
    waiting_commits: int = 0
    waiting_files: int = 0
    waiting_bytes: int = 0
    ready: datetime | None = None
    branches: Mapping[str, str] = field(default_factory=dict)
    given_up: tuple[str, ...] = ()
    lost: tuple[LostRun, ...] = ()
    pins: tuple[Pin, ...] = ()
