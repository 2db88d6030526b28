"""What the doctor says of one thing it looked at."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Level: TypeAlias = Literal["ok", "note", "bad"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at. ``bad`` means that stored bytes are not what was written."""

    what: str
    level: Level
    found: str
    hint: str | None = None
