"""What happened: frozen events, in the past tense, handed to listeners.

Rooms neither log nor count; observers turn events into lines, metrics and alerts. No event carries
a secret or the contents of a row, except the few example rows of a violated check.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cache
from typing import Protocol

from headgate.verdicts import Verdict

_COMMON = frozenset({"run", "at"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened in a run, at an instant."""

    run: str
    at: datetime

    @property
    def kind(self) -> str:
        """The event's stored name: ``StepFinished`` is ``step-finished``."""
        return _stored_name(type(self).__name__)

    def body(self) -> dict[str, object]:
        """Give the event's facts, without run and instant."""
        facts = {
            name: getattr(self, name) for name in self.__dataclass_fields__ if name not in _COMMON
        }
        return {name: asdict(v) if isinstance(v, Verdict) else v for name, v in facts.items()}


@cache
def _stored_name(name: str) -> str:
    return "".join(f"-{c.lower()}" if c.isupper() else c for c in name).lstrip("-")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(Event):
    """A run began, or was taken up again (``attempt`` above 1), on ``base`` of ``target``."""

    pipeline: str
    target: str
    base: str
    attempt: int
    steps: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepStarted(Event):
    """A step began."""

    step: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StepProgressed(Event):
    """A long step got on; not stored, only shown."""

    step: str
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFinished(Event):
    """A step's output was committed to the run's branch; ``table`` is empty where it has none."""

    step: str
    attempt: int
    rows: int | None
    rows_quarantined: int
    wall_s: float
    cpu_s: float
    quarantine_reasons: Mapping[str, int]
    table: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSkipped(Event):
    """A step did not run: its output is already published, in ``commit``."""

    step: str
    commit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFailed(Event):
    """A step raised, or returned what its declaration does not allow.

    ``traceback`` has the frames of the project's own files, ``whole_traceback`` all of them.
    """

    step: str
    attempt: int
    code: str
    message: str
    traceback: str
    whole_traceback: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaChanged(Event):
    """A step's output changed its table's schema; ``changes`` says how, a phrase each."""

    step: str
    table: str
    changes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceNoted(Event):
    """A source had something to say of the rows it gave, such as why they are all of them."""

    step: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceNotAcknowledged(Event):
    """A run is published, and a source could not be told; it hears it when it is read next."""

    step: str
    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractJudged(Event):
    """A contract was judged on the tree that would be published."""

    verdict: Verdict
    wall_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ConflictMet(Event):
    """Another run published first; these steps run again, on the new head."""

    head: str
    because: str
    steps: tuple[str, ...]
    losses: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPublished(Event):
    """All of the run's tables became visible at once."""

    target: str
    commit: str
    tables: tuple[str, ...]
    wall_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFoundNothing(Event):
    """Every step's output is already published; no commit was made."""

    target: str
    commit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDone(Event):
    """Every step ran, and none of them has a table: there was nothing to publish."""

    target: str
    commit: str
    wall_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFailed(Event):
    """The run ended without publishing; its branch is kept."""

    state: str
    code: str
    message: str


class Listener(Protocol):
    """Hears events, in order, in the thread where they happen.

    A listener that raises never stops a run.
    """

    def __call__(self, event: Event, /) -> None:
        """Hear one event."""
        ...


def tell(
    listeners: Iterable[Listener], event: Event, failed: "list[Exception] | None" = None
) -> None:
    """Hand an event to every listener.

    A listener's error is put into ``failed`` and stops nobody.
    """
    for listener in listeners:
        try:
            listener(event)
        except Exception as error:  # noqa: BLE001 - the boundary: listeners are strangers' code
            if failed is not None:
                failed.append(error)
