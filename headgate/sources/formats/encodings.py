"""Encodings of text files: what is not UTF-8 is copied into it, line for line."""

import codecs
import gzip
import os
from pathlib import Path
from typing import IO, cast

from headgate.digests import digest
from headgate.errors import Invalid
from headgate.sources.formats.raw_file import RawFile

SAMPLE_BYTES = 1 << 18
_CHUNK_BYTES = 1 << 20


def in_utf8(file: RawFile, declared: object) -> RawFile:
    """Give the file itself where it is UTF-8, else a copy that is.

    Without a declared encoding a byte order mark decides; a file that is not UTF-8 is refused,
    because nothing tells one 8-bit encoding from another.

    Raises:
        Invalid: ``bad-option``, ``encoding-unknown``, ``encoding-wrong``.
    """
    encoding = _detected(file) if declared is None else _known(str(declared))
    if encoding in {"utf-8", "ascii", "utf-8-sig"}:
        return file
    path = file.cache / f"{digest(file.digest, encoding)}.csv"
    if not path.exists():
        _transcode(file, path, encoding)
    return RawFile(path=path, shown=file.shown, digest=file.digest, cache=file.cache)


def opened(path: Path) -> IO[bytes]:
    """Open a file's bytes, uncompressed."""
    return cast("IO[bytes]", gzip.open(path)) if path.suffix == ".gz" else path.open("rb")


def _known(declared: str) -> str:
    try:
        return codecs.lookup(declared).name
    except LookupError as error:
        raise Invalid(
            "bad-option", f"There is no encoding {declared!r}.", option="encoding"
        ) from error


def _detected(file: RawFile) -> str:
    with opened(file.path) as source:
        sample = source.read(SAMPLE_BYTES)
    if sample.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError as error:
        line = sample.count(b"\n", 0, error.start) + 1
        raise Invalid(
            "encoding-unknown",
            f"{file.shown} is not UTF-8: byte {sample[error.start]:#04x} on line {line}.",
            hint='Say what it is: encoding="cp1252", "latin-1", "utf-16", ...',
            path=file.shown,
            line=line,
        ) from error
    return "utf-8"


def _transcode(file: RawFile, path: Path, encoding: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        with opened(file.path) as source, partial.open("wb") as target:
            while chunk := source.read(_CHUNK_BYTES):
                target.write(decoder.decode(chunk).encode())
            target.write(decoder.decode(b"", final=True).encode())
        partial.replace(path)
    except UnicodeError as error:
        raise Invalid(
            "encoding-wrong",
            f"{file.shown} is not {encoding}: {error}.",
            hint="Say what it is: encoding=...",
            path=file.shown,
        ) from error
    finally:
        partial.unlink(missing_ok=True)
