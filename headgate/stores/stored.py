"""What a listing tells of one object, or of one file."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """An object or a file that is there. ``path`` is relative to the store or directory."""

    path: str
    size_bytes: int
    modified: datetime
