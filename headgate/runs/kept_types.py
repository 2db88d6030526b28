"""Columns keep their types: what comes to a table that has no contract is read as the table is.

A CSV file says of its columns what its own values look like: a column that is empty there, or has
none but whole numbers, looks other than in the file before. Where that differs from the table its
text is read as the table's type, strictly, as under a contract; a value that is none ends the run.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import pyarrow as pa

from headgate.contracts import ColumnSpec, ContractSpec, type_texts
from headgate.engines import Written
from headgate.errors import Invalid
from headgate.filesets import NativeFiles
from headgate.lake import Operation

_TO_THE_TABLE: Final = frozenset(
    {
        ("int", "long"),
        ("long", "int"),
        ("float", "double"),
        ("double", "float"),
        ("int", "double"),
        ("long", "double"),
        ("date", "timestamp"),
    }
)
"""Pairs of types (given, stored) that a table takes as they are, or by widening its column."""

_NUMBERS: Final = re.compile(r"int|long|float|double|decimal\(.*\)")
_RAW: Final = "_raw."
_LOOKED_AT: Final = 10_000
_FORMATS: Final = ("date_format", "timestamp_format", "decimal_separator")
_KINDS: Final[Mapping[str, re.Pattern[str]]] = {
    "a whole number": re.compile(r"\s*[+-]?\d+\s*", re.ASCII),
    "a number with a fraction": re.compile(r"\s*[+-]?(\d+\.\d*|\.\d+)([eE].*)?", re.ASCII),
    "a number": re.compile(r"\s*[+-]?(\d+[eE][+-]?\d+|inf(inity)?|nan)\s*", re.IGNORECASE),
    "a truth value": re.compile(r"\s*(true|false)\s*", re.IGNORECASE),
    "a day": re.compile(r"\s*\d{4}-\d{1,2}-\d{1,2}\s*", re.ASCII),
    "a time": re.compile(r"\s*(\d{4}-\d{1,2}-\d{1,2}[T ])?\d{1,2}:\d{2}.*", re.ASCII),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptTypes:
    """Which of the columns that come are read as the table's types: ``kinds``, by name.

    ``rows`` are the rows to read, those columns as text where they are files of text.
    """

    table: str
    kinds: Mapping[str, str]
    rows: NativeFiles | pa.Table | pa.RecordBatchReader

    def spec(self) -> ContractSpec | None:
        """Give what casts these columns, and lets all others pass; None where none is cast."""
        columns = tuple(ColumnSpec(name=name, type=kind) for name, kind in self.kinds.items())
        return ContractSpec(name=self.table, columns=columns) if columns else None

    def refuse(self, written: Written, checks: Sequence[str]) -> tuple[Operation, ...]:
        """Refuse what was written where a value is none of its column's type.

        ``checks`` are those of the mask's bits.

        Raises:
            Invalid: ``schema-type-conflict``.
        """
        spec = self.spec()
        if written.rejected is None or spec is None:
            return ()
        first = min(written.rejected.slice(0, _LOOKED_AT).to_pylist(), key=_place)
        broken = {check for bit, check in enumerate(checks) if first["_mask"] >> bit & 1}
        name = next(name for name in self.kinds if spec.typed(name).name in broken)
        place, others = first["_position"], written.rejected.num_rows - 1
        rows = "row does" if others == 1 else "rows do"
        raise Invalid(
            "schema-type-conflict",
            f"{place or 'A row'} has {value_kind(first[_RAW + name])} in {name}, which is "
            f"{self.kinds[name]} in table {self.table!r}"
            + (f"; {others:,} more {rows} not fit." if others else "."),
            hint=ways_out(self.table, has_contract=False),
            table=self.table,
            column=name,
            stored=self.kinds[name],
            position=place,
        )


def kept_types(
    table: str,
    rows: NativeFiles | pa.Table | pa.RecordBatchReader,
    given: pa.Schema,
    present: pa.Schema,
) -> KeptTypes:
    """Find what must be read as the table's types: texts of files, and numbers from elsewhere."""
    stored, came = type_texts(present), type_texts(given)
    differing = {
        name: stored[name]
        for name, kind in came.items()
        if stored.get(name, kind) != kind and not _fits(kind, stored[name])
    }
    if not isinstance(rows, NativeFiles):
        both = {n: k for n, k in differing.items() if _is_number(k) and _is_number(came[n])}
        return KeptTypes(table=table, kinds=both, rows=rows)
    if any(part.format != "csv" for part in rows.parts):
        return KeptTypes(table=table, kinds={}, rows=rows)
    if any(part.options.get(option) for part in rows.parts for option in _FORMATS):
        differing = {n: kind for n, kind in differing.items() if kind == "string"}
    kinds = {n: kind for n, kind in differing.items() if kind != "string" and not is_nested(kind)}
    return KeptTypes(table=table, kinds=kinds, rows=_as_text(rows, frozenset(differing)))


def value_kind(value: object) -> str:
    """Say what a value looks like, without saying it."""
    if not isinstance(value, str):
        return "a number that it cannot hold"
    found = (kind for kind, pattern in _KINDS.items() if pattern.fullmatch(value))
    return next(found, "a text")


def ways_out(table: str, *, has_contract: bool) -> str:
    """Say what can be done where a table has another type than what comes to it."""
    anew = f'one run with mode="replace" loads all of {table} anew'
    if has_contract:
        return f"Declare the type that the table has; or change the table: {anew}."
    return (
        "Mend it where it comes from; or give the step a contract, which sets such rows aside; or "
        f"have a wider column: {anew}."
    )


def _fits(given: str, stored: str) -> bool:
    """Whether a table takes a column of a type as it is, or by widening its own."""
    whole = given in {"int", "long"} and stored.startswith("decimal(")
    return whole or given == "null" or (given, stored) in _TO_THE_TABLE


def _is_number(kind: str) -> bool:
    return _NUMBERS.fullmatch(kind) is not None


def is_nested(kind: str) -> bool:
    """Whether a type's text is that of a list, a map or a struct."""
    return "<" in kind


def _as_text(files: NativeFiles, names: frozenset[str]) -> NativeFiles:
    parts = [replace(part, options=_text_options(part, names), also=()) for part in files.parts]
    return replace(parts[0], also=tuple(parts[1:]))


def _text_options(part: NativeFiles, names: frozenset[str]) -> dict[str, object]:
    columns: dict[str, str] = dict(part.options.get("columns") or {})  # type: ignore[call-overload]
    texts = {name: "VARCHAR" if name in names else kind for name, kind in columns.items()}
    return {**part.options, "columns": texts}


def _place(row: Mapping[str, object]) -> tuple[str, int]:
    path, _, line = str(row["_position"] or "").rpartition(":")
    return (path, int(line)) if line.isdecimal() else (line, 0)
