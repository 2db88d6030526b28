"""Excel workbooks: each cell in its own type, and columns of several kinds as exact texts."""

# ruff: noqa: DTZ001 - a workbook's instants have no zone

import struct
from datetime import date, datetime, time, timedelta
from pathlib import Path

import openpyxl
import pandas as pd
import pyarrow as pa
import pytest
from reading_files import batches, failure, rows

from headgate.source_columns import POSITION


def book(path: Path, **sheets: list[list]) -> None:
    made = openpyxl.Workbook()
    made.remove(made.active)
    for name, lines in sheets.items():
        sheet = made.create_sheet(name)
        for line in lines:
            sheet.append(line)
    made.save(path)


def kinds(root: Path, **options: object) -> dict[str, pa.DataType]:
    [batch] = batches(root, "a.xlsx", **options)
    schema = batch.rows.schema
    return {field.name: field.type for field in schema if field.name != POSITION}


def test_columns_of_one_kind_have_its_type(tmp_path):
    line = [1, 1.5, True, "x", date(2026, 1, 2), datetime(2026, 1, 2, 3, 4, 5), time(6, 7, 8)]
    names = ["int", "float", "bool", "text", "date", "instant", "time"]
    book(tmp_path / "a.xlsx", data=[names, line, [None] * 7, [2, 2, False, "007", *line[4:]]])
    assert kinds(tmp_path) == dict(
        zip(
            names,
            [
                pa.int64(),
                pa.float64(),
                pa.bool_(),
                pa.string(),
                pa.date32(),
                pa.timestamp("us"),
                pa.time64("us"),
            ],
            strict=True,
        )
    )
    found = rows(tmp_path, "a.xlsx")
    assert list(found[0].values()) == line
    assert found[1]["text"] == "007"


@pytest.mark.parametrize(
    ("cells", "texts"),
    [
        ([1, "x"], ["1", "x"]),
        ([1.5, "x"], ["1.5", "x"]),
        ([0.1, True], ["0.1", "true"]),
        ([False, 0], ["false", "0"]),
        ([date(2026, 1, 2), "n/a"], ["2026-01-02", "n/a"]),
        ([datetime(2026, 1, 2, 3, 4, 5), 7], ["2026-01-02 03:04:05", "7"]),
        ([time(1, 2, 3), date(2026, 1, 2)], ["01:02:03", "2026-01-02"]),
        ([timedelta(hours=30, seconds=1), timedelta(minutes=1)], ["30:00:01", "00:01:00"]),
        ([2.0**60, "x"], ["1.152921504606847e+18", "x"]),
    ],
)
def test_a_column_of_several_kinds_is_text_and_loses_nothing(tmp_path, cells, texts):
    book(tmp_path / "a.xlsx", data=[["a", "b"], *([cell, 1] for cell in cells)])
    assert kinds(tmp_path) == {"a": pa.string(), "b": pa.int64()}
    assert [row["a"] for row in rows(tmp_path, "a.xlsx")] == texts


def test_dates_and_instants_in_one_column_are_instants(tmp_path):
    cells = [date(2026, 1, 2), datetime(2026, 1, 2, 3, 4, 5)]
    book(tmp_path / "a.xlsx", data=[["a"], *([cell] for cell in cells)])
    assert rows(tmp_path, "a.xlsx") == [{"a": datetime(2026, 1, 2)}, {"a": cells[1]}]


def test_the_same_rows_as_pandas_reads(tmp_path):
    frame = pd.DataFrame(
        {
            "id": range(3000),
            "x": [n / 3 for n in range(3000)],
            "when": pd.date_range("1950-01-01", periods=3000, freq="13h"),
            "name": [f"n{n}" if n % 3 else None for n in range(3000)],
        }
    )
    frame.to_excel(tmp_path / "a.xlsx", index=False)
    theirs = pd.read_excel(tmp_path / "a.xlsx", engine="openpyxl").astype(object)
    ours = pd.DataFrame(rows(tmp_path, "a.xlsx"))
    assert ours["id"].tolist() == theirs["id"].tolist()
    assert ours["x"].tolist() == theirs["x"].tolist()
    assert ours["name"].fillna("").tolist() == theirs["name"].fillna("").tolist()
    apart = (ours["when"] - pd.to_datetime(theirs["when"])).abs()
    assert apart.max() < pd.Timedelta(milliseconds=1)


def test_a_sheet_is_named_by_name_or_number_where_there_are_several(tmp_path):
    book(tmp_path / "a.xlsx", one=[["a"], [1]], two=[["a"], [2]], empty=[])
    assert rows(tmp_path, "a.xlsx", sheet="two") == [{"a": 2}]
    assert rows(tmp_path, "a.xlsx", sheet=1) == [{"a": 1}]
    error = failure(tmp_path, "a.xlsx")
    assert error.code == "excel-sheet-unsaid"
    assert "one, two" in error.message
    assert failure(tmp_path, "a.xlsx", sheet=0).code == "bad-option"
    for missing in ("three", 4):
        assert failure(tmp_path, "a.xlsx", sheet=missing).code == "excel-sheet-missing"
    assert failure(tmp_path, "a.xlsx", sheet=True).code == "bad-option"


def test_the_only_sheet_that_holds_anything_needs_no_name(tmp_path):
    book(tmp_path / "a.xlsx", empty=[], data=[["a"], [1]])
    assert rows(tmp_path, "a.xlsx") == [{"a": 1}]


GRID = [
    [None, "Report of all", None, None],
    [],
    [None, "id", "name", "x"],
    [None, 1, "a", 10],
    [],
    [None, 2, "b", 20],
    [None, "Total", None, 30],
]


@pytest.mark.parametrize("area", ["B3:D6", "b3:c6", "$B$3:$D$6"])
def test_a_range_says_which_cells_are_meant(tmp_path, area):
    book(tmp_path / "a.xlsx", data=GRID)
    found = rows(tmp_path, "a.xlsx", range=area)
    assert [(row["id"], row["name"]) for row in found] == [(1, "a"), (2, "b")]


def test_lines_above_the_header_are_skipped_and_rows_keep_their_numbers(tmp_path):
    book(tmp_path / "a.xlsx", data=GRID)
    [batch] = batches(tmp_path, "a.xlsx", skip=2)
    assert batch.rows.column_names == ["id", "name", "x", POSITION]
    assert batch.rows["id"].to_pylist() == ["1", "2", "Total"]
    assert batch.rows[POSITION].to_pylist() == [
        "a.xlsx!data:4",
        "a.xlsx!data:6",
        "a.xlsx!data:7",
    ]
    assert rows(tmp_path, "a.xlsx", range="B4:D6", header=False, columns=["i", "n", "x"]) == [
        {"i": 1, "n": "a", "x": 10},
        {"i": 2, "n": "b", "x": 20},
    ]


@pytest.mark.parametrize("area", ["B3", "", "B3:C4:D5", "B0:C1", "ABCD:E", 5])
def test_a_range_that_is_none_is_refused(tmp_path, area):
    book(tmp_path / "a.xlsx", data=GRID)
    assert failure(tmp_path, "a.xlsx", range=area).code == "bad-option"


def test_columns_without_a_name_are_kept_if_they_hold_anything(tmp_path):
    book(tmp_path / "a.xlsx", data=[["a", None, None, "d"], [1, 2, None, 3, 4]])
    assert rows(tmp_path, "a.xlsx") == [{"a": 1, "column1": 2, "d": 3, "column4": 4}]


def test_two_columns_of_one_name_are_refused(tmp_path):
    book(tmp_path / "a.xlsx", data=[["a", "A"], [1, 2]])
    assert failure(tmp_path, "a.xlsx").code == "ambiguous-column-name"
    assert rows(tmp_path, "a.xlsx", columns=["a", "b"]) == [{"a": 1, "b": 2}]
    assert failure(tmp_path, "a.xlsx", columns=["a"]).code == "columns-differ"


def test_a_formula_has_its_stored_value(tmp_path):
    xlsxwriter = pytest.importorskip("xlsxwriter")
    made = xlsxwriter.Workbook(tmp_path / "a.xlsx")
    sheet = made.add_worksheet()
    sheet.write_row(0, 0, ["a", "sum"])
    sheet.write_number(1, 0, 1)
    sheet.write_formula(1, 1, "=A2+1", None, 2)
    made.close()
    assert rows(tmp_path, "a.xlsx") == [{"a": 1, "sum": 2}]


def test_an_empty_workbook_has_no_rows(tmp_path):
    book(tmp_path / "a.xlsx", data=[])
    assert rows(tmp_path, "a.xlsx") == []
    book(tmp_path / "a.xlsx", data=[["a", "b"]])
    assert rows(tmp_path, "a.xlsx") == []


def test_what_is_no_workbook_is_named(tmp_path):
    book(tmp_path / "b.xlsx", data=GRID)
    whole = (tmp_path / "b.xlsx").read_bytes()
    for damaged in (b"", b"no workbook", whole[:-100], whole[: len(whole) // 2]):
        (tmp_path / "a.xlsx").write_bytes(damaged)
        error = failure(tmp_path, "a.xlsx")
        assert error.code == "file-damaged"
        assert "a.xlsx" in error.message


def encrypted() -> bytes:
    """Give what Office makes of a workbook with a password: a compound file with one stream."""
    free, end, is_table = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD

    def entry(name: str, kind: int, child: int) -> bytes:
        raw = name.encode("utf-16-le")
        links = struct.pack("<BBIII", kind, 1, free, free, child)
        rest = bytes(36) + struct.pack("<IQ", end, 0)
        return raw.ljust(64, b"\0") + struct.pack("<H", len(raw) + 2) + links + rest

    head = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(16)
    head += struct.pack("<HHHHH6x", 0x3E, 3, 0xFFFE, 9, 6)
    head += struct.pack("<IIIIIIIIII", 0, 1, 1, 0, 4096, end, 0, end, 0, 0)
    table = struct.pack("<II", is_table, end)
    entries = entry("Root Entry", 5, 1) + entry("EncryptedPackage", 2, free)
    return head.ljust(512, b"\xff") + table.ljust(512, b"\xff") + entries.ljust(512, b"\0")


def test_a_workbook_with_a_password_is_named(tmp_path):
    (tmp_path / "a.xlsx").write_bytes(encrypted())
    error = failure(tmp_path, "a.xlsx")
    assert error.code == "file-encrypted"
    assert "a.xlsx" in error.message
