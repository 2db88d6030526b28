"""Errors of ours on their way through DuckDB, which passes on nothing of an exception but its text.

They are written into the text, and read from it on the other side.
"""

import base64
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

from headgate import errors
from headgate.errors import HeadgateError

_MARK = re.compile(r"headgate-error:([A-Za-z0-9_-]+={0,2}):")


class _Carried(Exception):  # noqa: N818 - it is a vessel
    """Holds an error in its text."""


@contextmanager
def carried() -> Iterator[None]:
    """Let errors of ours go out as text."""
    try:
        yield
    except HeadgateError as error:
        facts = {
            "category": type(error).__name__,
            "code": error.code,
            "message": error.message,
            "readers": error.readers,
            "hint": error.hint,
            "facts": dict(error.facts),
        }
        text = base64.urlsafe_b64encode(json.dumps(facts, default=str).encode()).decode()
        raise _Carried(f"headgate-error:{text}:") from error


def arrived(text: str) -> HeadgateError | None:
    """Give the error that a text carries."""
    found = _MARK.search(text)
    if found is None:
        return None
    facts = json.loads(base64.urlsafe_b64decode(found[1]))
    kind: type[HeadgateError] = getattr(errors, facts["category"])
    error = kind(facts["code"], facts["message"], readers=facts["readers"], hint=facts["hint"])
    error.facts = facts["facts"]
    return error
