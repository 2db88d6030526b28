"""A record of Python values as JSON text, without losing what JSON has no word for.

Decimals are numbers with all their digits, days and instants ISO 8601, bytes base64, NaN and the
infinities the texts ``NaN``, ``Infinity`` and ``-Infinity``.
"""

import dataclasses
import enum
import math
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import msgspec

_encoder = msgspec.json.Encoder(decimal_format="number")


def record_text(record: Mapping[str, object]) -> bytes:
    """Give a record as one JSON object.

    Raises:
        TypeError: a value is none that JSON can hold; the message has its type, not the value.
    """
    return _encoder.encode(_plain(record))


def _plain(value: Any) -> object:  # noqa: ANN401, PLR0911 - whatever a stranger's code yields
    kind = type(value)
    if kind in (str, int, bool) or value is None:
        return value
    if isinstance(value, float):
        if math.isfinite(value):
            return float(value)
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, str | bytes | bytearray | memoryview):
        return str(value) if isinstance(value, str) else bytes(value)
    if isinstance(value, Sequence | AbstractSet):
        return [_plain(inner) for inner in value]
    if isinstance(value, Decimal):
        return value if value.is_finite() else _plain(float(value))
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, enum.Enum):
        return _plain(value.value)
    if isinstance(value, int):
        return int(value)
    return _object(value)


def _object(value: Any) -> object:  # noqa: ANN401
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: _plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
    if hasattr(value, "model_dump"):  # pydantic's
        return _plain(value.model_dump())
    if isinstance(value, timedelta):
        return value.total_seconds()
    try:
        return msgspec.to_builtins(value)
    except TypeError:
        raise TypeError(f"a {type(value).__qualname__} is nothing that JSON can hold") from None
