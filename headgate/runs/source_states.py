"""What a source looks like before it is read: enough to know that nothing is new."""

from dataclasses import dataclass

from headgate.pipelines import Step
from headgate.runs.attempt import Attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceState:
    """A source, how far it has been read, and the digest of what it holds now."""

    source: object
    cursor: str | None
    fingerprint: str


def source_state(attempt: Attempt, step: Step) -> SourceState:
    raise NotImplementedError
