"""Numbers that JSON readers round are kept, and records that would break them are told, beforehand.

A JSON number may have more digits than a double or 64 bits hold. Readers round it in silence.
Such a number becomes a text in the record, with a mark before it that says what it is; texts that
begin with the mark get another one. Nearly no record has any: they are found by one pattern.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

TAG: Final = "\x01"
"""Stands before a number that is kept as text."""

DEEPEST: Final = 64
"""Records nested deeper than this are set aside."""

UNTAGGED_JSON: Final = (
    r"""regexp_replace(regexp_replace({0}, '"\\u0001([0-9.eE+-]+)"', '\1', 'g'), """
    r"""'"\\u0001\\u0001', '"\\u0001', 'g')"""
)
"""SQL that gives JSON text as it was, of JSON text with tagged numbers."""

_SUSPECT: Final = (
    r"[0-9][0-9.]{15}|[0-9][eE][+-]?[0-9]{3}|\\u0001"
    rf"|^(?:[^\[{{]*[\[{{]){{{DEEPEST + 1}}}"
)
_NUMBER: Final = re.compile(r'"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*', re.DOTALL)
_LONG: Final = re.compile(
    r'"[^"\\]*(?:\\.[^"\\]*)*"|'
    r"(-?[0-9](?=[0-9.]{15}|[0-9.]*[eE][+-]?[0-9]{3})[0-9.eE+-]*)",
    re.DOTALL,
)
_TAGGED: Final = re.compile(r'"\\u0001([0-9.eE+-]+)"')
_BRACKETS: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
_ESCAPE: Final = "\\u0001"
_RANGE: Final = range(-(2**63), 2**63)
_EXACT_IN_DOUBLE: Final = 2**53


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """Records with their numbers kept.

    ``faults`` is text, NULL where nothing is known to be wrong. ``single`` says which records are
    to be looked at value by value; ``has_large``: some have whole numbers that no double holds.
    """

    texts: pa.Array
    faults: pa.Array
    single: pa.Array
    has_large: bool


def guarded(texts: pa.Array) -> Guarded:
    """Keep the numbers of records: a string array of JSON texts, any of which may be broken."""
    suspect = _rows(pc.match_substring_regex(texts, _SUSPECT))
    changed: dict[int, str] = {}
    single: set[int] = set()
    faults: dict[int, str] = {}
    has_large = False
    for row in suspect:
        text = texts[row].as_py()
        kept = _kept(text)
        if kept.text != text:
            changed[row] = kept.text
        if kept.is_single:
            single.add(row)
        has_large = has_large or kept.has_large
        if (fault := _too_deep(text)) is not None:
            faults[row] = fault
    return Guarded(
        texts=_with(texts, changed),
        faults=_with(pa.nulls(len(texts), pa.string()), faults),
        single=pa.array([row in single for row in range(len(texts))])
        if single
        else pa.repeat(pa.scalar(value=False), len(texts)),
        has_large=has_large,
    )


def untagged(text: str) -> str:
    """Give a record's text as it was."""
    return _TAGGED.sub(r"\1", text).replace('"\\u0001\\u0001', '"\\u0001')


def _rows(mask: pa.Array) -> list[int]:
    return pc.indices_nonzero(pc.fill_null(mask, fill_value=False)).to_pylist()  # type: ignore[no-any-return]


def _with(array: pa.Array, changed: dict[int, str]) -> pa.Array:
    if not changed:
        return array
    values = array.to_pylist()
    for row, text in changed.items():
        values[row] = text
    return pa.array(values, pa.string())


@dataclass(slots=True)
class _Kept:
    """A record with marked numbers, and whether its shape must be told value by value."""

    text: str
    is_single: bool = False
    has_large: bool = False


def _kept(text: str) -> _Kept:
    long = [token for token in _LONG.findall(text) if token]
    if f'"{_ESCAPE}' not in text and all(map(_is_kept, long)):
        has_large = any(map(_is_large, long))
        return _Kept(text, has_large=has_large)
    return _marked(text)


def _marked(text: str) -> _Kept:
    """Mark the numbers that would not be read as they are."""
    kept = _Kept(text)

    def replaced(found: re.Match[str]) -> str:
        token = found[0]
        if token.startswith('"'):
            if token.startswith('"' + _ESCAPE):
                kept.is_single = True
                return '"' + _ESCAPE + token[1:]
            return token
        if _is_kept(token):
            kept.has_large = kept.has_large or _is_large(token)
            return token
        kept.is_single = True
        return f'"{_ESCAPE}{token}"'

    kept.text = _NUMBER.sub(replaced, text)
    return kept


def _is_large(token: str) -> bool:
    """Whether it is a whole number that no double holds; 2**53 has 16 digits."""
    digits = token.removeprefix("-")
    return len(digits) > 15 and digits.isdecimal() and int(digits) > _EXACT_IN_DOUBLE  # noqa: PLR2004


def _is_kept(token: str) -> bool:
    """Whether a number is read and written back as the same number."""
    digits = token.removeprefix("-")
    if digits.isdecimal():
        return len(digits) <= 19 and int(token) in _RANGE  # noqa: PLR2004 - as 2**63 has
    try:
        number = float(token)
    except ValueError:
        return True  # no number, and the record no JSON: it is set aside for that
    if number in (float("inf"), float("-inf")):
        return False
    if repr(number) == token:
        return True
    if number == 0:
        return not re.search("[1-9]", re.split("[eE]", token)[0])
    return Decimal(repr(number)) == Decimal(token)


def _too_deep(text: str) -> str | None:
    depth = 0
    for found in _BRACKETS.finditer(text):
        if found[0] in "[{":
            depth += 1
            if depth > DEEPEST:
                return f"nested deeper than {DEEPEST} levels"
        elif found[0] in "]}":
            depth -= 1
    return None
