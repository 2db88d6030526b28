"""What would become of one step in a run that began now."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStep:
    """What would happen to a step; ``maybe`` where that depends on steps before."""

    step: str
    action: Literal["run", "skip", "maybe"]
    reason: str
