r"""Regular expressions that mean the same in RE2 (DuckDB) and in Rust's regex (Polars).

A pattern is parsed and written out again for each, with everything said that they would guess
differently: ``\d``, ``\w``, ``\s`` and ``\b`` are ASCII (RE2: "Syntax", Perl character classes),
``.`` is anything but a newline, ``$`` and ``\Z`` are the very end of the text, ``^`` its
beginning, unless ``(?m)``. Unicode categories and scripts are those of Unicode 15.0, which RE2
carries. What one of them lacks is refused: look-around, back-references, possessive and atomic
groups, conditions, recursion, comments.
"""

from functools import lru_cache
from typing import Literal, TypeAlias

from headgate.contracts.regex_nodes import (
    HIGHEST_ASCII,
    Chars,
    Edge,
    Either,
    Node,
    Repeat,
    Sequence,
)
from headgate.contracts.regex_parsing import parse

Flavour: TypeAlias = Literal["re2", "rust"]

_EDGES = {
    "start": (r"\A", r"\A"),
    "end": (r"\z", r"\z"),
    "line-start": ("(?m:^)", "(?m:^)"),
    "line-end": ("(?m:$)", "(?m:$)"),
    "word": (r"\b", r"(?-u:\b)"),
}


@lru_cache(maxsize=1024)
def written_for(pattern: str, flavour: Flavour) -> str:
    r"""Write a pattern out for an engine.

    >>> print(written_for(r"^\d+$", "rust"))
    \A[0-9]+\z

    Raises:
        Invalid: ``contract-pattern``.
    """
    return _write(parse(pattern), flavour)


def _write(node: Node, flavour: Flavour) -> str:
    match node:
        case Chars():
            return _write_chars(node, flavour)
        case Edge(place=place):
            return _EDGES[place][0 if flavour == "re2" else 1]
        case Repeat(item=item, low=low, high=high, lazy=lazy):
            inner = _write(item, flavour)
            if not isinstance(item, Chars):
                inner = f"(?:{inner})"
            return f"{inner}{_write_count(low, high)}{'?' if lazy else ''}"
        case Sequence(items=items):
            return "".join(
                f"(?:{_write(item, flavour)})"
                if isinstance(item, Either)
                else _write(item, flavour)
                for item in items
            )
        case Either(options=options):
            return "|".join(_write(option, flavour) for option in options)


def _write_count(low: int, high: int | None) -> str:
    signs = {(0, None): "*", (1, None): "+", (0, 1): "?"}
    if sign := signs.get((low, high)):
        return sign
    return f"{{{low}}}" if low == high else f"{{{low},{'' if high is None else high}}}"


def _write_chars(chars: Chars, flavour: Flavour) -> str:
    text = _write_set(chars, flavour)
    return f"(?i:{text})" if chars.folded and _has_letters(chars) else text


def _has_letters(chars: Chars) -> bool:
    return any(low <= 122 and high >= 65 for low, high in chars.ranges)  # noqa: PLR2004


def _write_set(chars: Chars, flavour: Flavour) -> str:
    if not chars.properties:
        if not chars.ranges and chars.negated:
            return "(?s:.)"
        if (
            len(chars.ranges) == 1
            and chars.ranges[0][0] == chars.ranges[0][1]
            and not chars.negated
        ):
            return _write_code(chars.ranges[0][0])
    inner = "".join(
        _write_code(low) if low == high else f"{_write_code(low)}-{_write_code(high)}"
        for low, high in chars.ranges
    )
    inner += "".join(_write_property(name, flavour) for name in chars.properties)
    return f"[{'^' if chars.negated else ''}{inner}]"


def _write_property(name: str, flavour: Flavour) -> str:
    letter, name = ("P", name[1:]) if name.startswith("-") else ("p", name)
    if flavour == "rust":
        sign = "^" if letter == "P" else ""
        return rf"[{sign}[\p{{{name}}}&&\p{{age=15.0}}]]"
    return rf"\{letter}{{{name}}}"


def _write_code(code: int) -> str:
    char = chr(code)
    if char.isascii() and char.isalnum():
        return char
    if 32 <= code <= HIGHEST_ASCII - 1:  # noqa: PLR2004 - printable
        return f"\\{char}" if char not in " \"'%,:;<=>@_`" else char
    if code > HIGHEST_ASCII and char.isprintable():
        return char
    return f"\\x{{{code:x}}}"
