"""Digests of files, computed once: a file is read again only when its size or time says so.

The cache believes a time only if it was old when the file was read: a file that changes twice
within one tick of the file system's clock keeps its time (git calls such an entry racily clean).
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import get_ident

from headgate.clock import Clock
from headgate.file_ranges import chunks_of, look_through

_TICK_NS = 2_000_000_000
_PIECE_BYTES = 8 << 20
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FileState:
    """A file as it was seen: its path, size, time of change, and the digest of its bytes."""

    path: Path
    size_bytes: int
    mtime_ns: int
    inode: int
    digest: str


class Digests:
    """The digests of files, remembered in one file of the cache directory."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        self._file = directory / "digests.json"
        self._clock = clock
        self._known: dict[str, list[object]] = dict(_read(self._file))
        self._changed = False

    def state(self, path: Path) -> FileState:
        """Give a file's state; reads the file only where the cache does not know it."""
        stat = path.stat()
        facts = _facts(stat)
        known = self._known.get(str(path))
        if known is not None and known[:4] == facts and known[4]:
            digest = str(known[5])
        else:
            digest = file_digest(path)
            touched = max(stat.st_mtime_ns, stat.st_ctime_ns)
            settled = self._clock.now().timestamp() * 1e9 - touched > _TICK_NS
            self._known[str(path)] = [*facts, settled, digest]
            self._changed = True
        return FileState(
            path=path,
            size_bytes=stat.st_size,
            mtime_ns=stat.st_mtime_ns,
            inode=stat.st_ino,
            digest=digest,
        )

    def save(self) -> None:
        """Keep what was learned beside what others have; steps and processes may do so at once."""
        if not self._changed:
            return
        with suppress(OSError):  # then the files are read again the next time
            self._file.parent.mkdir(parents=True, exist_ok=True)
            partial = self._file.with_suffix(f".{os.getpid()}-{get_ident()}.partial")
            partial.write_text(json.dumps({**_read(self._file), **self._known}))
            partial.replace(self._file)
        self._changed = False


def _facts(stat: os.stat_result) -> list[object]:
    return [stat.st_size, stat.st_mtime_ns, stat.st_ino, stat.st_ctime_ns]


def _read(file: Path) -> Mapping[str, list[object]]:
    try:
        known = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}  # a cache: what cannot be read is learned again
    return known if isinstance(known, dict) else {}


def file_digest(path: Path) -> str:
    """Give the digest of a file's bytes, read by all cores: SHA-256 of those of its pieces.

    The same on every machine, whatever its cores; not what ``sha256sum`` would give.
    """
    ranges = look_through(path, _piece_digests, multiple_of=_PIECE_BYTES)
    pieces = b"".join(piece for pieces in ranges for piece in pieces)
    return f"sha256-8m:{hashlib.sha256(pieces).hexdigest()}"


def _piece_digests(descriptor: int, start: int, end: int) -> list[bytes]:
    return [
        _digest_of(chunks_of(descriptor, at, min(at + _PIECE_BYTES, end), _CHUNK_BYTES))
        for at in range(start, end, _PIECE_BYTES)
    ]


def _digest_of(chunks: Iterator[bytes]) -> bytes:
    hasher = hashlib.sha256()
    for chunk in chunks:
        hasher.update(chunk)
    return hasher.digest()
