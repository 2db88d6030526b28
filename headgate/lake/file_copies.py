"""Copies of a lake's files at another location: by name, since a name's bytes never change."""

import errno
import os
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from threading import get_ident

from headgate.errors import Unavailable
from headgate.lake.durability import SystemSync, directories
from headgate.lake.storage import Storage

_CACHE_END = ".files.json"  # file lists: they may be missing
_THREADS = 4
_AT_ONCE = 256
_PIECE_BYTES = 64 << 20
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_NO_SHORT_CUT = frozenset({errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM})


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """What came of copying: how many files and bytes, what was there, and what is nowhere."""

    files: int
    bytes: int
    there: int
    missing: tuple[str, ...]


def copy_files(
    paths: Iterable[str], source: Storage, target: Storage, *, link: bool = False
) -> Copied:
    """Copy files from one location to another, each whole or not at all, and sync them.

    A file of the same name and length is there already. Who is killed leaves whole files.

    Args:
        paths: relative to both locations; may recur.
        source: where they are.
        target: where they shall be.
        link: make hard links where both are on one file system that knows them.

    Raises:
        Unavailable: ``disk-full``; and what object stores raise.
    """
    files = size = there = 0
    missing: list[str] = []
    made: list[str] = []
    copy = partial(_copy, source=source, target=target, link=link)
    with ThreadPoolExecutor(_THREADS, "headgate-copy") as threads:
        for batch in _batches(paths):
            for path, length in zip(batch, threads.map(copy, batch), strict=True):
                if length is None:
                    there += 1
                elif length >= 0:
                    files, size = files + 1, size + length
                    made.append(target.absolute(path))
                elif not path.endswith(_CACHE_END):
                    missing.append(path)
    if target.store is None:
        for directory in directories(made, target.location):
            SystemSync().directory(directory)
    return Copied(files=files, bytes=size, there=there, missing=tuple(missing))


def copy_file(here: Path, there: Path, *, link: bool = False) -> None:
    """Copy a file of this machine, whole or not at all; its bytes are synced, its name is not.

    Raises:
        Unavailable: ``disk-full``.
    """
    there.parent.mkdir(parents=True, exist_ok=True)
    making = there.with_name(f".{there.name}.{os.getpid()}.{get_ident()}.making")
    try:
        if not (link and _linked(here, making)):
            _write(here, making)
            SystemSync().file(str(making))
        making.replace(there)
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise Unavailable(
            "disk-full",
            f"No space left on the disk for {there}.",
            hint="Free space, then type it again: what was copied stays.",
            path=str(there),
        ) from error
    finally:
        making.unlink(missing_ok=True)


def _copy(path: str, *, source: Storage, target: Storage, link: bool) -> int | None:
    """Copy a file: give its length, None where it was there, -1 where there is none."""
    length, present = _size(source, path), _size(target, path)
    if length is None:
        return -1 if present is None else None
    if present == length:
        return None
    if source.store is None and target.store is None:
        copy_file(Path(source.absolute(path)), Path(target.absolute(path)), link=link)
        return length
    with source.open(path) as file:
        content = file.read()
    if target.store is None:
        Path(target.absolute(path)).parent.mkdir(parents=True, exist_ok=True)
    target.put(path, content)
    if target.store is None:
        SystemSync().file(target.absolute(path))
    return length


def _size(storage: Storage, path: str) -> int | None:
    try:
        return storage.size(path, fresh=True)
    except FileNotFoundError:
        return None


def _batches(paths: Iterable[str]) -> Iterator[list[str]]:
    left = _each_once(paths)
    while batch := list(islice(left, _AT_ONCE)):
        yield batch


def _each_once(paths: Iterable[str]) -> Iterator[str]:
    seen: set[str] = set()
    for path in paths:
        if path not in seen:
            seen.add(path)
            yield path


def _linked(here: Path, making: Path) -> bool:
    try:
        os.link(here, making)
    except OSError as error:
        if error.errno not in _NO_SHORT_CUT:
            raise
        return False
    return True


def _write(here: Path, making: Path) -> None:
    """Copy bytes within the system; file systems that share blocks share them."""
    with here.open("rb", buffering=0) as source, making.open("xb", buffering=0) as target:
        try:
            while os.copy_file_range(source.fileno(), target.fileno(), _PIECE_BYTES):
                pass
        except (OSError, AttributeError) as error:  # other systems than Linux have no such call
            if isinstance(error, OSError) and error.errno not in _NO_SHORT_CUT:
                raise
            source.seek(0)
            target.seek(0)
            shutil.copyfileobj(source, target, _PIECE_BYTES)
