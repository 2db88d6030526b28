"""A file to be read: where its bytes are, and what people call it."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class RawFile:
    """``path`` is where the bytes are (perhaps a staged copy), ``shown`` what messages call it.

    ``digest`` identifies its content, ``cache`` is where a copy in another encoding may lie.
    """

    path: Path
    shown: str
    digest: str
    cache: Path
