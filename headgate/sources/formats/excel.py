"""Excel workbooks (and OpenDocument's): a sheet's cells, each in its own type.

A column whose cells are of one kind has that type. One of several kinds is text, each value written
exactly: nothing is cast, nothing lost. A formula's value is the one stored with it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Self, TypeAlias

import pyarrow as pa
import python_calamine as calamine

from headgate.errors import Corrupt, Invalid, NotFound, Refused
from headgate.source_columns import POSITION
from headgate.sources.formats.options import area, count, flag, one_of_several
from headgate.sources.formats.options import names as columns_said
from headgate.sources.formats.packing import refuse_changed, unpacked
from headgate.sources.formats.pieces import PIECE_ROWS, Piece
from headgate.sources.formats.raw_file import RawFile

_Cell: TypeAlias = "int | float | str | bool | time | date | datetime | timedelta"
_WHOLE = 2**53  # from here on a double does not hold each whole number
_LETTERS = 26
_TYPES: Mapping[frozenset[str], pa.DataType] = {
    frozenset({"bool"}): pa.bool_(),
    frozenset({"int"}): pa.int64(),
    frozenset({"float"}): pa.float64(),
    frozenset({"int", "float"}): pa.float64(),
    frozenset({"date"}): pa.date32(),
    frozenset({"datetime"}): pa.timestamp("us"),
    frozenset({"date", "datetime"}): pa.timestamp("us"),
    frozenset({"time"}): pa.time64("us"),
}


def read(file: RawFile, options: Mapping[str, object], after: int) -> Iterator[Piece]:
    """Give the rows of a sheet; the sheet is in memory whole. Rows without a value are none.

    Raises:
        Corrupt: ``file-damaged``.
        Invalid: ``bad-option``, ``excel-sheet-unsaid``, ``ambiguous-column-name``,
            ``columns-differ``.
        NotFound: ``excel-sheet-missing``.
        Refused: ``file-encrypted``.
    """
    within = _Area.of(area(options, "range"))
    sheet = _sheet(file, one_of_several(options, "sheet"))
    names, body = _header(file, sheet, within, options)
    kinds = _kinds(sheet, within, body)
    columns = _columns(names, kinds)
    place = f"{file.shown}!{sheet.name}"
    types = [_TYPES.get(frozenset(kinds.get(at, ())), pa.string()) for at in columns]
    schema = pa.schema([*zip(columns.values(), types, strict=True), (POSITION, pa.string())])
    done, rows, positions = 0, list[list[_Cell]](), list[str]()
    for number, cells in _rows(sheet, within, body):
        done += 1
        if done <= after:
            continue
        rows.append(cells)
        positions.append(f"{place}:{number}")
        if len(rows) == PIECE_ROWS:
            yield Piece(rows=_table(schema, columns, rows, positions), records=done)
            rows, positions = [], []
    if rows or done <= after:
        yield Piece(rows=_table(schema, columns, rows, positions), records=done)


@dataclass(frozen=True, slots=True)
class _Area:
    """Columns and rows that are meant, counted from 0; an end of None is the sheet's."""

    left: int = 0
    top: int = 0
    right: int | None = None
    bottom: int | None = None

    @classmethod
    def of(cls, corners: tuple[str, str, str, str] | None) -> Self:
        if corners is None:
            return cls()
        left, top, right, bottom = corners
        return cls(
            left=_column(left) if left else 0,
            top=max(int(top or 1) - 1, 0),
            right=_column(right) if right else None,
            bottom=int(bottom) - 1 if bottom else None,
        )


def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * _LETTERS + ord(letter) - ord("A") + 1
    return number - 1


# -- the sheet


def _sheet(file: RawFile, wanted: int | str | None) -> calamine.CalamineSheet:
    try:
        there = unpacked(file)
        book = calamine.CalamineWorkbook.from_path(str(there.path))
        refuse_changed(there)
        return book.get_sheet_by_name(_sheet_name(file, book, wanted))
    except calamine.PasswordError as error:
        raise Refused(
            "file-encrypted",
            f"{file.shown} is protected by a password.",
            hint="Save it without one.",
            path=file.shown,
        ) from error
    except (calamine.CalamineError, OSError) as error:
        raise Corrupt(
            "file-damaged",
            f"{file.shown} is no whole workbook: {error}",
            hint="Fetch the file again.",
            path=file.shown,
        ) from error


def _sheet_name(file: RawFile, book: calamine.CalamineWorkbook, wanted: object) -> str:
    names = book.sheet_names
    if isinstance(wanted, int) and 1 <= wanted <= len(names):
        return names[wanted - 1]
    if wanted is None:
        full = [
            each.name
            for each in book.sheets_metadata
            if each.typ == calamine.SheetTypeEnum.WorkSheet
            and each.visible == calamine.SheetVisibleEnum.Visible
            and (len(names) == 1 or book.get_sheet_by_name(each.name).height)
        ] or names[:1]
        if len(full) == 1:
            return full[0]
        raise Invalid(
            "excel-sheet-unsaid",
            f"{file.shown} has {len(full)} sheets: {', '.join(full[:10])}.",
            hint=f'Say which: sheet="{full[0]}".' if full else None,
            sheets=full,
        )
    if wanted in names:
        return str(wanted)
    raise NotFound(
        "excel-sheet-missing",
        f"{file.shown} has no sheet {wanted!r}; there are: {', '.join(names[:10])}.",
        path=file.shown,
        sheet=str(wanted),
    )


def _cells(sheet: calamine.CalamineSheet, area: _Area) -> Iterator[tuple[int, list[_Cell]]]:
    """Give the rows of an area that hold anything, each with its number from 0."""
    if sheet.start is None:
        return
    above, before = sheet.start
    for number, cells in enumerate(sheet.iter_rows(), above):
        if number < area.top:
            continue
        if area.bottom is not None and number > area.bottom:
            return
        wide = [""] * before + cells
        row = wide[area.left : None if area.right is None else area.right + 1]
        if any(cell != "" for cell in row):
            yield number, row


def _rows(
    sheet: calamine.CalamineSheet, area: _Area, body: int
) -> Iterator[tuple[int, list[_Cell]]]:
    """Give the rows below the header, each with its number as Excel shows it."""
    for number, row in _cells(sheet, area):
        if number >= body:
            yield number + 1, row


# -- columns


def _header(
    file: RawFile,
    sheet: calamine.CalamineSheet,
    area: _Area,
    options: Mapping[str, object],
) -> tuple[Sequence[str], int]:
    """Give the columns' names, empty where there is none, and the first row of the body."""
    header, declared = flag(options, "header") is not False, columns_said(options, "columns")
    skip = count(options, "skip")
    top = max(area.top, skip)
    number, first = next(
        ((number, row) for number, row in _cells(sheet, area) if number >= top), (top, [])
    )
    names = [_text(cell) if cell != "" else "" for cell in first] if header else []
    if declared is not None:
        if len(declared) < len(first):
            raise Invalid(
                "columns-differ",
                f"{file.shown} has {len(first)} columns, and columns= names {len(declared)}.",
                path=file.shown,
            )
        names = list(declared)
    names = [name.strip() for name in names]
    seen: set[str] = set()
    for name in filter(None, names):
        if name.lower() in seen:
            raise Invalid(
                "ambiguous-column-name",
                f"{file.shown}!{sheet.name} has two columns named {name!r} (capital letters do not "
                "count).",
                hint="Name them yourself: columns=[...].",
                path=file.shown,
                column=name,
            )
        seen.add(name.lower())
    return names, number + (1 if header else 0)


def _kinds(sheet: calamine.CalamineSheet, area: _Area, body: int) -> Mapping[int, set[str]]:
    """Give the kinds of values in each column that has any."""
    kinds: dict[int, set[str]] = {}
    for _, row in _rows(sheet, area, body):
        for at, cell in enumerate(row):
            if cell != "":
                kinds.setdefault(at, set()).add(_kind(cell))
    return kinds


def _columns(names: Sequence[str], kinds: Mapping[int, set[str]]) -> Mapping[int, str]:
    """Give the columns that have a name or a value, named."""
    width = max(len(names), max(kinds, default=-1) + 1)
    said = {at: names[at] if at < len(names) else "" for at in range(width)}
    return {at: name or f"column{at}" for at, name in said.items() if name or at in kinds}


def _kind(cell: _Cell) -> str:
    if isinstance(cell, float):
        return "int" if cell.is_integer() and abs(cell) <= _WHOLE else "float"
    return type(cell).__name__


def _table(
    schema: pa.Schema,
    columns: Mapping[int, str],
    rows: Sequence[Sequence[_Cell]],
    positions: Sequence[str],
) -> pa.Table:
    arrays = []
    for at, field in zip(columns, schema, strict=False):
        values = [row[at] if at < len(row) else "" for row in rows]
        arrays.append(pa.array([_value(value, field.type) for value in values], field.type))
    return pa.table([*arrays, pa.array(positions, pa.string())], schema=schema)


def _value(cell: _Cell, kind: pa.DataType) -> object:
    if cell == "" and isinstance(cell, str):
        return None
    if pa.types.is_string(kind):
        return _text(cell)
    if pa.types.is_int64(kind) and isinstance(cell, float):
        return int(cell)
    if pa.types.is_timestamp(kind) and not isinstance(cell, datetime) and isinstance(cell, date):
        return datetime.combine(cell, time())
    return cell


def _text(cell: _Cell) -> str:
    """Write a value as text, exactly."""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        return str(int(cell)) if _kind(cell) == "int" else repr(cell)
    if isinstance(cell, datetime):
        return cell.isoformat(sep=" ")
    if isinstance(cell, (date, time)):
        return cell.isoformat()
    if isinstance(cell, timedelta):
        minutes, seconds = divmod(abs(cell).total_seconds(), 60)
        hours, minutes = divmod(int(minutes), 60)
        sign = "-" if cell < timedelta() else ""
        return f"{sign}{hours:02}:{minutes:02}:{seconds:02g}"
    return str(cell)
