"""Casts: raw columns to typed ones, strictly. A value that would change its meaning is a violation.

What cannot be read becomes NULL and sets the column's ``typed`` check; nothing raises while rows
flow.
Text is read as people write it in files: spaces around it do not count, ``1.0`` is the whole number
1, ``1.5`` is none; days and instants are ISO 8601; a fraction too fine, a number too large, a
half-read text is refused.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import pyarrow as pa

from headgate import source_columns
from headgate.contracts.arrow_schemas import arrow_type
from headgate.contracts.flags import Flag
from headgate.contracts.layouts import read_type
from headgate.contracts.specs import ColumnSpec, ContractSpec
from headgate.contracts.types import (
    BINARY,
    BOOL,
    DATE,
    INSTANTS,
    LOCAL_TIMESTAMP,
    STRING,
    TIME,
    UTC_TIMESTAMP,
    ColumnType,
    DecimalType,
    FloatType,
    IntType,
    ListType,
    StructType,
)
from headgate.errors import Invalid
from headgate.names import literal, quote, suggestion
from headgate.type_words import type_words

RAW = "_raw."
"""What stands before a column's name where its raw value goes along with the typed one."""

TRIED = "_tried."
"""What stands before a column's name where its text was read as a number, well or badly."""

_OURS = ("_position", "_mask")
_KEPT = (source_columns.POSITION, source_columns.RECORD)
_DAY = r"[0-9]{4,6}-[0-9]{1,2}-[0-9]{1,2}"
_CLOCK = r"[0-9]{1,2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6}0*)?)?"
_ZONE = r" ?([Zz]|[+-][0-9]{2}(:?[0-9]{2})?)"
_INFINITY = r"(?i)\s*[+-]?inf(inity)?\s*"


@dataclass(frozen=True, slots=True, kw_only=True)
class CastPlan:
    """How raw columns become the contract's.

    ``items`` are the columns of the typed rows: name and SQL over the raw ones and over ``tried``,
    what is computed of them once because an item names it twice; beside every column whose values
    can fail to be read stands its raw value as ``_raw.<column>``, and where the source tells a
    row's position or the record it was, that. ``schema`` has the typed columns without those.
    ``flags`` are the conditions of unreadable values; ``raw_texts`` is SQL for what came in for a
    column that was cast, NULL where that stands for nothing. ``problems`` says what makes the raw
    columns unfit as a whole; rows must not flow then. ``reader_types`` is for readers that parse
    text by themselves: SQL types by raw name, in the contract's order. ``verbatim`` has the items
    that are raw columns as they came, with those columns' names.
    """

    contract: str
    items: tuple[tuple[str, str], ...]
    tried: tuple[tuple[str, str], ...]
    schema: pa.Schema
    flags: tuple[Flag, ...]
    raw_texts: Mapping[str, str]
    problems: tuple[str, ...]
    reader_types: Mapping[str, str]
    verbatim: Mapping[str, str]

    @property
    def columns(self) -> tuple[str, ...]:
        """The typed columns' names."""
        return tuple(self.schema.names)

    @property
    def changes_nothing(self) -> bool:
        """Whether the raw columns are the typed ones, in order: no query is needed."""
        return all(text == quote(name) for name, text in self.items) and not self.problems

    def select(self, relation: str) -> str:
        """Give the query of the typed rows over a relation (quoted SQL) of the raw ones."""
        items = ", ".join(
            text if text == quote(name) else f"{text} AS {quote(name)}" for name, text in self.items
        )
        if self.tried:
            tried = ", ".join(f"{text} AS {quote(name)}" for name, text in self.tried)
            relation = f"(SELECT *, {tried} FROM {relation})"
        return f"SELECT {items} FROM {relation}"

    def refuse(self) -> None:
        """Raise where the raw columns are unfit.

        Raises:
            Invalid: ``contract-raw-columns``.
        """
        if self.problems:
            raise Invalid(
                "contract-raw-columns",
                f"The columns that came in are not those of contract {self.contract}: "
                f"{'; '.join(self.problems)}.",
                hint="Mend the source, or say in the contract what it is.",
                problems=list(self.problems),
            )


TextRule: TypeAlias = Callable[[str, pa.DataType], str]
"""Gives SQL for a text as it is to be read as a type, of the SQL of the text as it came."""


def _as_it_came(text: str, _: pa.DataType) -> str:
    return text


def cast_plan(spec: ContractSpec, raw: pa.Schema, *, texts: TextRule | None = None) -> CastPlan:
    """Plan how raw columns become the contract's; ``texts`` are read by that rule."""
    texts = texts or _as_it_came
    given = _by_name(raw)
    items: list[tuple[str, str]] = []
    fields: list[pa.Field] = []
    flags: list[Flag] = []
    raw_texts: dict[str, str] = {}
    problems: list[str] = []
    beside: list[tuple[str, str]] = []
    tried: list[tuple[str, str]] = []
    for column in spec.columns:
        field = given.get(column.source) or given.get(column.source.casefold())
        if field is None:
            problems.append(_missing(column, raw, spec))
            continue
        source, fields = (
            quote(field.name),
            [*fields, pa.field(column.name, arrow_type(column.kind))],
        )
        attempt = f"{TRIED}{column.name}"
        rule = texts if pa.types.is_string(field.type) else _as_it_came
        text = rule(source, arrow_type(column.kind))
        number = _number_text(text, field.type, column.kind)
        cast = cast_sql(text, field.type, column.kind, number=number and quote(attempt))
        if number is not None:
            tried.append((attempt, number))
        if cast is None:
            problems.append(
                f"{column.source} is {type_words(field.type)}, which cannot become {column.type}"
            )
            continue
        items.append((column.name, cast))
        if cast == source:
            continue
        kept = f"{RAW}{column.name}"
        beside.append((kept, source))
        came = rule(quote(kept), arrow_type(column.kind))
        raw_texts[column.name] = came
        unread = f"({came} IS NOT NULL AND {quote(column.name)} IS NULL)"
        flags.append(Flag(check=spec.typed(column.name), sql=unread))
    taken = {(given.get(c.source) or given.get(c.source.casefold())) for c in spec.columns} - {None}
    names = {column.name.casefold() for column in spec.columns}
    for field in raw:
        if field in taken or field.name in source_columns.ALL:
            continue
        if spec.undeclared == "keep" and (field.name in _OURS or field.name.startswith(RAW)):
            problems.append(f"{field.name} is a name that rows in quarantine have for themselves")
            continue
        if spec.undeclared == "refuse":
            problems.append(f"{field.name} is not declared")
        elif spec.undeclared == "keep" and field.name.casefold() in names:
            problems.append(f"{field.name} is undeclared and has the name of another column")
        elif spec.undeclared == "keep":
            items.append((field.name, quote(field.name)))
            fields.append(pa.field(field.name, field.type))
    beside += ((name, quote(name)) for name in _KEPT if name in raw.names)
    as_it_came = {quote(name): name for name in raw.names}
    return CastPlan(
        contract=spec.name,
        items=(*items, *beside),
        tried=tuple(tried),
        schema=pa.schema(fields),
        flags=tuple(flags),
        raw_texts=raw_texts,
        problems=tuple(problems),
        reader_types={column.source: sql_type(column.kind) for column in spec.columns},
        verbatim={name: as_it_came[text] for name, text in (*items, *beside) if text in as_it_came},
    )


def source_schema(spec: ContractSpec) -> pa.Schema:
    """Give the declared columns under the names they have in the source."""
    return pa.schema([pa.field(one.source, arrow_type(one.kind)) for one in spec.columns])


def text_cast(source: str, kind: pa.DataType) -> str | None:
    """Give SQL that reads a text as a type, NULL where it is none; None where no text ever is."""
    return cast_sql(source, pa.string(), read_type(type_words(kind)))


def _by_name(raw: pa.Schema) -> dict[str, pa.Field]:
    """Give the raw fields by exact name, and by folded name where that is nobody's exact one."""
    found: dict[str, pa.Field] = {}
    for field in raw:
        found.setdefault(field.name.casefold(), field)
    return found | {field.name: field for field in raw}


def _missing(column: ColumnSpec, raw: pa.Schema, spec: ContractSpec) -> str:
    declared = {each.source.casefold() for each in spec.columns}
    names = [name for name in raw.names if name not in source_columns.ALL]
    close = suggestion(column.source, (n for n in names if n.casefold() not in declared))
    return f"{column.source} is missing" + (f" (there is {close})" if close else "")


def sql_type(kind: ColumnType) -> str:
    """Give a column type in SQL."""
    match kind:
        case IntType(bits=bits):
            return "BIGINT" if bits == 64 else "INTEGER"  # noqa: PLR2004 - as the type says
        case FloatType(bits=bits):
            return "DOUBLE" if bits == 64 else "FLOAT"  # noqa: PLR2004
        case DecimalType(precision=precision, scale=scale):
            return f"DECIMAL({precision}, {scale})"
        case ListType(element=element):
            return f"{sql_type(element)}[]"
        case StructType(fields=fields):
            return (
                f"STRUCT({', '.join(f'{quote(name)} {sql_type(inner)}' for name, inner in fields)})"
            )
        case _:
            return {
                STRING: "VARCHAR", BOOL: "BOOLEAN", DATE: "DATE", TIME: "TIME", BINARY: "BLOB",
                UTC_TIMESTAMP: "TIMESTAMPTZ", LOCAL_TIMESTAMP: "TIMESTAMP",
            }[kind]  # fmt: skip


def cast_sql(  # noqa: PLR0911 - a table of types
    source: str, raw: pa.DataType, target: ColumnType, *, number: str | None = None
) -> str | None:
    """Give SQL that is NULL where a raw value cannot be read; None where none of that type can.

    ``number`` stands for what a text is, read as a number, where that is computed elsewhere.
    """
    if raw.equals(arrow_type(target)):
        return source
    if pa.types.is_null(raw):
        return f"CAST({source} AS {sql_type(target)})"
    given = read_type(type_words(raw))
    if pa.types.is_timestamp(raw) and raw.unit != "us" and target in INSTANTS:
        return _finer_instant(source, raw, target)
    if given == STRING:
        return _from_text(source, target, number)
    if given == target and not pa.types.is_integer(raw):
        return f"CAST({source} AS {sql_type(target)})"
    if isinstance(target, ListType | StructType):
        return _there_and_back(source, raw, target) if _is_nested(raw) else None
    return _between_types(source, given, raw, target)


def _is_nested(raw: pa.DataType) -> bool:
    types = pa.types
    return bool(
        types.is_struct(raw) or types.is_list(raw) or types.is_large_list(raw)
        or types.is_fixed_size_list(raw)
    )  # fmt: skip


def _there_and_back(source: str, raw: pa.DataType, target: ColumnType) -> str:
    """Give a cast that is NULL where casting back gives another value."""
    there = f"TRY_CAST({source} AS {sql_type(target)})"
    back = f"TRY_CAST({there} AS {_raw_sql_type(raw)})"
    return f"CASE WHEN {back} IS NOT DISTINCT FROM {source} THEN {there} END"


def _raw_sql_type(raw: pa.DataType) -> str:
    types = pa.types
    if types.is_integer(raw):
        sign = "" if types.is_signed_integer(raw) else "U"
        return sign + {8: "TINYINT", 16: "SMALLINT", 32: "INTEGER", 64: "BIGINT"}[raw.bit_width]
    if types.is_list(raw) or types.is_large_list(raw):
        return f"{_raw_sql_type(raw.value_type)}[]"
    if types.is_struct(raw):
        return f"STRUCT({', '.join(f'{quote(f.name)} {_raw_sql_type(f.type)}' for f in raw)})"
    if types.is_timestamp(raw) and raw.tz is None and raw.unit == "ns":
        return "TIMESTAMP_NS"
    return sql_type(read_type(type_words(raw)))


def _finer_instant(source: str, raw: pa.DataType, target: ColumnType) -> str | None:
    """Read an instant of another unit; one with a zone comes from DuckDB in microseconds."""
    if raw.tz is not None:
        return f"CAST({source} AS TIMESTAMPTZ)" if target == UTC_TIMESTAMP else None
    local = f"TRY_CAST({source} AS TIMESTAMP)"
    if raw.unit == "ns":
        local = f"CASE WHEN TRY_CAST({local} AS TIMESTAMP_NS) = {source} THEN {local} END"
    return _local_as_utc(local) if target == UTC_TIMESTAMP else local


def _local_as_utc(local: str) -> str:
    """Give the instant that a local timestamp is in UTC, whatever the session's zone."""
    return f"make_timestamptz(epoch_us({local}))"


def _between_types(  # noqa: PLR0911 - a table of types
    source: str, given: ColumnType, raw: pa.DataType, target: ColumnType
) -> str | None:
    """Cast one typed column to another where meaning survives."""
    wanted = sql_type(target)
    numbers = (IntType, FloatType, DecimalType)
    if isinstance(given, numbers) and isinstance(target, numbers):
        return _number(source, given, raw, target)
    if given == DATE and target == LOCAL_TIMESTAMP:
        return f"CAST({source} AS TIMESTAMP)"
    if given == DATE and target == UTC_TIMESTAMP:
        return _local_as_utc(f"CAST({source} AS TIMESTAMP)")
    if given == LOCAL_TIMESTAMP and target == UTC_TIMESTAMP:
        return _local_as_utc(source)
    if given == LOCAL_TIMESTAMP and target == DATE:
        return f"CASE WHEN CAST({source} AS TIME) = TIME '00:00:00' THEN CAST({source} AS DATE) END"
    if isinstance(given, IntType) and target == BOOL:
        return f"CASE {source} WHEN 0 THEN FALSE WHEN 1 THEN TRUE END"
    if pa.types.is_time(raw) and target == TIME:
        return f"TRY_CAST({source} AS {wanted})"
    return None


def _number(
    source: str, given: ColumnType, raw: pa.DataType, target: IntType | FloatType | DecimalType
) -> str:
    there = f"TRY_CAST({source} AS {sql_type(target)})"
    exact = isinstance(given, IntType) and (
        isinstance(target, IntType | DecimalType)
        or (isinstance(target, FloatType) and target.bits == 64 and raw.bit_width < 64)  # noqa: PLR2004
    )
    if exact or (isinstance(given, FloatType) and target == FloatType(64)):
        return there
    if isinstance(given, FloatType) and isinstance(target, IntType):
        return f"CASE WHEN {source} = trunc({source}) THEN {there} END"
    if isinstance(given, FloatType) and isinstance(target, FloatType):
        # NaN equals NaN here, and an infinity that was a number does not.
        return f"CASE WHEN CAST({there} AS DOUBLE) = {source} THEN {there} END"
    return _there_and_back(source, raw, target)


def _number_text(source: str, raw: pa.DataType, target: ColumnType) -> str | None:
    """Give how a text is tried as a number, where that is asked of it."""
    if isinstance(target, IntType | FloatType) and pa.types.is_string(raw):
        return f"TRY_CAST({source} AS {sql_type(target)})"
    return None


def _from_text(source: str, target: ColumnType, number: str | None) -> str | None:
    tried = number or f"TRY_CAST({source} AS {sql_type(target)})"
    match target:
        case IntType():
            return _whole_text(source, target, tried)
        case FloatType():
            return _float_text(source, tried)
        case DecimalType(scale=scale):
            fraction = rf"(\.[0-9]{{0,{scale}}}0*)?"
            pattern = rf"\s*[+-]?([0-9]+{fraction}|\.[0-9]{{1,{max(scale, 1)}}}0*)\s*"
            return _if_full(source, pattern, tried)
        case _:
            return _plain_text(source, target)


def _if_full(source: str, pattern: str, then: str) -> str:
    return f"CASE WHEN regexp_full_match({source}, {literal(pattern)}) THEN {then} END"


def _whole_text(source: str, target: IntType, number: str) -> str:
    otherwise = _if_full(
        source,
        r"\s*[+-]?[0-9]+(\.0*)?\s*",
        f"TRY_CAST(split_part({source}, '.', 1) AS {sql_type(target)})",
    )
    # What is written as it would be printed needs no regular expression: nearly all there is.
    return f"CASE WHEN CAST({number} AS VARCHAR) = {source} THEN {number} ELSE {otherwise} END"


def _float_text(source: str, number: str) -> str:
    # DuckDB reads 1_000 as a number, and 1e999 as an infinity.
    return (
        f"CASE WHEN contains({source}, '_') THEN NULL "
        f"WHEN isinf({number}) AND NOT regexp_full_match({source}, {literal(_INFINITY)}) THEN NULL "
        f"ELSE {number} END"
    )


def _if_shaped(source: str, shape: str, then: str, otherwise: str) -> str:
    """Read what has the usual shape, and begins with a digit, without a regular expression."""
    return (
        f"CASE WHEN {source} LIKE '{shape}' AND {source} >= '0' AND {source} < ':' "
        f"THEN {then} ELSE {otherwise} END"
    )


def _plain_text(source: str, target: ColumnType) -> str | None:  # noqa: PLR0911 - a table
    trimmed = f"trim({source})"
    if target == BOOL:
        word = f"lower({trimmed})"
        # Of five words or more DuckDB makes a join, which is computed for every row.
        return (
            f"CASE WHEN {source} = 'true' THEN TRUE WHEN {source} = 'false' THEN FALSE "
            f"WHEN {word} IN ('true', 't', 'yes') OR {word} IN ('y', '1') THEN TRUE "
            f"WHEN {word} IN ('false', 'f', 'no') OR {word} IN ('n', '0') THEN FALSE END"
        )
    if target == DATE:
        otherwise = _if_full(source, rf"\s*{_DAY}\s*", f"TRY_CAST({trimmed} AS DATE)")
        return _if_shaped(source, "____-__-__", f"TRY_CAST({source} AS DATE)", otherwise)
    if target == TIME:
        return _if_full(source, rf"\s*{_CLOCK}\s*", f"TRY_CAST({trimmed} AS TIME)")
    local = f"TRY_CAST({trimmed} AS TIMESTAMP)"
    with_zone = rf"\s*{_DAY}[Tt ]{_CLOCK}{_ZONE}\s*"
    without_zone = rf"\s*{_DAY}([Tt ]{_CLOCK})?\s*"
    if target == LOCAL_TIMESTAMP:
        otherwise = _if_full(source, without_zone, local)
        # A cast passes over much that is no instant, strptime only over spaces; it refuses 24:00.
        read = f"try_strptime({source}, '%Y-%m-%d %H:%M:%S')"
        spaced = f"contains({source}, '  ') OR suffix({source}, ' ')"
        then = f"CASE WHEN {spaced} THEN {otherwise} ELSE coalesce({read}, {otherwise}) END"
        return _if_shaped(source, "____-__-__ __:__:__", then, otherwise)
    if target == UTC_TIMESTAMP:
        return (
            f"CASE WHEN regexp_full_match({source}, {literal(with_zone)}) "
            f"THEN TRY_CAST({trimmed} AS TIMESTAMPTZ) "
            f"WHEN regexp_full_match({source}, {literal(without_zone)}) "
            f"THEN {_local_as_utc(local)} END"
        )
    if target == STRING:
        return f"CAST({source} AS VARCHAR)"
    return None
