"""How a CSV file writes days, times and numbers, where a contract reads its texts.

Without a contract the engine's reader makes values by these options. Under one, columns come as
text, and a text is brought to the form that contracts read; one that is not written so is spoiled,
so that the contract refuses it.
"""

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

import pyarrow as pa

from headgate.names import literal

TextRule: TypeAlias = Callable[[str, pa.DataType], str]

_DAY: Final = "date_format"
_INSTANT: Final = "timestamp_format"
_MARK: Final = "decimal_separator"
_ZONES: Final = ("%z", "%Z")


def with_formats(options: Mapping[str, object], rule: TextRule | None) -> TextRule | None:
    """Give how texts are read by a file's options, and by ``rule`` where those do not say it."""
    formats = {name: str(options[name]) for name in (_DAY, _INSTANT, _MARK) if options.get(name)}
    if not formats:
        return rule

    def read(text: str, kind: pa.DataType) -> str:
        before = rule(text, kind) if rule is not None else text
        if pa.types.is_date(kind) and _DAY in formats:
            return _timed(before, formats[_DAY], "%Y-%m-%d")
        if pa.types.is_timestamp(kind) and _INSTANT in formats:
            return _timed(before, formats[_INSTANT], "%Y-%m-%d %H:%M:%S.%f")
        is_fraction = pa.types.is_floating(kind) or pa.types.is_decimal(kind)
        if is_fraction and formats.get(_MARK, ".") != ".":
            spoiled = f"case when contains({before}, '.') then {_spoiled(before)} else "
            return f"({spoiled}replace({before}, {literal(formats[_MARK])}, '.') end)"
        return before

    return read


def _timed(text: str, written: str, wanted: str) -> str:
    found = f"try_strptime(trim({text}), {literal(written)})"
    if any(zone in written for zone in _ZONES):
        shown = f"strftime(timezone('UTC', {found}), {literal(wanted)}) || 'Z'"
    else:
        shown = f"strftime({found}, {literal(wanted)})"
    return f"coalesce({shown}, {_spoiled(text)})"


def _spoiled(text: str) -> str:
    """Give a text that no type reads; NULL stays NULL."""
    return f"('?' || {text})"
