"""Column types: what an annotation means, and its one text (Iceberg's)."""

import datetime as dt
import decimal
import enum
import re
import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import (
    Annotated,
    ClassVar,
    Literal,
    NotRequired,
    Required,
    TypeAlias,
    TypeGuard,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from headgate.errors import Invalid

MAX_PRECISION = 38


@dataclass(frozen=True, slots=True)
class IntType:
    """A whole number of 32 or 64 bits."""

    bits: int = 64

    def __str__(self) -> str:
        return "long" if self.bits == 64 else "int"  # noqa: PLR2004 - a long is 64 bits


@dataclass(frozen=True, slots=True)
class FloatType:
    """A binary floating point number of 32 or 64 bits, NaN and infinities included."""

    bits: int = 64

    def __str__(self) -> str:
        return "double" if self.bits == 64 else "float"  # noqa: PLR2004 - a double is 64 bits


@dataclass(frozen=True, slots=True)
class DecimalType:
    """An exact number with ``scale`` digits behind the point."""

    precision: int
    scale: int = 0

    def __post_init__(self) -> None:
        if not (1 <= self.precision <= MAX_PRECISION and 0 <= self.scale <= self.precision):
            raise Invalid(
                "contract-type",
                f"decimal({self.precision}, {self.scale}) is no type.",
                hint="A decimal has 1 to 38 digits, of which 0 or more are behind the point.",
            )

    def __str__(self) -> str:
        return f"decimal({self.precision}, {self.scale})"


@dataclass(frozen=True, slots=True)
class PlainType:
    """A type without parameters."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class ListType:
    """A list; its elements may be NULL."""

    element: "ColumnType"

    def __str__(self) -> str:
        return f"list<{self.element}>"


@dataclass(frozen=True, slots=True)
class StructType:
    """Named fields; each may be NULL."""

    fields: "tuple[tuple[str, ColumnType], ...]"

    def __str__(self) -> str:
        return f"struct<{', '.join(f'{name}: {kind}' for name, kind in self.fields)}>"


ColumnType: TypeAlias = IntType | FloatType | DecimalType | PlainType | ListType | StructType

INT = IntType()
FLOAT = FloatType()
STRING = PlainType("string")
BOOL = PlainType("boolean")
DATE = PlainType("date")
TIME = PlainType("time")
UTC_TIMESTAMP = PlainType("timestamptz")
LOCAL_TIMESTAMP = PlainType("timestamp")
BINARY = PlainType("binary")
INSTANTS = (UTC_TIMESTAMP, LOCAL_TIMESTAMP)

_BY_TEXT: Mapping[str, ColumnType] = {
    str(kind): kind
    for kind in (
        INT, IntType(32), FLOAT, FloatType(32), STRING, BOOL, DATE, TIME, UTC_TIMESTAMP,
        LOCAL_TIMESTAMP, BINARY,
    )
}  # fmt: skip
_DECIMAL = re.compile(r"decimal\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)\Z")


Int32 = Annotated[int, IntType(32)]
"""A whole number of 32 bits; ``int`` has 64."""

Float32 = Annotated[float, FloatType(32)]
"""A floating point number of 32 bits; ``float`` has 64."""

Date = dt.date
"""A day."""

UtcTimestamp = Annotated[dt.datetime, UTC_TIMESTAMP]
"""An instant, microseconds, in UTC. Text without a zone is taken as UTC."""

LocalTimestamp = Annotated[dt.datetime, LOCAL_TIMESTAMP]
"""A day and a time of day on somebody's wall, microseconds, without a zone."""


class Decimal:
    """An exact number: ``amount: Annotated[decimal.Decimal, hg.Decimal(9, 2)]``.

    ``amount: hg.Decimal(9, 2)`` means the same; type checkers prefer the first.
    """

    python: ClassVar[type] = decimal.Decimal

    def __new__(cls, precision: int, scale: int = 0) -> "Decimal":  # noqa: PYI034 - see below
        """Give the annotation of a decimal with that many digits."""
        return Annotated[decimal.Decimal, DecimalType(precision, scale)]  # type: ignore[return-value]


_BY_PYTHON: Mapping[object, ColumnType] = {
    bool: BOOL,
    int: INT,
    float: FLOAT,
    str: STRING,
    bytes: BINARY,
    dt.date: DATE,
    dt.time: TIME,
}


def parse_type(text: str) -> ColumnType:
    """Give the type of Iceberg's text: ``long``, ``decimal(9, 2)``, ``list<struct<a: string>>``.

    Raises:
        Invalid: ``contract-type``.
    """
    text = text.strip()
    if plain := _BY_TEXT.get(text):
        return plain
    if match := _DECIMAL.match(text):
        return DecimalType(int(match[1]), int(match[2] or 0))
    if text.startswith("list<") and text.endswith(">"):
        return ListType(parse_type(text[5:-1]))
    if text.startswith("struct<") and text.endswith(">"):
        fields = [part.partition(":") for part in _split(text[7:-1])]
        if all(name.strip() and kind.strip() for name, _, kind in fields):
            return StructType(tuple((name.strip(), parse_type(kind)) for name, _, kind in fields))
    raise Invalid(
        "contract-type",
        f"{text!r} is no column type.",
        hint=f"Types are {', '.join(_BY_TEXT)}, decimal(p, s), list<...> and struct<name: ...>.",
        type=text,
    )


def _split(text: str) -> list[str]:
    """Split at commas outside of any bracket."""
    parts, depth = [""], 0
    for char in text:
        depth += (char in "<(") - (char in ">)")
        if char == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return parts


ELEMENT = "[]"
"""The step of a path into a list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """What an annotation says of a column.

    ``markers`` is what else stood in ``Annotated``; ``values`` are those of a ``Literal`` or an
    enum; ``inner`` says the same of a struct's fields, by name, and of a list's elements, as
    ``ELEMENT``.
    """

    type: ColumnType
    nullable: bool = False
    markers: tuple[object, ...] = ()
    values: tuple[str | int | bool, ...] = ()
    inner: "tuple[tuple[str, Annotation], ...]" = ()


def read_annotation(annotation: object) -> Annotation:
    """Read a field's annotation.

    Raises:
        Invalid: ``contract-annotation``, and the caller adds class and field.
    """
    markers: tuple[object, ...] = ()
    nullable = False
    kind: ColumnType | None = None
    while True:
        if get_origin(annotation) is Annotated:
            inner, *more = get_args(annotation)
            for marker in more:
                found = _type_marker(marker)
                if found is not None:
                    kind = kind or found
                else:
                    markers += (marker,)
            annotation = inner
        elif get_origin(annotation) in (Union, types.UnionType):
            members = [m for m in get_args(annotation) if m is not type(None)]
            if len(members) == len(get_args(annotation)) or len(members) != 1:
                raise _unknown(annotation)
            nullable, annotation = True, members[0]
        else:
            break
    if kind is not None:
        return Annotation(type=kind, nullable=nullable, markers=markers)
    return _bare(annotation, nullable=nullable, markers=markers)


def _bare(annotation: object, *, nullable: bool, markers: tuple[object, ...]) -> Annotation:
    """Read an annotation without ``Annotated`` and ``| None``."""
    values: tuple[str | int | bool, ...] = ()
    inner: tuple[tuple[str, Annotation], ...] = ()
    kind: ColumnType | None = None
    if get_origin(annotation) is Literal:
        values = get_args(annotation)
    elif isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        values = tuple(member.value for member in annotation)
    if values:
        types_of = {type(value) for value in values}
        if len(types_of) == 1 and (of := types_of.pop()) in {str, int, bool}:
            kind = _BY_PYTHON[of]
    elif get_origin(annotation) is list and get_args(annotation):
        inner = ((ELEMENT, read_annotation(get_args(annotation)[0])),)
        kind = ListType(inner[0][1].type)
    elif _is_typed_dict(annotation):
        hints = get_type_hints(annotation, include_extras=True)
        inner = tuple((name, read_annotation(_required(hint))) for name, hint in hints.items())
        kind = StructType(tuple((name, read.type) for name, read in inner))
    else:
        try:
            kind = _BY_PYTHON.get(annotation)
        except TypeError:
            kind = None
    if kind is None:
        raise _unknown(annotation)
    return Annotation(type=kind, nullable=nullable, markers=markers, values=values, inner=inner)


def _is_typed_dict(annotation: object) -> TypeGuard[type]:
    """Whether this is a ``TypedDict``, of ``typing`` or, as Pydantic asks, of its extensions."""
    return is_typeddict(annotation) or type(annotation).__name__ == "_TypedDictMeta"


def _required(hint: object) -> object:
    """Give a field's annotation without what says whether its key may be absent."""
    return get_args(hint)[0] if get_origin(hint) in (Required, NotRequired) else hint


def _type_marker(marker: object) -> ColumnType | None:
    if isinstance(marker, ColumnType):
        return marker
    if get_origin(marker) is Annotated:
        return read_annotation(marker).type
    return None


def _unknown(annotation: object) -> Invalid:
    text = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    if annotation is dt.datetime:
        hint = "Say hg.UtcTimestamp (an instant) or hg.LocalTimestamp (a time without a zone)."
    elif annotation is decimal.Decimal:
        hint = "Say how many digits: hg.Decimal(9, 2)."
    elif annotation in (list, dict):
        hint = "Say of what: list[str]; a struct is a TypedDict."
    else:
        hint = (
            "Use int, float, str, bool, bytes, hg.Date, hg.UtcTimestamp, hg.LocalTimestamp, "
            "hg.Decimal(p, s), Literal[...], list[...] or a TypedDict; '| None' lets NULL in."
        )
    return Invalid("contract-annotation", f"{text} is no column type.", hint=hint)
