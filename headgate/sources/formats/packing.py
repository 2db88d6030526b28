"""Packing: files compressed as a whole. Their bytes, up to a limit, proven to be all there."""

import bz2
import gzip
import io
import lzma
import os
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import PurePath
from typing import IO, Protocol

import pyarrow as pa

from headgate.digests import digest
from headgate.errors import Corrupt, Refused, Unavailable
from headgate.sources.formats.raw_file import RawFile
from headgate.sources.staging import staging

_CHUNK_BYTES = 1 << 20
_BUFFER_BYTES = 1 << 18
_TIGHTEST = 1_000
_TRUSTED_BYTES = 256 * 1024 * 1024


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


_OPENERS: Mapping[str, Callable[[IO[bytes]], _Readable]] = {
    "gzip": lambda packed: gzip.GzipFile(fileobj=packed),
    "bz2": bz2.BZ2File,
    "xz": lzma.LZMAFile,
    "zstd": lambda packed: pa.CompressedInputStream(pa.PythonFile(packed), "zstd"),
}


def opened(file: RawFile) -> IO[bytes]:
    """Open a file's bytes, unpacked.

    What is opened stays what it was, even if another file gets its name.

    Raises:
        Unavailable: ``file-changed-meanwhile``, since it was listed.

    Reading raises ``file-damaged`` (Corrupt) where the packed bytes are not whole, and
    ``unpacked-too-large`` (Refused) where there is too much in them.
    """
    packed = file.path.open("rb", buffering=_BUFFER_BYTES)
    try:
        refuse_changed(file, packed.fileno())
    except Unavailable:
        packed.close()
        raise
    if file.packing is None:
        return packed
    return io.BufferedReader(_Unpacking(file, packed), _BUFFER_BYTES)


def unpacked(file: RawFile) -> RawFile:
    """Give a file whose bytes can be read anywhere: itself, or an unpacked copy in the cache."""
    if file.packing is None:
        return file
    suffixes = PurePath(file.name).suffixes[:-1]
    path = file.cache / f"{digest(file.digest, 'unpacked')}{suffixes[-1] if suffixes else ''}"
    if not path.exists():
        with staging(path, file.shown) as target, opened(file) as source:
            while chunk := source.read(_CHUNK_BYTES):
                target.write(chunk)
    return replace(file, path=path, packing=None, facts=None)


def refuse_changed(file: RawFile, descriptor: int | None = None) -> None:
    """Refuse a file, or what is open as it, that is not what it was when it was listed.

    Raises:
        Unavailable: ``file-changed-meanwhile``.
    """
    if file.facts is not None:
        stat = file.path.stat() if descriptor is None else os.fstat(descriptor)
        if file.facts != (stat.st_size, stat.st_mtime_ns, stat.st_ino):
            raise changed_meanwhile(file.shown)


def changed_meanwhile(shown: str) -> Unavailable:
    """Give the error for a file that is not what it was when it was listed."""
    return Unavailable(
        "file-changed-meanwhile",
        f"{shown} has changed while it was read.",
        hint="Run again when it is whole: write files elsewhere, then move them here.",
        path=shown,
    )


def prove_whole(file: RawFile) -> None:
    """Unpack a file for its checksum's sake: engines read on without looking at it."""
    if file.packing is not None:
        with opened(file) as source:
            while source.read(_CHUNK_BYTES):
                pass


def too_much(unpacked_bytes: int, packed_bytes: int, largest_bytes: int) -> str | None:
    """Say why so many bytes out of so few are not believed."""
    if unpacked_bytes > largest_bytes:
        return f"is larger than {largest_bytes:,} bytes"
    if unpacked_bytes > max(_TRUSTED_BYTES, _TIGHTEST * packed_bytes):
        return f"is more than {_TIGHTEST:,} times as large as the {packed_bytes:,} bytes it is in"
    return None


class _Unpacking(io.RawIOBase):
    """The unpacked bytes of a file, as a stream that says where it broke."""

    def __init__(self, file: RawFile, packed: IO[bytes]) -> None:
        super().__init__()
        self._file = file
        self._packed = packed
        self._size = os.fstat(packed.fileno()).st_size
        self._count = 0
        self._stream = _OPENERS[file.packing or ""](packed)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "bytearray | memoryview", /) -> int:  # type: ignore[override]
        try:
            found = self._stream.read(len(buffer))
        except (EOFError, OSError, zlib.error, lzma.LZMAError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # the disk's, not the packing's
            raise self._damaged(error) from error
        self._count += len(found)
        reason = too_much(self._count, self._size, self._file.largest_bytes)
        if reason is not None:
            raise Refused(
                "unpacked-too-large",
                f"What {self._file.shown} holds {reason}.",
                hint="Unpack it yourself, or raise largest_bytes.",
                path=self._file.shown,
                largest_bytes=self._file.largest_bytes,
            )
        buffer[: len(found)] = found
        return len(found)

    def close(self) -> None:
        if not self.closed:
            self._packed.close()
        super().close()

    def _damaged(self, error: Exception) -> Corrupt:
        at = self._packed.tell()
        where = "at its end" if at >= self._size else f"before byte {at:,}"
        return Corrupt(
            "file-damaged",
            f"{self._file.shown} is no whole {self._file.packing} file of {self._size:,} bytes: it "
            f"breaks off {where}, after {self._count:,} bytes unpacked: {error}.",
            hint="Fetch the file again.",
            path=self._file.shown,
            offset=min(at, self._size),
        )
