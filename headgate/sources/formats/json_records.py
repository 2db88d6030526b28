"""JSON files: an array of records, records line by line, or one record; perhaps inside another.

A record is passed on as its text, once it is proven to be a JSON object. What is none is put aside
with its text and line.
"""

import json
from collections.abc import Iterator, Mapping
from typing import IO

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headgate.sources.formats.encodings import in_utf8_stream
from headgate.sources.formats.json_scanning import Scanner
from headgate.sources.formats.limits import too_large
from headgate.sources.formats.options import largest_record, path_in_json
from headgate.sources.formats.packing import opened
from headgate.sources.formats.pieces import Gathering, Piece
from headgate.sources.formats.raw_file import RawFile

_CHUNK_BYTES = 1 << 20
_SNIFFED_BYTES = 1 << 18
_LARGEST_BLOCK = 1 << 30
_NEWLINE = ord("\n")
_valid = msgspec.json.Decoder(msgspec.Raw).decode
_all_valid = msgspec.json.Decoder(msgspec.Raw).decode_lines


def read(file: RawFile, options: Mapping[str, object], after: int) -> Iterator[Piece]:
    """Give a file's records, an array's or those of its lines, as the file has them.

    Raises:
        Corrupt: ``file-damaged``.
        Invalid: ``bad-option``, ``file-malformed``, ``record-too-large``.
        NotFound: ``records-missing``.
    """
    path = path_in_json(options, "records")
    largest = largest_record(options)
    with opened(file) as packed:
        stream = in_utf8_stream(packed, options.get("encoding"), file.shown)
        if not path and _is_lines(stream):
            yield from _lines(stream, file.shown, largest, after)
            return
        gathering = Gathering(file.shown, after)
        for line, text in Scanner(stream, file.shown, largest).records(path):
            _take(gathering, text, line)
            yield from gathering.full()
        yield gathering.rest()


def read_lines(file: RawFile, options: Mapping[str, object], after: int) -> Iterator[Piece]:
    """Give a file's records: each line is one. Empty lines are none.

    Raises:
        Corrupt: ``file-damaged``.
        Invalid: ``bad-option``, ``record-too-large``.
    """
    with opened(file) as packed:
        stream = in_utf8_stream(packed, options.get("encoding"), file.shown)
        yield from _lines(stream, file.shown, largest_record(options), after)


def _lines(stream: IO[bytes], shown: str, largest: int, after: int) -> Iterator[Piece]:
    gathering = Gathering(shown, after)
    number, rest = 0, b""
    while True:
        chunk = stream.read(_CHUNK_BYTES)
        found = rest + chunk
        cut = found.rfind(b"\n") + 1 if chunk else len(found)
        block, rest = found[:cut], found[cut:]
        number += _take_block(gathering, block, number)
        yield from gathering.full()
        if not chunk:
            break
        if len(rest) > largest:
            raise too_large(f"{shown}:{number + 1}", largest)
    yield gathering.rest()


def _take_block(gathering: Gathering, block: bytes, before: int) -> int:
    """Take whole lines, of which there were so many before; give how many there are."""
    if not gathering.is_skipping and (texts := _records_of(block)) is not None:
        gathering.add_all(texts, before + 1)
        return len(texts)
    lines = block.removesuffix(b"\n").split(b"\n") if block else []
    for number, line in enumerate(lines, before + 1):
        if line and not line.isspace():
            _take(gathering, line, number)
    return len(lines)


def _records_of(block: bytes) -> pa.Array | None:
    """Give the lines of a block if each is a record, as nearly all are; None where one is not.

    They are read as one: as many values as there are lines, of which each begins and ends like an
    object, are the lines. For after an object's end no other can begin but outside of all others.
    """
    if not block.endswith(b"\n"):
        return None
    try:
        count = len(_all_valid(block))
        starts = np.flatnonzero(np.frombuffer(block, np.uint8) == _NEWLINE) + 1
        if len(starts) != count or len(block) > _LARGEST_BLOCK:
            return None
        offsets = np.concatenate(([0], starts)).astype(np.int32)
        texts = pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(block))
        texts.validate(full=True)
    except (msgspec.DecodeError, pa.ArrowInvalid, RecursionError):
        return None
    texts = pc.ascii_trim_whitespace(texts)
    are_objects = pc.and_(pc.starts_with(texts, "{"), pc.ends_with(texts, "}"))
    return texts if pc.all(are_objects).as_py() else None


def _take(gathering: Gathering, text: bytes, line: int) -> None:
    if gathering.skips():
        return
    try:
        _valid(text)
        record = text.decode().strip()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        gathering.reject(text, line, _reason(text, error))
        return
    if record.startswith("{"):
        gathering.add(record, line)
    else:
        gathering.reject(text, line, "It is no JSON object.")


def _reason(text: bytes, error: Exception) -> str:
    """Say what is wrong with a record."""
    if isinstance(error, UnicodeDecodeError):
        byte = text[error.start]
        return f"It is not UTF-8: byte {byte:#04x} at {error.start}. Say what it is: encoding=..."
    try:
        json.loads(text, parse_constant=_no_constant)
    except ValueError as told:
        return f"It is not JSON: {told}."
    except RecursionError:
        return "It is not JSON that can be read: it is nested too deeply."
    return "It holds what no text can: half of a pair of surrogates."


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number in JSON")


def _is_lines(stream: IO[bytes]) -> bool:
    """Tell by its beginning whether a file has a record on its first line and more below."""
    peek = getattr(stream, "peek", None)
    if peek is None:
        return False
    begin: bytes = peek(_SNIFFED_BYTES)
    first, _, rest = begin.lstrip().partition(b"\n")
    if not first.startswith(b"{") or not rest.lstrip().startswith(b"{"):
        return False
    try:
        _valid(first)
    except msgspec.DecodeError:
        return False
    return True
