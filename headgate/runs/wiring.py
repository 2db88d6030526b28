"""What a run works with: chosen once by the project, handed down, never looked up."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TypeAlias

from headgate.clock import Clock
from headgate.engines import Engine
from headgate.events import Event, Listener, tell
from headgate.lake import Commit, FileSync, Lake
from headgate.names import Ids
from headgate.redaction import Redaction
from headgate.secrets import Reveal, no_secrets
from headgate.sources import Setting, Source

LEASE = timedelta(seconds=30)
"""How long a run stays somebody's without a sign of life."""


SourceMaker: TypeAlias = Callable[[str, Mapping[str, object], Setting], Source]
"""Makes a source of a kind (an entry point's name), of its options and where it stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """The lake, the engine and the rest that every part of a run needs.

    ``engine`` is called once, when the first rows move: a run with nothing to do opens none.
    ``root`` is the project's directory (sources' paths are relative to it), ``cache`` may be
    dropped at any time. ``owner`` names this process to others: ``host:pid:start``. ``turn`` is how
    long at least a run keeps the keys it has reserved, should it die. ``reveal`` gives the values
    of secrets, ``redaction`` takes those that were given out of what is said.
    """

    lake: Lake
    engine: Callable[[], Engine]
    clock: Clock
    ids: Ids
    root: Path
    cache: Path
    owner: str
    source: SourceMaker
    listeners: tuple[Listener, ...] = ()
    sync: FileSync | None = None
    parallel: int = 2
    turn: timedelta = timedelta(seconds=10)
    reveal: Reveal = no_secrets
    redaction: Redaction = field(default_factory=Redaction)

    def head(self, branch: str) -> Commit:
        """Give the commit a branch is at now."""
        return self.lake.commit(self.lake.branch(branch).head)

    def tell(self, event: Event) -> None:
        """Hand an event to every listener."""
        tell(self.listeners, event)
