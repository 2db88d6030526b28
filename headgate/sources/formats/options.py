"""What can be said of files: which option each format takes, and what it may be.

All of it is known before a file is met, so that a wrong one is refused before anything begins; no
library is loaded for that.
"""

import codecs
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias

from headgate.errors import Invalid
from headgate.names import suggestion

Given: TypeAlias = Mapping[str, object]
LARGEST_RECORD_BYTES: Final = 64 * 1024 * 1024

_CORNER = r"\$?([A-Z]{0,3})\$?((?:[1-9]\d{0,6})?)"
_RANGE = re.compile(rf"{_CORNER}:{_CORNER}\Z")


def text(options: Given, name: str) -> str | None:
    """Give a text."""
    value = options.get(name)
    if value is not None and not isinstance(value, str):
        raise _bad(name, f"is a text, not {value!r}")
    return value


def character(options: Given, name: str) -> str | None:
    """Give one character, or none."""
    value = options.get(name)
    if value is not None and (not isinstance(value, str) or len(value) > 1):
        raise _bad(name, f"is one character, not {value!r}")
    return value


def flag(options: Given, name: str) -> bool | None:
    """Give True or False."""
    value = options.get(name)
    if value is not None and not isinstance(value, bool):
        raise _bad(name, f"is True or False, not {value!r}")
    return value


def count(options: Given, name: str) -> int:
    """Give a number of rows, 0 where it is not said."""
    value = options.get(name, 0)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise _bad(name, f"is a number of rows, not {value!r}")
    return value


def largest_record(options: Given, name: str = "largest_record_bytes") -> int:
    """Give how many bytes a record may have."""
    value = options.get(name, LARGEST_RECORD_BYTES)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise _bad(name, f"is a number of bytes, not {value!r}")
    return value


def words(options: Given, name: str) -> tuple[str, ...]:
    """Give a text or several; none where it is not said."""
    value = options.get(name)
    given = () if value is None else (value,) if isinstance(value, str) else value
    if not isinstance(given, (list, tuple)) or not all(isinstance(each, str) for each in given):
        raise _bad(name, f"is a text or several, not {value!r}")
    return tuple(given)


def names(options: Given, name: str) -> tuple[str, ...] | None:
    """Give a list of names."""
    value = options.get(name)
    if value is None:
        return None
    if not isinstance(value, (list, tuple)) or not all(isinstance(each, str) for each in value):
        raise _bad(name, f"is a list of names, not {value!r}")
    return tuple(value)


def mapping(options: Given, name: str) -> Mapping[str, object]:
    """Give a mapping of names; an empty one where it is not said."""
    value = options.get(name)
    if value is not None and not isinstance(value, Mapping):
        raise _bad(name, f"maps names, and is {value!r}")
    return {} if value is None else {str(key): each for key, each in value.items()}


def one_of_several(options: Given, name: str) -> int | str | None:
    """Give which of several is meant: a number from 1, or a name."""
    value = options.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, (int, str))):
        raise _bad(name, f"is a name or a number from 1, not {value!r}")
    if isinstance(value, int) and value < 1:
        raise _bad(name, f"is counted from 1; there is no {value}")
    return value


def encoding(options: Given, name: str = "encoding") -> str | None:
    """Give an encoding's usual name."""
    value = options.get(name)
    try:
        return None if value is None else codecs.lookup(str(value)).name
    except LookupError as error:
        raise Invalid("bad-option", f"There is no encoding {value!r}.", option=name) from error


def path_in_json(options: Given, name: str) -> tuple[str, ...]:
    """Give the names that lead to records; none where they are at the top."""
    value = options.get(name)
    if value is None:
        return ()
    if isinstance(value, str) and all(value.split(".")):
        return tuple(value.split("."))
    raise _bad(name, f"is a path of names with dots between, not {value!r}")


def path_in_xml(options: Given, name: str) -> tuple[str, ...]:
    """Give the elements that lead to records; none where it is not said."""
    value = options.get(name)
    if value is None:
        return ()
    parts = value.split("/") if isinstance(value, str) else []
    if not parts or not all(parts[1:]) or parts in ([""], ["", ""]):
        raise _bad(name, f"is a path of elements with / between, not {value!r}")
    return tuple(parts)


def area(options: Given, name: str) -> tuple[str, str, str, str] | None:
    """Give the corners of a range of cells: column, row, column, row; empty where open."""
    value = options.get(name)
    if value is None:
        return None
    found = _RANGE.match(value.upper()) if isinstance(value, str) else None
    if found is None:
        raise _bad(name, f'is written as in "B2:F100", "B:F" or "B2:", not {value!r}')
    left, top, right, bottom = found.groups()
    return left, top, right, bottom


Check: TypeAlias = Callable[[Given, str], object]

OPTIONS: Final[Mapping[str, Mapping[str, Check]]] = {
    "avro": {},
    "csv": {
        "columns": names,
        "comment": character,
        "date_format": text,
        "decimal_separator": character,
        "delimiter": character,
        "encoding": encoding,
        "escape": character,
        "header": flag,
        "null": words,
        "quote": character,
        "skip": count,
        "timestamp_format": text,
        "types": mapping,
    },
    "excel": {
        "columns": names,
        "header": flag,
        "range": area,
        "sheet": one_of_several,
        "skip": count,
    },
    "html": {
        "encoding": encoding,
        "fields": mapping,
        "header": flag,
        "html_table": one_of_several,
        "largest_record_bytes": largest_record,
        "select": text,
    },
    "json": {
        "encoding": encoding,
        "largest_record_bytes": largest_record,
        "records": path_in_json,
    },
    "ndjson": {"encoding": encoding, "largest_record_bytes": largest_record},
    "orc": {},
    "parquet": {},
    "xml": {
        "attribute_prefix": text,
        "encoding": encoding,
        "largest_record_bytes": largest_record,
        "lists": words,
        "record": path_in_xml,
    },
}
"""The formats, and what checks each option's value."""


def check_options(
    options: Given, formats: Iterable[str] | None = None, *, beside: Iterable[str] = ()
) -> None:
    """Refuse what files of none of these formats take (all formats with None), and wrong values.

    ``beside`` are names that are known elsewhere, for suggestions.

    Raises:
        Invalid: ``unknown-option``, ``bad-option``.
    """
    which = tuple(OPTIONS if formats is None else formats)
    known = {name: check for each in which for name, check in OPTIONS[each].items()}
    for name in options:
        if name not in known:
            taking = [each for each in OPTIONS if name in OPTIONS[each]]
            meant = suggestion(name, {*known, *beside})
            of = f"of the format {' or '.join(which)} " if formats is not None else ""
            hint = f"Files of the format {' or '.join(taking)} have it." if taking else None
            raise Invalid(
                "unknown-option",
                f"Files {of}have no option {name!r}.",
                hint=f"Did you mean {meant}?" if meant else hint,
                option=name,
            )
        known[name](options, name)


def _bad(name: str, what: str) -> Invalid:
    return Invalid("bad-option", f"{name} {what}.", option=name)
