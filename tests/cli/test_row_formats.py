import csv
import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from screens import terminal

from headgate.cli.row_formats import write_rows
from headgate.cli.tables import aligned
from headgate.errors import Refused

ROWS = pa.table(
    {
        "name": ["Ada", None, 'a,b\n"c"'],
        "count": [1, 22, None],
        "price": pa.array([Decimal("1.50"), None, Decimal("0.10")], pa.decimal128(9, 2)),
        "day": [date(2026, 1, 1), None, None],
        "at": pa.array([datetime(2026, 1, 1, tzinfo=UTC), None, None], pa.timestamp("us", "UTC")),
        "tags": [["x", "y"], None, []],
        "raw": [b"\x00\xff", None, b""],
    }
)


class Bytes(io.TextIOWrapper):
    def __init__(self):
        super().__init__(io.BytesIO(), encoding="utf-8", newline="")

    def written(self):
        self.flush()
        return self.buffer.getvalue()


def written(form, rows=ROWS, limit=None, live=False):
    screen = terminal(live=live)
    screen.out = Bytes()
    batches = rows.to_batches(max_chunksize=2)
    cut = write_rows(
        pa.RecordBatchReader.from_batches(rows.schema, batches), form, screen, limit=limit
    )
    return screen.out.written(), cut


def test_a_table_is_aligned_and_has_a_line_per_row():
    text, cut = written("table")
    lines = text.decode().splitlines()
    assert not cut
    assert lines == [
        "name      count  price  day         at                         tags       raw",
        'Ada           1   1.50  2026-01-01  2026-01-01 00:00:00+00:00  ["x","y"]  0x00ff',
        "null         22   null  null        null                       null       null",
        'a,b\\n"c"   null   0.10  null        null                       []         0x',
    ]


def test_csv_is_read_back_by_any_reader():
    text, _ = written("csv")
    rows = list(csv.reader(io.StringIO(text.decode())))
    assert rows[0] == ROWS.column_names
    assert rows[3][0] == 'a,b\n"c"'
    assert rows[1][5:] == ['["x","y"]', "00ff"]


def test_json_is_one_document_and_json_lines_a_document_a_line():
    expected = {
        "name": "Ada",
        "count": 1,
        "price": "1.50",
        "day": "2026-01-01",
        "at": "2026-01-01T00:00:00Z",
        "tags": ["x", "y"],
        "raw": "AP8=",
    }
    assert json.loads(written("json")[0])[0] == expected
    lines = written("jsonl")[0].decode().splitlines()
    assert len(lines) == 3
    assert json.loads(lines[0]) == expected


@pytest.mark.parametrize("form", ["table", "csv", "json", "jsonl", "parquet"])
def test_no_rows_are_a_result_too(form):
    text, cut = written(form, ROWS.slice(0, 0))
    assert not cut
    if form == "json":
        assert json.loads(text) == []
    elif form == "parquet":
        assert pq.read_table(pa.BufferReader(text)).num_rows == 0
    else:
        assert len(text.decode().splitlines()) == (0 if form == "jsonl" else 1)


def test_parquet_holds_the_rows_as_they_are():
    assert pq.read_table(pa.BufferReader(written("parquet")[0])).equals(ROWS)


def test_parquet_does_not_go_to_a_terminal():
    with pytest.raises(Refused):
        written("parquet", live=True)


@pytest.mark.parametrize(("limit", "lines", "cut"), [(1, 1, True), (2, 2, True), (3, 3, False)])
def test_a_limit_says_whether_there_was_more(limit, lines, cut):
    text, was_cut = written("jsonl", limit=limit)
    assert (len(text.splitlines()), was_cut) == (lines, cut)


def test_columns_are_cut_only_to_fit():
    rows = [("a" * 30, 1), ("b", 22)]
    assert list(aligned(["long", "n"], rows, right=["n"])) == [
        "long                             n",
        "a" * 30 + "   1",
        "b                               22",
    ]
    narrow = list(aligned(["long", "n"], rows, right=["n"], width=14))
    assert narrow == ["long         n", "aaaaaaaaa…   1", "b           22"]
    assert all(len(line) <= 14 for line in narrow)


def test_wide_letters_take_two_columns():
    lines = list(aligned(["name", "n"], [("東京", 1), ("Oslo", 2)], right=["n"]))
    assert lines == ["name  n", "東京  1", "Oslo  2"]


def test_later_wider_values_are_not_lost():
    rows = [("a",)] * 300 + [("wider",)]
    assert list(aligned(["x"], rows))[-1] == "wider"
