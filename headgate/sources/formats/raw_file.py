"""A file to be read: where its bytes are, and what people call it."""

from dataclasses import dataclass
from pathlib import Path

LARGEST_BYTES = 64 * 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class RawFile:
    """``path`` is where the bytes are (perhaps a staged copy), ``shown`` what messages call it.

    ``name`` tells by its end what it is. ``digest`` identifies its content, ``cache`` is where
    copies of it may lie: in another encoding, or unpacked. ``packing`` is how its bytes are
    compressed; unpacked it may have so many. With ``facts`` (size, time, inode) it is opened only
    as the file it was.
    """

    path: Path
    shown: str
    name: str
    digest: str
    cache: Path
    packing: str | None = None
    largest_bytes: int = LARGEST_BYTES
    facts: tuple[int, int, int] | None = None
