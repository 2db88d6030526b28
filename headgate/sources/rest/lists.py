"""Which list a cursor is of: how far one was read says nothing of another. Pure."""

from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from headgate.errors import Refused
from headgate.sources.cursors import Cursor
from headgate.sources.rest.declaration import SINCE, Declaration
from headgate.sources.rest.paths import written

_OF: Final = "of "


def named(cursor: Cursor, declared: Declaration) -> Cursor:
    """Give a cursor that also says which list it is of."""
    return replace(cursor, sequence=(*(cursor.sequence or ()), _OF + _name(declared)))


def unnamed(cursor: Cursor, declared: Declaration) -> Cursor:
    """Give a cursor without the list it is of, which must be the one declared.

    Raises:
        Refused: ``cursor-of-another-list``.
    """
    *place, last = cursor.sequence or ("",)
    if not isinstance(last, str) or not last.startswith(_OF):
        return cursor
    name, whose = _name(declared), last.removeprefix(_OF)
    same_way = (place[:1] == [SINCE]) == (declared.top.since is not None)
    if name != whose and same_way:  # of another way of reading, the reading says so
        raise Refused(
            "cursor-of-another-list",
            f"The rows so far were read from {whose}, not from {name}: of this one, what lies "
            "before the place where that one was left would never be read.",
            hint="Give the step another name, or drop its table: it is read from the beginning "
            "then.",
            stored=whose,
            list=name,
        )
    return replace(cursor, sequence=tuple(place))


def _name(declared: Declaration) -> str:
    """Name a list by the end of its path, whatever host and version it is of, and by its field."""
    top = declared.top
    name = urlsplit(top.address).path.rstrip("/").rpartition("/")[2] or "/"
    return name if top.since is None else f"{name} by {written(top.since.field)}"
