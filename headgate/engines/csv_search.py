"""Lines of plain CSV files, found again by the values they hold, as fast as memory is read.

Nothing is parsed to find them: what a record begins with is known, and NumPy compares the first
bytes of all lines with it, each core in a range of the file. Only lines that begin like a wanted
record are then split and compared. A file with a quote in it, packed, or with comments is not
plain: there a line is not a record, or looks in other ways than its values.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from headgate.engines.csv_records import Integers, Layout
from headgate.engines.malformed import is_packed
from headgate.file_ranges import look_through
from headgate.filesets import NativeFiles

MOST_RECORDS = 100_000
"""More than so many are not looked for in this way: each costs Python a few microseconds."""

_CHUNK_BYTES = 1 << 20
_WORD = 8
_LONGEST = 3 * _WORD
_SHORTEST = 2
_MAYBE_BITS = 20
_MULTIPLIERS = tuple(
    np.uint64(each) for each in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9)
)
_LF = 10

Key: TypeAlias = tuple[bytes | None, ...]
Words: TypeAlias = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    """A plain CSV file's layout: where values stand in a line.

    ``places`` are those of the values that records are known by, in the order of those; ``columns``
    is how many values a line has; ``nulls`` are the texts that stand for NULL.
    """

    delimiter: bytes
    columns: int
    places: tuple[int, ...]
    nulls: frozenset[bytes]
    header: bool
    skip: int
    quote: bytes

    @classmethod
    def of(cls, files: NativeFiles, path: str, names: Sequence[str]) -> "Plain | None":
        """Read it from a reader's options; None where lines do not show their values.

        ``names`` are the columns that records are known by: the first must be among them.
        """
        layout, options = Layout.of(files), files.options
        declared = options.get("columns")
        if not isinstance(declared, Mapping) or set(declared.values()) != {"VARCHAR"}:
            return None
        if is_packed(path, layout.compression) or layout.comment or len(declared) < 2:  # noqa: PLR2004
            return None
        if str(options.get("encoding") or "utf-8").casefold() not in {"utf-8", "utf8"}:
            return None
        selected = options.get("select")
        there = {} if not isinstance(selected, Mapping) else selected
        order = list(declared)
        if any(there.get(name, name) not in declared for name in names):
            return None
        places = tuple(order.index(there.get(name, name)) for name in names)
        nulls = options.get("null")
        texts = nulls if isinstance(nulls, (tuple, list)) else ("",)
        return cls(
            delimiter=layout.delimiter.encode(),
            columns=len(declared),
            places=places,
            nulls=frozenset(str(text).encode() for text in texts),
            header=layout.header,
            skip=layout.skip,
            quote=layout.quote.encode(),
        )

    def beginning(self, key: Key) -> bytes:
        """Give what a record's line begins with, as far as its known values tell."""
        values = dict(zip(self.places, key, strict=True))
        known: list[bytes] = []
        while (value := values.get(len(known))) is not None:
            known.append(value)
        text = self.delimiter.join(known)
        return text + self.delimiter if 0 < len(known) < self.columns else text

    def key(self, line: bytes) -> Key | None:
        """Give the known values of a line; None where it is no record."""
        values = line.rstrip(b"\r\n").split(self.delimiter)
        if len(values) != self.columns:
            return None
        found = (values[place] for place in self.places)
        return tuple(None if value in self.nulls else value for value in found)


def find(path: str, plain: Plain, wanted: Mapping[Key, int]) -> list[tuple[int, int]] | None:
    """Give the lines of a file that hold wanted records: each record's number and line, from 1.

    None where it cannot be told: the file is not plain, or records begin too much alike. Costs one
    read of the file.
    """
    beginnings = [plain.beginning(key) for key in wanted]
    length = min(_LONGEST, min(map(len, beginnings), default=0))
    if length < _SHORTEST:
        return None
    search = _Search(beginnings, length, plain.quote)
    looks = look_through(path, search.look)
    starts = [0, *(start for look in looks for start in look.starts)]
    if any(look.is_quoted for look in looks) or len(starts) > 4 * MOST_RECORDS:
        return None
    lines = [1]
    passed = 0
    for look in looks:
        lines += [passed + line for line in look.lines]
        passed += look.breaks
    first = _first_record(path, plain)
    found = []
    with Path(path).open("rb") as file:
        for start, line in zip(starts, lines, strict=True):
            if line < first:
                continue
            file.seek(start)
            key = plain.key(file.readline())
            number = None if key is None else wanted.get(key)
            if number is not None:
                found.append((number, line))
    return found


def _first_record(path: str, plain: Plain) -> int:
    """Give the line of the first record behind what is skipped and the header."""
    headers = int(plain.header)
    with Path(path).open("rb") as file:
        for number, line in enumerate(file, start=1):
            if number > plain.skip and line.strip(b"\r\n"):
                if not headers:
                    return number
                headers -= 1
    return 1


@dataclass(frozen=True, slots=True)
class _Look:
    """What was seen in a range: where lines begin that may be wanted, and their numbers in it."""

    starts: list[int]
    lines: list[int]
    breaks: int
    is_quoted: bool


class _Search:
    """Lines by their first bytes: as words, mixed into one number, looked up in two steps."""

    def __init__(self, beginnings: Sequence[bytes], length: int, quote: bytes) -> None:
        sizes = [min(_WORD, length - at) for at in range(0, length, _WORD)]
        self._masks = [np.uint64((1 << 8 * size) - 1) for size in sizes]
        self._quote = quote
        padded = b"".join(each[:length].ljust(_LONGEST, b"\0") for each in beginnings)
        words = np.frombuffer(padded, dtype="<u8").reshape(-1, _LONGEST // _WORD)
        self._wanted = np.unique(self._mixed([words[:, at] for at in range(len(sizes))]))
        self._maybe = np.zeros(1 << _MAYBE_BITS, dtype=bool)
        self._maybe[self._shortened(self._wanted)] = True

    def look(self, descriptor: int, start: int, end: int) -> _Look:
        """Look at the lines that begin behind a line break of a range."""
        starts: list[int] = []
        lines: list[int] = []
        breaks = 0
        for at in range(start, end, _CHUNK_BYTES):
            length = min(_CHUNK_BYTES, end - at)
            # The line behind the last break has its first bytes in the next chunk.
            raw = os.pread(descriptor, length + _LONGEST, at)
            text = np.frombuffer(raw, dtype=np.uint8, count=min(length, len(raw)))
            if self._quote and self._quote in raw:
                return _Look([], [], 0, is_quoted=True)
            behind = np.flatnonzero(text == _LF) + 1
            wanted = self._among(raw.ljust(length + _LONGEST, b"\0"), behind)
            starts += (behind[wanted] + at).tolist()
            lines += (wanted + breaks + 2).tolist()
            breaks += len(behind)
        return _Look(starts, lines, breaks, is_quoted=False)

    def _among(self, text: bytes, places: Integers) -> Integers:
        """Give which places may be beginnings of what is wanted."""
        size = len(text) - _LONGEST + 1
        windows = (
            np.ndarray((size,), dtype="<u8", buffer=text, offset=_WORD * number, strides=(1,))
            for number in range(len(self._masks))
        )
        mixed = self._mixed([window[places] for window in windows])
        near = np.flatnonzero(self._maybe[self._shortened(mixed)])
        there = np.searchsorted(self._wanted, mixed[near]).clip(max=len(self._wanted) - 1)
        return np.asarray(near[self._wanted[there] == mixed[near]], dtype=np.int64)

    def _mixed(self, words: Sequence[Words]) -> Words:
        mixed = np.zeros(len(words[0]), dtype=np.uint64)
        for word, mask, multiplier in zip(words, self._masks, _MULTIPLIERS, strict=False):
            mixed ^= (word & mask) * multiplier
        return mixed

    @staticmethod
    def _shortened(mixed: Words) -> Integers:
        return (mixed >> np.uint64(64 - _MAYBE_BITS)).astype(np.int64)
