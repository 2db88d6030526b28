"""Patterns of remote files: as in a shell, ``*`` stays within a directory, ``**`` does not.

Neither means a name that begins with a dot.
"""

import re
from functools import lru_cache

_MAGIC = re.compile(r"[*?\[]")
_ANY_DEPTH = "**"
_DEEP = r"(?:[^/.][^/]*/)*"


def literal_start(pattern: str) -> str:
    """Give the directories before the first that is a pattern."""
    found = _MAGIC.search(pattern)
    return pattern if found is None else pattern[: pattern.rfind("/", 0, found.start()) + 1]


def is_pattern(text: str) -> bool:
    """Say whether a text can stand for several names."""
    return _MAGIC.search(text) is not None


def matches(key: str, pattern: str) -> bool:
    """Say whether a pattern means a key. One that ends with a slash means all that is below it.

    Below a slash, what begins with ``.`` or ``_`` is somebody's own business.
    """
    if pattern == "" or pattern.endswith("/"):
        own = any(part[:1] in {".", "_"} for part in key.removeprefix(pattern).split("/"))
        return key.startswith(pattern) and key != pattern and not own
    return _compiled(pattern).match(key) is not None


@lru_cache(maxsize=64)
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = pattern.split("/")
    texts = []
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        if part == _ANY_DEPTH:
            texts.append(_DEEP + r"(?:[^/.][^/]*)?" if last else _DEEP)
        else:
            hidden = r"(?!\.)" if part[:1] in {"*", "?", "["} else ""
            texts.append(hidden + _part(part) + ("" if last else "/"))
    return re.compile("".join(texts) + r"\Z", re.DOTALL)


def _part(part: str) -> str:
    text, at = "", 0
    while at < len(part):
        mark = part[at]
        close = part.find("]", at + 2) if mark == "[" else -1
        if mark == "*":
            text += "[^/]*"
        elif mark == "?":
            text += "[^/]"
        elif close > 0:
            inner = part[at + 1 : close].replace("\\", r"\\").replace("[", r"\[")
            text += f"[^{inner[1:]}]" if inner[0] in "!^" else f"[{inner}]"
            at = close
        else:
            text += re.escape(mark)
        at += 1
    return text
