"""Values that settings take, as TOML has them, and as a text in the environment does.

What parses a value gives what Settings holds, or raises a ValueError that says what it takes.
"""

import re
from collections.abc import Callable

from headgate.errors import HeadgateError
from headgate.names import ref_name, step_name

ISOLATIONS = ("serializable", "snapshot-isolation", "fresh")
_SIZE = re.compile(r"\d+(\.\d+)?\s*([KMGT]i?B|%)\Z", re.IGNORECASE)
_TRUTHS = {"true": True, "false": False, "1": True, "0": False}


def text(value: object) -> str:
    """Give a text that is not empty."""
    if not isinstance(value, str) or not value:
        raise ValueError("a text that is not empty")
    return value


def count(value: object) -> int:
    """Give a whole number, 1 or more."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError("a whole number, 1 or more")
    return value


def tries(value: object) -> int:
    """Give a whole number, 0 or more."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("a whole number, 0 or more")
    return value


def yes_or_no(value: object) -> bool:
    """Give a truth value."""
    if not isinstance(value, bool):
        raise ValueError("true or false")  # noqa: TRY004 - as the others
    return value


def size(value: object) -> str:
    """Give a size as it is written; the engine knows what it means here."""
    if not isinstance(value, str) or not _SIZE.match(value):
        raise ValueError('a size like "4GB", or a share of the memory like "60%"')
    return value


def isolation(value: object) -> str:
    """Give the name of an isolation."""
    if value not in ISOLATIONS:
        raise ValueError("one of " + ", ".join(ISOLATIONS))
    return str(value)


def step(value: object) -> str:
    """Give what may name a step."""
    return _named(value, step_name)


def branch(value: object) -> str:
    """Give what may name a branch."""
    return _named(value, ref_name)


def _named(value: object, check: Callable[[str], str]) -> str:
    try:
        return check(text(value))
    except HeadgateError as error:
        raise ValueError("a name of letters, digits, '_' and '-'") from error


def paths(value: object) -> tuple[str, ...]:
    """Give files and directories as they are named; none where they are to be found."""
    if value == "auto":
        return ()
    if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
        raise ValueError('"auto", or a list of files and directories like ["flights.py"]')
    return tuple(value)


def names(value: object) -> tuple[str, ...]:
    """Give names that are not empty."""
    if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
        raise ValueError('a list of names like ["environment", "keyring"]')
    return tuple(value)


def as_text(written: str) -> object:
    """Give a text as it is."""
    return written


def as_number(written: str) -> object:
    """Give the number that a text writes, or the text, to be refused."""
    return int(written) if written.strip().removeprefix("-").isdecimal() else written


def as_bool(written: str) -> object:
    """Give the truth that a text writes, or the text, to be refused."""
    return _TRUTHS.get(written.strip().lower(), written)


def as_list(written: str) -> object:
    """Give what commas divide; ``auto`` as it is."""
    if written == "auto":
        return written
    return [part.strip() for part in written.split(",") if part.strip()]
