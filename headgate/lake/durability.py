"""Durability: what makes files survive a power cut before a commit refers to them.

A file is durable when its bytes are synced and so is every directory on the way to it: a synced
file in a directory that was never synced can be lost with its name.
"""

import fcntl
import os
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

_THREADS = 4
_FEW = 2


class FileSync(Protocol):
    """What syncs; a test puts one in that records, or that fails."""

    def file(self, path: str) -> None:
        """Put a file's bytes on the disk."""
        ...

    def directory(self, path: str) -> None:
        """Put a directory's names on the disk."""
        ...


class SystemSync:
    """The operating system's own sync."""

    def file(self, path: str) -> None:
        """Put a file's bytes on the disk."""
        descriptor = os.open(path, os.O_RDONLY)
        try:
            _sync(descriptor)
        finally:
            os.close(descriptor)

    def directory(self, path: str) -> None:
        """Put a directory's names on the disk."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            _sync(descriptor)
        finally:
            os.close(descriptor)


def sync(paths: Iterable[str], *, location: Path, by: FileSync | None = None) -> None:
    """Make files durable, and every directory from theirs up to the lake's location.

    Args:
        paths: absolute paths, or paths relative to ``location``.
        location: the lake's directory, synced last; what is above it is not ours.
        by: what syncs; the operating system unless told otherwise.

    Raises:
        OSError: a file is missing, or the disk refused; nothing may be published then.
    """
    syncer = by or SystemSync()
    root = str(location.absolute())
    files = [str(location.absolute() / path) for path in dict.fromkeys(paths)]
    if not files:
        return
    if len(files) <= _FEW:
        for path in files:
            syncer.file(path)
    else:
        with ThreadPoolExecutor(min(_THREADS, len(files)), "headgate-sync") as threads:
            list(threads.map(syncer.file, files))
    for directory in directories(files, root):
        syncer.directory(directory)


def directories(files: Iterable[str], root: str) -> list[str]:
    """Give the directories from the files' own up to the root, deepest first, each once."""
    found: dict[str, None] = {}
    for path in files:
        directory = str(Path(path).parent)
        while directory not in found:
            found[directory] = None
            if directory == root or not directory.startswith(root):
                break
            directory = str(Path(directory).parent)
    return sorted(found, key=lambda directory: (-directory.count("/"), directory))


def _sync(descriptor: int) -> None:
    if sys.platform == "darwin":  # os.fsync leaves the bytes in the drive's own cache there
        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    else:
        os.fsync(descriptor)
