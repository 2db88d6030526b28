"""What is read of a server's log: a source's options, parsed once into a value."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from headgate.errors import Invalid
from headgate.names import suggestion
from headgate.secrets import Secret

KEEP_TABLE: Final = "table"
KEEP_LOG: Final = "log"

_SLOT = re.compile(r"[a-z0-9_]{1,63}\Z")
_KNOWN = frozenset(
    {"url", "user", "password", "relation", "publication", "slot", "keep", "key", "batch_rows"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What to read: the ``relation`` is a table, with its schema if need be.

    ``publication`` and ``slot`` are empty where they have names of ours. ``key`` is empty where it
    is the table's replica identity. ``batch_rows`` bounds the rows of a snapshot's batch.
    """

    url: str | Secret
    relation: str
    user: str | Secret = ""
    password: str | Secret = ""
    publication: str = ""
    slot: str = ""
    keep: str = KEEP_TABLE
    key: tuple[str, ...] = ()
    batch_rows: int | None = None


def reading_of(options: Mapping[str, object]) -> Reading:
    """Read a source's options.

    Raises:
        Invalid: ``unknown-option``, ``bad-option``.
    """
    for name in options:
        if name not in _KNOWN:
            meant = suggestion(name, _KNOWN)
            raise Invalid(
                "unknown-option",
                f"Changes of a table have no option {name!r}.",
                hint=f"Did you mean {meant}?"
                if meant
                else f"There are: {', '.join(sorted(_KNOWN))}.",
                option=name,
            )
    for name in ("url", "relation"):
        if not options.get(name):
            raise Invalid(
                "bad-option",
                f"Changes need {name}=.",
                hint='Write hg.changes("postgresql://user@host/shop", "public.orders", key="id").',
                option=name,
            )
    keep = options.get("keep", KEEP_TABLE)
    if keep not in {KEEP_TABLE, KEEP_LOG}:
        raise _bad("keep", keep, "'table' (as it is there) or 'log' (of its changes)")
    rows = options.get("batch_rows")
    if rows is not None and (isinstance(rows, bool) or not isinstance(rows, int) or rows < 1):
        raise _bad("batch_rows", rows, "a whole number from 1 on")
    return Reading(
        url=_secret(options, "url"),
        user=_secret(options, "user"),
        password=_secret(options, "password"),
        relation=_text(options, "relation"),
        publication=_text(options, "publication"),
        slot=_slot(_text(options, "slot")),
        keep=str(keep),
        key=_names(options.get("key", ())),
        batch_rows=rows,
    )


def _secret(options: Mapping[str, object], name: str) -> str | Secret:
    value = options.get(name, "")
    return value if isinstance(value, Secret) else _text(options, name)


def _text(options: Mapping[str, object], name: str) -> str:
    value = options.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _bad(name, value, "a text")
    return value


def _slot(name: str) -> str:
    if name and not _SLOT.match(name):
        raise _bad("slot", name, "up to 63 small letters, digits and '_'")
    return name


def _names(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, Sequence) and all(isinstance(each, str) for each in value):
        return tuple(value)
    raise _bad("key", value, "names of columns")


def _bad(name: str, value: object, wanted: str) -> Invalid:
    told = "" if isinstance(value, Secret) else f", not {value!r}"
    return Invalid("bad-option", f"{name}= is {wanted}{told}.", option=name)
