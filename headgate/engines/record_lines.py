"""Where the n-th record of a CSV file begins: counted in the file, where somebody must be told.

The engine knows the ordinal of a bad row, people want its line. The two differ by the header, by
blank lines, by records that were malformed, and by line breaks inside quotes.
"""

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from headgate.engines.malformed import opened

_CHUNK_BYTES = 4 << 20
_LF, _CR = 10, 13

Integers: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What of a CSV file's dialect decides where records begin."""

    quote: str = '"'
    escape: str = '"'
    header: bool = True
    skip: int = 0
    columns: int = 2
    compression: str | None = None


def record_lines(
    path: str, ordinals: Integers, layout: Layout, *, rows: int, malformed: Iterable[int] = ()
) -> Integers | None:
    """Give the line, from 1, on which each row's record begins; None where the file does not tell.

    ``ordinals`` ascend and count rows from 0. ``rows`` is how many rows the engine read from the
    file, ``malformed`` are the byte positions of records it could not: the count of records must
    come out, else nothing is said. Reads the file once, in bounded memory.
    """
    if layout.escape not in {layout.quote, ""}:
        return None
    bad = np.asarray(sorted(malformed), dtype=np.int64)
    lines = np.zeros(len(ordinals), dtype=np.int64)
    to_skip = int(layout.header)
    seen = 0
    for positions, numbers in _record_starts(path, layout):
        keep = ~np.isin(positions, bad) if len(bad) else np.ones(len(positions), dtype=bool)
        kept = numbers[keep]
        if to_skip and len(kept):
            kept, to_skip = kept[1:], 0
        here = slice(*np.searchsorted(ordinals, [seen, seen + len(kept)]))
        lines[here] = kept[ordinals[here] - seen]
        seen += len(kept)
    return lines if seen == rows else None


def _record_starts(path: str, layout: Layout) -> Iterator[tuple[Integers, Integers]]:
    """Give chunks of (byte position, line) of every record that is no blank line."""
    quote = ord(layout.quote) if layout.quote else -1
    inside = False  # a quote is open at the chunk's beginning
    base, line = 0, 1
    skip = layout.skip
    pending: tuple[int, int] | None = (0, 1)  # a record that begins where the last chunk ended
    blank_matters = layout.columns > 1
    with closing(opened(path, layout.compression)) as file:
        while raw := file.read(_CHUNK_BYTES):
            text = np.frombuffer(raw, dtype=np.uint8)
            breaks = np.flatnonzero(text == _LF)
            lines_after = line + 1 + np.arange(len(breaks), dtype=np.int64)
            ends = np.ones(len(breaks), dtype=bool)
            if inside or (quote >= 0 and bytes((quote,)) in raw):
                quotes = np.flatnonzero(text == quote)
                open_at = (np.searchsorted(quotes, breaks) + int(inside)) % 2
                ends = open_at == 0
                inside = bool((len(quotes) + int(inside)) % 2)
            positions = breaks[ends] + 1 + base
            numbers = lines_after[ends]
            if pending is not None:
                positions = np.concatenate([[pending[0]], positions])
                numbers = np.concatenate([[pending[1]], numbers])
                pending = None
            base += len(raw)
            line += len(breaks)
            if len(positions) and positions[-1] == base:
                pending = (int(positions[-1]), int(numbers[-1]))
                positions, numbers = positions[:-1], numbers[:-1]
            if blank_matters and len(positions):
                first = text[np.clip(positions - (base - len(raw)), 0, len(raw) - 1)]
                blank = (first == _LF) | (first == _CR)
                positions, numbers = positions[~blank], numbers[~blank]
            if skip and len(positions):
                taken = numbers > skip
                positions, numbers = positions[taken], numbers[taken]
            yield positions.astype(np.int64), numbers.astype(np.int64)
