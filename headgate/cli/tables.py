"""Rows for people: aligned columns, numbers to the right, cut to the terminal's width."""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import chain, islice

import msgspec

_GAP = "  "
_NARROWEST = 4
_MEASURED_ROWS = 200
_ESCAPES = str.maketrans({"\n": "\\n", "\r": "\\r", "\t": "\\t", "\x1b": "\\e"})


def aligned(
    names: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    right: Iterable[str] = (),
    width: int | None = None,
    more: str = "…",
) -> Iterator[str]:
    """Give a header, and a line per row as it comes.

    The first rows decide how wide the columns are; a later, wider value moves its line. ``right``
    names the columns whose values stand to the right. Values are cut only to fit a ``width``.
    """
    if not names:
        return
    rest = iter(rows)
    first = [[shown(value) for value in row] for row in islice(rest, _MEASURED_ROWS)]
    columns = zip(names, *first, strict=True)
    widths = [max(_columns_of(text) for text in column) for column in columns]
    if width is not None:
        widths = _fitted(widths, width)
    to_right = [name in set(right) for name in names]
    for row in chain([list(names)], first, ([shown(value) for value in row] for row in rest)):
        cells = row if width is None else _cut(row, widths, more)
        yield _GAP.join(
            _padded(text, wide, to_right=at_right)
            for text, wide, at_right in zip(cells, widths, to_right, strict=True)
        ).rstrip()


def shown(value: object) -> str:
    """Give a value as people read it; what would move the cursor is written as an escape."""
    if isinstance(value, bool | None):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, list | dict):
        return msgspec.json.encode(value, enc_hook=str).decode()
    return str(value).translate(_ESCAPES)


def _fitted(widths: Sequence[int], width: int) -> list[int]:
    """Take from the widest columns until the line fits."""
    fitted = list(widths)
    while sum(fitted) + len(_GAP) * (len(fitted) - 1) > width:
        widest = max(range(len(fitted)), key=fitted.__getitem__)
        if fitted[widest] <= _NARROWEST:
            break
        fitted[widest] -= 1
    return fitted


def _cut(row: Sequence[str], widths: Sequence[int], more: str) -> list[str]:
    cells = []
    for text, width in zip(row, widths, strict=True):
        cell = text
        while _columns_of(cell) > width:
            cell = cell[: -1 - len(more) if cell.endswith(more) else -1] + more
            if cell == more:
                break
        cells.append(cell)
    return cells


def _padded(text: str, width: int, *, to_right: bool) -> str:
    space = " " * (width - _columns_of(text))
    return space + text if to_right else text + space


def _columns_of(text: str) -> int:
    """Give how many columns a terminal takes for a text."""
    if text.isascii():
        return len(text)
    return sum(_columns_of_character(character) for character in text)


def _columns_of_character(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
