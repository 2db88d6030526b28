"""Quarantined rows as they came: payloads (JSON texts) back to columns, and with other values.

A value comes back as its text, as it would have come from a file, for a contract to cast. Only what
has no text a contract could read (nested values, bytes), and what no contract speaks of, comes back
under its type. Numbers keep all of their digits.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Final, cast

import msgspec
import pyarrow as pa
from pyarrow import types

from headgate import source_columns
from headgate.contracts import ContractSpec, arrow_schema
from headgate.runs.arrivals import UNREAD
from headgate.runs.quarantine import ID
from headgate.type_words import type_words

TEXT_FIELDS: Final = frozenset({"raw", "column", "reason"})
_ESCAPED: Final = "\\x"


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """Rows that come back, their ids as positions; and those whose values do not fit any more."""

    rows: pa.Table
    unread: pa.Table | None


def returned(
    quarantined: pa.Table, spec: ContractSpec | None, present: pa.Schema | None
) -> Returned:
    """Give the rows of payloads: under a contract the columns it reads from, as text.

    ``present`` are the columns that the table has now.
    """
    ids = quarantined.column(ID).to_pylist()
    payloads = [decoded(text) for text in quarantined.column("payload").to_pylist()]
    declared = {field.name: field.type for field in arrow_schema(spec)} if spec else {}
    known = {field.name: field.type for field in present or ()} | declared
    sources = {column.name: column.source for column in spec.columns} if spec else {}
    names = dict.fromkeys([*sources, *(name for payload in payloads for name in payload)])
    for name, source in sources.items():
        if source != name and name in names:
            names.pop(source, None)  # a payload knows a column by either of its names
    columns: dict[str, pa.Array] = {}
    unfit: dict[int, tuple[str, str]] = {}
    for name in names:
        source = sources.get(name, name)
        values = [payload.get(name, payload.get(source)) for payload in payloads]
        if name in declared and not _keeps_type(declared[name]):
            columns[source] = pa.array([_text(value) for value in values], pa.string())
            continue
        if name not in known:
            columns[source] = _guessed(values)
            continue
        columns[source], bad = under_type(values, known[name])
        for row in bad:
            unfit.setdefault(row, (name, f"{values[row]!r:.80} is no {type_words(known[name])}"))
    rows = pa.table({**columns, source_columns.POSITION: pa.array(ids, pa.string())})
    if not unfit:
        return Returned(rows=rows, unread=None)
    kept = rows.filter(pa.array([row not in unfit for row in range(len(ids))]))
    unread = [
        {"_position": ids[row], "_raw": "", "_column": column, "_reason": reason}
        for row, (column, reason) in unfit.items()
    ]
    return Returned(rows=kept, unread=pa.Table.from_pylist(unread, schema=UNREAD))


def decoded(payload: str) -> dict[str, object]:
    """Give a payload's values: numbers with a fraction, and what JSON has no word for, as texts."""
    found = json.loads(payload, parse_float=str, parse_constant=str)
    return cast("dict[str, object]", found)


def edited(payload: str, values: Mapping[str, object], *, is_text: bool) -> tuple[str, bool]:
    """Give a payload with other values, and whether it is a text still; all else stays as it is.

    A text that is no row becomes one of exactly these values, unless only its ``raw`` is mended:
    what was said to be wrong with it is said no more.
    """
    known = {} if is_text else msgspec.json.decode(payload, type=dict[str, msgspec.Raw])
    stays_text = is_text and values.keys() <= TEXT_FIELDS
    if stays_text:
        nothing = msgspec.Raw(b"null")
        kept = msgspec.json.decode(payload, type=dict[str, msgspec.Raw])
        known = {**kept, "column": nothing, "reason": nothing} if "raw" in values else kept
    new = {name: msgspec.Raw(_encoded(value)) for name, value in values.items()}
    return msgspec.json.encode({**known, **new}).decode(), stays_text


def _encoded(value: object) -> bytes:
    if isinstance(value, Decimal):
        return str(value).encode()
    if isinstance(value, float) and (value != value or abs(value) == float("inf")):  # noqa: PLR0124
        return msgspec.json.encode(str(value))
    if isinstance(value, bytes):
        return msgspec.json.encode("".join(f"{_ESCAPED}{byte:02X}" for byte in value))
    if isinstance(value, datetime):
        return msgspec.json.encode(value.isoformat(sep=" "))
    return msgspec.json.encode(value)


def _keeps_type(kind: pa.DataType) -> bool:
    return bool(types.is_nested(kind) or types.is_binary(kind))


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else json.dumps(value, ensure_ascii=False)


def under_type(values: Sequence[object], kind: pa.DataType) -> tuple[pa.Array, list[int]]:
    """Give values under a type, NULL where one does not fit, and where that is."""
    made: list[object] = []
    bad: list[int] = []
    for row, value in enumerate(values):
        try:
            made.append(pa.scalar(_value(value, kind), kind).as_py())
        except (ValueError, TypeError, ArithmeticError, LookupError, pa.ArrowException):
            made.append(None)
            bad.append(row)
    return pa.array(made, kind), bad


def _guessed(values: Sequence[object]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError):
        return pa.array([_text(value) for value in values], pa.string())


def _value(value: object, kind: pa.DataType) -> object:
    """Give a JSON value as Python has it for an Arrow type.

    Raises:
        ValueError, TypeError, ArithmeticError, LookupError: it is none of that type.
    """
    if value is None:
        return None
    if types.is_struct(kind):
        given = cast("Mapping[str, object]", value)
        fields = {field.name: field.type for field in kind}
        if unknown := given.keys() - fields.keys():
            raise ValueError(f"{sorted(unknown)} are not declared")
        return {name: _value(given.get(name), inner) for name, inner in fields.items()}
    if types.is_list(kind) or types.is_large_list(kind):
        if not isinstance(value, list):
            raise TypeError("it is no list")
        return [_value(each, kind.value_type) for each in cast("Iterable[object]", value)]
    text = _text(value) or ""
    return next((read(text) for is_kind, read in _READERS if is_kind(kind)), text)


def _instant(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _bytes(text: str) -> bytes:
    """Read bytes as DuckDB writes them: ASCII as it is, else two digits after ``_ESCAPED``."""
    made = bytearray()
    at = 0
    while at < len(text):
        if text.startswith(_ESCAPED, at):
            made.append(int(text[at + 2 : at + 4], 16))
            at += 4
        else:
            made.append(ord(text[at]))
            at += 1
    return bytes(made)


def _is_zoned(kind: pa.DataType) -> bool:
    return bool(types.is_timestamp(kind) and kind.tz)


_READERS: Final[Sequence[tuple[Callable[[pa.DataType], bool], Callable[[str], object]]]] = (
    (types.is_boolean, lambda text: {"true": True, "false": False}[text]),
    (types.is_integer, int),
    (types.is_floating, float),
    (types.is_decimal, Decimal),
    (types.is_binary, _bytes),
    (types.is_large_binary, _bytes),
    (_is_zoned, _instant),
    (types.is_timestamp, datetime.fromisoformat),
    (types.is_date, date.fromisoformat),
    (types.is_time, time.fromisoformat),
)
"""How a value of each type is read from its text."""
