"""Regular expressions, read: what engines differ in or lack is said or refused here."""

from functools import lru_cache
from typing import NoReturn

from headgate.contracts.regex_nodes import (
    HIGHEST_ASCII,
    Chars,
    Edge,
    Either,
    Node,
    Repeat,
    Sequence,
)
from headgate.errors import Invalid

MAX_REPEAT = 1000
"""RE2's limit on counted repetition, nested ones multiplied."""

MAX_SIZE = 10_000
"""What both engines compile, in ASCII characters; a Unicode property weighs 45 (measured)."""

_CLASSES = {
    "d": ((48, 57),),
    "s": ((9, 13), (32, 32)),
    "w": ((48, 57), (65, 90), (95, 95), (97, 122)),
}
_POSIX = {
    "alnum": ((48, 57), (65, 90), (97, 122)),
    "alpha": ((65, 90), (97, 122)),
    "ascii": ((0, 127),),
    "blank": ((9, 9), (32, 32)),
    "cntrl": ((0, 31), (127, 127)),
    "digit": ((48, 57),),
    "graph": ((33, 126),),
    "lower": ((97, 122),),
    "print": ((32, 126),),
    "punct": ((33, 47), (58, 64), (91, 96), (123, 126)),
    "space": ((9, 13), (32, 32)),
    "upper": ((65, 90),),
    "word": ((48, 57), (65, 90), (95, 95), (97, 122)),
    "xdigit": ((48, 57), (65, 70), (97, 102)),
}
PROPERTIES = (
    "L", "Lu", "Ll", "Lt", "Lm", "Lo", "N", "Nd", "Nl", "No", "P", "Pc", "Pd", "Ps", "Pe", "Pi",
    "Pf", "Po", "S", "Sm", "Sc", "Sk", "So", "Z", "Zs", "Zl", "Zp", "Arabic", "Cyrillic",
    "Devanagari", "Greek", "Han", "Hangul", "Hebrew", "Hiragana", "Katakana", "Latin", "Thai",
)  # fmt: skip
"""The Unicode categories and scripts in which the engines agree, code point by code point."""

_ESCAPES = {"t": 9, "n": 10, "v": 11, "f": 12, "r": 13, "a": 7}
_MAX_CODE = 0x10FFFF


@lru_cache(maxsize=1024)
def parse(pattern: str) -> Node:
    """Read a pattern.

    Raises:
        Invalid: ``contract-pattern``, naming the place and what stands there.
    """
    return _Parser(pattern).whole()


class _Parser:
    """Recursive descent over the pattern; flags are lexically scoped to their group."""

    def __init__(self, pattern: str) -> None:
        self._text = pattern
        self._at = 0
        self._flags: frozenset[str] = frozenset()

    def whole(self) -> Node:
        node = self._either()
        if self._at < len(self._text):
            self._refuse("a ')' closes nothing")
        if _repeats(node) > MAX_REPEAT:
            self._refuse(f"it repeats more than {MAX_REPEAT} times")
        if _size(node) > MAX_SIZE:
            self._refuse(
                "it grows too large when it is compiled", "Repeat less, or smaller classes."
            )
        return node

    def _refuse(self, why: str, hint: str | None = None) -> NoReturn:
        raise Invalid(
            "contract-pattern",
            f"The pattern {self._text!r} is refused: {why} (at character {self._at + 1}).",
            hint=hint,
            pattern=self._text,
        )

    def _peek(self, text: str) -> bool:
        return self._text.startswith(text, self._at)

    def _take(self, text: str) -> bool:
        if self._peek(text):
            self._at += len(text)
            return True
        return False

    def _next(self) -> str:
        if self._at >= len(self._text):
            self._refuse("it ends too early")
        char = self._text[self._at]
        self._at += 1
        return char

    def _either(self) -> Node:
        flags = self._flags
        options = [self._sequence()]
        while self._take("|"):
            options.append(self._sequence())
        self._flags = flags
        return options[0] if len(options) == 1 else Either(tuple(options))

    def _sequence(self) -> Node:
        items: list[Node] = []
        while self._at < len(self._text) and not self._peek("|") and not self._peek(")"):
            if (item := self._item()) is not None:
                items.append(self._repeated(item))
        return items[0] if len(items) == 1 else Sequence(tuple(items))

    def _repeated(self, item: Node) -> Node:
        at = self._at
        count = self._count()
        if count is None:
            return item
        if isinstance(item, Edge):
            self._at = at
            self._refuse("a repetition of a place")
        lazy = self._take("?")
        at = self._at
        if self._take("+"):
            self._at = at
            self._refuse("a possessive repetition", "Leave the second '+' out.")
        if self._count() is not None:
            self._at = at
            self._refuse("a repetition of a repetition", "Put the first into (?:...).")
        return Repeat(item, *count, lazy)

    def _count(self) -> tuple[int, int | None] | None:
        for sign, bounds in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self._take(sign):
                return bounds
        if not self._peek("{"):
            return None
        end = self._text.find("}", self._at)
        low, comma, high = self._text[self._at + 1 : max(end, 0)].partition(",")
        if end < 0 or not _number(low) or not (_number(high) or not high):
            self._refuse("a '{' that counts nothing", r"Write \{ for the character.")
        first = int(low)
        last = first if not comma else int(high) if high else None
        if max(first, last or 0) > MAX_REPEAT or (last is not None and last < first):
            self._refuse(f"a count outside of 0 to {MAX_REPEAT}, or backwards")
        self._at = end + 1
        return first, last

    def _item(self) -> Node | None:  # noqa: PLR0911 - a table of signs
        char = self._next()
        match char:
            case "(":
                return self._group()
            case "[":
                return self._class()
            case ".":
                return Chars(((10, 10),) if "s" not in self._flags else (), negated=True)
            case "^":
                return Edge("line-start" if "m" in self._flags else "start")
            case "$":
                return Edge("line-end" if "m" in self._flags else "end")
            case "\\":
                return self._escape()
            case "*" | "+" | "?":
                self._at -= 1
                self._refuse("it repeats nothing")
            case "{":
                self._at -= 1
                self._refuse("a '{' that counts nothing", r"Write \{ for the character.")
            case _:
                pass
        return self._literal(ord(char))

    def _literal(self, code: int) -> Chars:
        return self._chars(((code, code),))

    def _chars(
        self,
        ranges: tuple[tuple[int, int], ...],
        properties: tuple[str, ...] = (),
        *,
        negated: bool = False,
    ) -> Chars:
        folded = "i" in self._flags
        if folded and (properties or any(high > HIGHEST_ASCII for _, high in ranges)):
            self._refuse("(?i) over more than ASCII", "Write both cases out.")
        return Chars(ranges, properties, negated, folded)

    def _group(self) -> Node | None:
        flags = self._flags
        if self._take("?"):
            if self._take("P<"):
                self._name()
            elif self._peek("<") and not (self._peek("<=") or self._peek("<!")):
                self._take("<")
                self._name()
            elif not self._take(":") and self._set_flags():
                return None
        node = self._either()
        if not self._take(")"):
            self._refuse("a '(' is not closed")
        self._flags = flags
        return Sequence((node,))

    def _name(self) -> None:
        end = self._text.find(">", self._at)
        if end < 0 or not self._text[self._at : end].isidentifier():
            self._refuse("a group without a proper name")
        self._at = end + 1

    def _set_flags(self) -> bool:
        """Read ``i``, ``m``, ``s``, ``-``; True where they hold until the group around ends."""
        on: set[str] = set()
        off: set[str] = set()
        minus = False
        while True:
            char = self._next()
            if char in "ims":
                (off if minus else on).add(char)
            elif char == "-" and not minus:
                minus = True
            elif char in ":)" and (on or off):
                break
            else:
                self._at -= 1
                self._refuse(
                    *_REFUSED_GROUPS.get(char, ("a group of a kind that engines lack", None))
                )
        self._flags = (self._flags | on) - off
        return char == ")"

    def _escape(self) -> Node:
        char = self._next()
        match char:
            case "A":
                return Edge("start")
            case "Z" | "z":
                return Edge("end")
            case "b":
                if self._peek("{"):
                    self._refuse("a word boundary of a kind that engines lack")
                return Edge("word")
            case "B":
                self._refuse(r"\B, which engines take differently")
            case _:
                pass
        ranges, properties, negated = self._set_escape(char)
        return self._chars(ranges, properties, negated=negated)

    def _set_escape(self, char: str) -> tuple[tuple[tuple[int, int], ...], tuple[str, ...], bool]:
        r"""Read what follows a backslash where one character is meant."""
        if char.lower() in _CLASSES:
            return _CLASSES[char.lower()], (), char.isupper()
        if char in "pP":
            name = self._next()
            if name == "{":
                end = self._text.find("}", self._at)
                name, self._at = self._text[self._at : max(end, 0)], max(end, 0) + 1
            if name not in PROPERTIES:
                self._refuse(
                    f"\\{char}{{{name}}}, in which engines differ",
                    f"There is {', '.join(PROPERTIES)}.",
                )
            return (), (name,), char == "P"
        code = self._code(char)
        return ((code, code),), (), False

    def _code(self, char: str) -> int:
        """Read the code point an escape stands for."""
        if char in _ESCAPES:
            return _ESCAPES[char]
        if char in "xuU":
            return self._hexadecimal(char)
        if char.isascii() and char.isdigit():
            self._refuse(
                "a back-reference (or an octal number)", "Engines of columns cannot look back."
            )
        if char.isalnum() or not char.isascii():
            self._refuse(f"\\{char}, which is nothing here")
        return ord(char)

    def _hexadecimal(self, char: str) -> int:
        if char == "x" and self._take("{"):
            end = self._text.find("}", self._at)
            digits, self._at = self._text[self._at : max(end, 0)], max(end, 0) + 1
        else:
            size = {"x": 2, "u": 4, "U": 8}[char]
            digits, self._at = self._text[self._at : self._at + size], self._at + size
            if len(digits) < size:
                self._refuse(f"\\{char} without its {size} digits")
        try:
            code = int(digits, 16)
        except ValueError:
            self._refuse(f"\\{char} without its digits")
        if code > _MAX_CODE or 0xD800 <= code <= 0xDFFF or not digits.isalnum():  # noqa: PLR2004
            self._refuse(f"\\{char}{digits} is no character")
        return code

    def _class(self) -> Node:
        negated = self._take("^")
        ranges: list[tuple[int, int]] = []
        properties: list[str] = []
        first = True
        while first or not self._take("]"):
            more, names = self._class_item(first=first)
            ranges += more
            properties += names
            first = False
        return self._chars(_merged(ranges), tuple(dict.fromkeys(properties)), negated=negated)

    def _class_item(self, *, first: bool) -> tuple[list[tuple[int, int]], list[str]]:
        for sign in ("&&", "--", "~~", "||"):
            if self._peek(sign):
                self._refuse(
                    f"'{sign}' in a class", "Write a backslash before each, or order them apart."
                )
        char = self._next()
        if char == "[":
            if self._peek(":"):
                return self._posix(), []
            self._refuse("a '[' in a class", r"Write \[ for the character.")
        if char == "]" and not first:
            self._refuse("a class that ends too early")
        if char == "\\":
            escape = self._next()
            ranges, properties, negated = (
                self._set_escape(escape) if escape != "b" else (((8, 8),), (), False)
            )
            if len(ranges) != 1 or ranges[0][0] != ranges[0][1] or negated or properties:
                if self._peek("-") and not self._peek("-]"):
                    self._refuse("a range that begins with a class")
                return list(_negated(ranges) if negated and ranges else ranges), [
                    f"-{name}" if negated else name for name in properties
                ]
            low = ranges[0][0]
        else:
            low = ord(char)
        if self._peek("--"):
            self._refuse("'--' in a class", "Write a backslash before each, or order them apart.")
        if not self._peek("-") or self._peek("-]"):
            return [(low, low)], []
        self._take("-")
        high = self._range_end()
        if high < low:
            self._refuse("a range that runs backwards")
        return [(low, high)], []

    def _range_end(self) -> int:
        char = self._next()
        if char == "[":
            self._refuse("a '[' in a class", r"Write \[ for the character.")
        if char != "\\":
            return ord(char)
        escape = self._next()
        if escape.lower() in _CLASSES or escape in "pPb":
            self._refuse("a range that ends with a class")
        return self._code(escape)

    def _posix(self) -> list[tuple[int, int]]:
        end = self._text.find(":]", self._at)
        name = self._text[self._at + 1 : max(end, 0)]
        negated = name.startswith("^")
        if name.removeprefix("^") not in _POSIX:
            self._refuse(f"[:{name}:] is no class")
        self._at = end + 2
        ranges = _POSIX[name.removeprefix("^")]
        return list(_negated(ranges) if negated else ranges)


_REFUSED_GROUPS = {
    "=": (
        "look-ahead",
        "No engine of columns looks around; use hg.expression() over two patterns.",
    ),
    "!": (
        "look-ahead",
        "No engine of columns looks around; use hg.expression() over two patterns.",
    ),
    "<": (
        "look-behind",
        "No engine of columns looks around; use hg.expression() over two patterns.",
    ),
    ">": ("an atomic group", "Write (?:...)."),
    "P": ("a back-reference", "Engines of columns cannot look back."),
    "(": ("a condition", None),
    "#": ("a comment", None),
    "x": ("(?x), the verbose form", "Write the pattern without spaces."),
    "u": ("(?u)", r"Use \p{L} for letters of all scripts."),
    "a": ("(?a)", "It is so anyway."),
    "L": ("(?L)", None),
}


def _number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _repeats(node: Node) -> int:
    """Give how often RE2 would copy the innermost item."""
    match node:
        case Repeat(item=item, low=low, high=high):
            return max(low, high or 0, 1) * _repeats(item)
        case Sequence(items=items) | Either(options=items):
            return max((_repeats(item) for item in items), default=1)
        case _:
            return 1


def _size(node: Node) -> int:
    """Give how large a pattern grows when it is compiled, repetitions written out."""
    match node:
        case Chars(ranges=ranges, properties=properties, negated=negated):
            wide = negated or any(high > HIGHEST_ASCII for _, high in ranges)
            return 45 * len(properties) + (2 if wide else 1)
        case Repeat(item=item, low=low, high=high):
            return max(low + 1 if high is None else high, 1) * _size(item)
        case Sequence(items=items) | Either(options=items):
            return sum(map(_size, items))
        case Edge():
            return 1


def _merged(ranges: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    merged: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)


def _negated(ranges: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    result, start = [], 0
    for low, high in _merged(list(ranges)):
        if start < low:
            result.append((start, low - 1))
        start = high + 1
    if start <= _MAX_CODE:
        result.append((start, _MAX_CODE))
    return tuple(result)
