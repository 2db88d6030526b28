"""Encodings of text files: what is not UTF-8 is read, or copied, into it, line for line."""

import codecs
import io
from dataclasses import replace
from typing import IO

from headgate.digests import digest
from headgate.errors import Invalid
from headgate.sources.formats.packing import opened
from headgate.sources.formats.raw_file import RawFile
from headgate.sources.staging import staging

SAMPLE_BYTES = 1 << 18
_CHUNK_BYTES = 1 << 20
_PLAIN = frozenset({"utf-8", "ascii", "utf-8-sig"})
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def in_utf8(file: RawFile, declared: object) -> RawFile:
    """Give the file itself where it is UTF-8, else a copy that is.

    Without a declared encoding a byte order mark decides; a file that is not UTF-8 is refused,
    because nothing tells one 8-bit encoding from another.

    Raises:
        Invalid: ``bad-option``, ``encoding-unknown``, ``encoding-wrong``.
    """
    encoding = _detected(file) if declared is None else _known(str(declared))
    if encoding in _PLAIN:
        return file
    path = file.cache / f"{digest(file.digest, encoding)}.csv"
    if not path.exists():
        with staging(path, file.shown) as target, opened(file) as source:
            recoded = _Recoding(source, encoding, file.shown)
            while chunk := recoded.read(_CHUNK_BYTES):
                target.write(chunk)
    return replace(file, path=path, packing=None, facts=None)


def in_utf8_stream(stream: IO[bytes], declared: object, shown: str) -> IO[bytes]:
    """Give a buffered stream in UTF-8, without a byte order mark; its bytes are not checked.

    Without a declared encoding a byte order mark decides, and without one the stream is UTF-8.

    Raises:
        Invalid: ``bad-option``; while it is read, ``encoding-wrong``.
    """
    peek = getattr(stream, "peek", None)
    begin: bytes = peek(4)[:4] if peek is not None else b""
    if declared is None:
        encoding = next((name for mark, name in _MARKS.items() if begin.startswith(mark)), "utf-8")
    else:
        encoding = _known(str(declared))
    if encoding not in _PLAIN:
        return io.BufferedReader(_Recoding(stream, encoding, shown), SAMPLE_BYTES)
    if begin.startswith(codecs.BOM_UTF8):
        stream.read(len(codecs.BOM_UTF8))
    return stream


def _known(declared: str) -> str:
    try:
        return codecs.lookup(declared).name
    except LookupError as error:
        raise Invalid(
            "bad-option", f"There is no encoding {declared!r}.", option="encoding"
        ) from error


def _detected(file: RawFile) -> str:
    with opened(file) as source:
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


class _Recoding(io.RawIOBase):
    """Text in another encoding, read as UTF-8."""

    def __init__(self, source: IO[bytes], encoding: str, shown: str) -> None:
        super().__init__()
        self._source = source
        self._encoding = encoding
        self._shown = shown
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._line = 1
        self._rest = b""
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "bytearray | memoryview", /) -> int:  # type: ignore[override]
        while not self._rest and not self._ended:
            chunk = self._source.read(_CHUNK_BYTES)
            self._ended = not chunk
            try:
                text = self._decoder.decode(chunk, final=self._ended)
            except UnicodeError as error:
                raise self._wrong(error) from error
            self._line += text.count("\n")
            self._rest = text.encode("utf-8", "surrogatepass").removeprefix(codecs.BOM_UTF8)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def _wrong(self, error: UnicodeError) -> Invalid:
        line = self._line
        if isinstance(error, UnicodeDecodeError):
            line += error.object[: error.start].decode(self._encoding, "replace").count("\n")
        return Invalid(
            "encoding-wrong",
            f"{self._shown} is not {self._encoding}: {error}, on line {line}.",
            hint="Say what it is: encoding=...",
            path=self._shown,
            line=line,
        )
