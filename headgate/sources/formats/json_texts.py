"""Values as JSON texts, where no column type has room for what they can be."""

import base64
import json
import math
from datetime import date, datetime, time
from decimal import Decimal
from uuid import UUID


def json_text(value: object) -> str:
    """Give a value as JSON: decimals exactly, instants as ISO 8601, bytes as base64."""
    return json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    endless = isinstance(value, float) and not math.isfinite(value)
    return str(value) if endless or isinstance(value, (Decimal, UUID)) else value
