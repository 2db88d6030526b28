"""Identifiers: what may be a name, how names are quoted in SQL, how new ids are made."""

import re
import secrets
import uuid
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Protocol

from headgate.errors import Invalid

_SEGMENT = r"[^\W\d][\w-]{0,127}"
_TABLE = re.compile(rf"{_SEGMENT}(\.{_SEGMENT})*\Z")
_STEP = re.compile(rf"{_SEGMENT}\Z")
_REF = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*\Z")
_MAX_NAME = 255
RESERVED_REF_PREFIXES = ("run/",)
QUARANTINE = "_quarantine"
"""The namespace of the tables that hold rejected rows."""


class Ids(Protocol):
    """Makes identifiers nobody else makes."""

    def run_id(self) -> str:
        """Give a new run id: 12 lower-case hex digits."""
        ...

    def unique(self) -> str:
        """Give a new UUID, 36 characters."""
        ...


class RandomIds:
    """Ids from the system's randomness."""

    def run_id(self) -> str:
        """Give 12 random hex digits."""
        return secrets.token_hex(6)

    def unique(self) -> str:
        """Give a random UUID."""
        return str(uuid.uuid4())


class CountingIds:
    """Ids that count, for tests: the same every time."""

    def __init__(self) -> None:
        self._count = 0

    def run_id(self) -> str:
        """Give the next number as 12 hex digits."""
        self._count += 1
        return f"{self._count:012x}"

    def unique(self) -> str:
        """Give the next number as a UUID."""
        self._count += 1
        return str(uuid.UUID(int=self._count))


def table_name(text: str) -> str:
    """Check a table's name: letters, digits, ``_`` and ``-``, dots between namespaces.

    Raises:
        Invalid: ``bad-table-name``.
    """
    if len(text) > _MAX_NAME or not _TABLE.match(text):
        raise Invalid(
            "bad-table-name",
            f"{text!r} cannot name a table.",
            hint="Use letters, digits, '_' and '-', a letter first; dots divide namespaces.",
            name=text,
        )
    return text


def own_table_name(text: str) -> str:
    """Check the name of a table that people make; quarantines are made by runs.

    Raises:
        Invalid: ``bad-table-name``, ``reserved-table-name``.
    """
    if text.partition(".")[0] == QUARANTINE:
        raise Invalid(
            "reserved-table-name",
            f"{text!r} cannot be written by hand: names that begin with {QUARANTINE}. are those of "
            "quarantines.",
            hint="Choose a name outside of that namespace.",
            name=text,
        )
    return table_name(text)


def step_name(text: str) -> str:
    """Check a step's or a pipeline's name: letters, digits, ``_`` and ``-``.

    Raises:
        Invalid: ``bad-step-name``.
    """
    if not _STEP.match(text):
        raise Invalid(
            "bad-step-name",
            f"{text!r} cannot name a step or a pipeline.",
            hint="Use letters, digits, '_' and '-', beginning with a letter.",
            name=text,
        )
    return text


def ref_name(text: str) -> str:
    """Check a branch's or a tag's name: ASCII letters, digits, ``. _ - /``; not ``..``.

    Raises:
        Invalid: ``bad-ref-name``.
    """
    if (
        len(text) > _MAX_NAME
        or not _REF.match(text)
        or ".." in text
        or text.endswith((".lock", "."))
    ):
        raise Invalid(
            "bad-ref-name",
            f"{text!r} cannot name a branch or a tag.",
            hint="Use letters, digits, '.', '_', '-' and '/', like dev or release/2026-11.",
            name=text,
        )
    return text


def quote(identifier: str) -> str:
    """Quote an identifier for SQL. The one place where that is done."""
    return '"' + identifier.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Quote a text for SQL, for the few places that take no parameter (file lists of a reader)."""
    return "'" + text.replace("'", "''") + "'"


def suggestion(unknown: str, known: Iterable[str]) -> str | None:
    """Give the known name the writer most likely meant, or None."""
    close = get_close_matches(unknown, list(known), n=1, cutoff=0.6)
    return close[0] if close else None
