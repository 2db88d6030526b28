"""SQL as text: its words without comments and spacing, and ``:name`` parameters. Knows no grammar.

Lexical rules are DuckDB's: ``''`` within quotes, ``e'...'`` with backslashes, ``$tag$...$tag$``,
nested ``/* */``.
"""

import re

from headgate.digests import digest

_WORDS = re.compile(
    r"""
      (?P<space>\s+ | --[^\n]*)
    | (?P<comment>/\*)
    | (?P<escaped>[eE]'(?:[^'\\]|\\.|'')*')
    | (?P<text>'(?:[^']|'')*')
    | (?P<quoted>"(?:[^"]|"")*")
    | (?P<parameter>\$\w+)
    | (?P<word>\w+)
    | (?P<colons>::|:=)
    | (?P<colon>:[^\W\d]\w*)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_DOLLAR = re.compile(r"\$([^\W\d]\w*)?\$")
_BEFORE_PARAMETER = frozenset(" \t\r\n(,=<>+-*/%|!~")


def words(sql: str) -> list[tuple[str, str, int]]:
    """Split SQL into (kind, text, position), without comments and white space.

    Kinds: ``text`` and ``quoted`` literals, ``parameter`` (``$name``), ``colon`` (``:name``, a
    parameter or a slice), ``word`` and ``other``.
    """
    found = []
    position = 0
    while position < len(sql):
        if (opening := _DOLLAR.match(sql, position)) and (
            end := sql.find(opening.group(), opening.end())
        ) >= 0:
            stop = end + len(opening.group())
            found.append(("text", sql[position:stop], position))
            position = stop
            continue
        match = _WORDS.match(sql, position)
        if match is None:
            break
        kind = match.lastgroup or "other"
        stop = match.end()
        if kind == "comment":
            stop = _end_of_comment(sql, position)
        elif kind != "space":
            found.append((kind, match.group(), position))
        position = stop
    return found


def normal_digest(sql: str) -> str:
    """Give a digest that comments, line breaks and spacing do not change."""
    return digest(*(text for _, text, _ in words(sql)))


def with_dollars(sql: str) -> str:
    """Write ``:name`` parameters as ``$name``, which is what DuckDB binds; nothing else changes.

    A colon that ends an operand (``x[1:n]``, ``{k:v}``, ``a::int``) is no parameter.
    """
    pieces, done = [], 0
    for kind, text, position in words(sql):
        if kind == "colon" and (position == 0 or sql[position - 1] in _BEFORE_PARAMETER):
            pieces += [sql[done:position], "$", text[1:]]
            done = position + len(text)
    return "".join([*pieces, sql[done:]])


def _end_of_comment(sql: str, position: int) -> int:
    depth = 0
    while position < len(sql):
        if sql.startswith("/*", position):
            depth, position = depth + 1, position + 2
        elif sql.startswith("*/", position):
            depth, position = depth - 1, position + 2
            if depth == 0:
                return position
        else:
            position += 1
    return position
