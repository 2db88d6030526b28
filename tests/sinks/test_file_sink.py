"""Files as sinks: whole at every moment, the same again when repeated, read by other libraries."""

import csv
import gzip
import io
import json
import math
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headgate.errors import Conflict, Corrupt, Invalid, Refused, Unavailable
from headgate.secrets import Secret
from headgate.sinks import Delivery, Position, Setting, TableDelivery
from headgate.sinks.files.file_sink import FileSink

ROWS = pa.table(
    {
        "id": pa.array([1, 2, None], pa.int64()),
        "name": pa.array(['Zoë, "quoted"\nline', "", None]),
        "amount": pa.array([Decimal("12345678901234567.89"), Decimal("0.10"), None]),
        "ratio": pa.array([1.5, math.nan, -math.inf]),
        "at": pa.array(
            [datetime(2026, 11, 20, 1, 2, 3, 456000, UTC), None, None], pa.timestamp("us", "UTC")
        ),
        "day": pa.array([date(2026, 2, 28), None, date(1, 1, 1)]),
        "tags": pa.array([["a", "b"], [], None], pa.list_(pa.string())),
        "raw": pa.array([b"\x00\xff", b"", None], pa.binary()),
        "good": pa.array([True, False, None]),
    }
)


def position(number: int) -> Position:
    return Position(commit=f"{number:064x}", number=number, tables=(("t", "t"),))


def table(rows: pa.Table, effect: str = "replace", to: str = "t") -> TableDelivery:
    return TableDelivery(
        table="t", to=to, effect=effect, schema=rows.schema, rows=lambda: rows.to_reader(2)
    )


def delivery(number: int, *tables: TableDelivery) -> Delivery:
    return Delivery(
        position=position(number),
        after=position(number - 1) if number > 1 else None,
        published=datetime(2026, 11, 20, tzinfo=UTC),
        branch="main",
        tables=tables,
    )


@pytest.fixture
def sink(tmp_path: Path) -> Callable[..., FileSink]:
    def make(form: str = "csv", lake: str = "the-lake", **options: object) -> FileSink:
        setting = Setting(name="share", lake=lake, root=tmp_path, cache=tmp_path / "cache")
        return FileSink({"directory": "out", "format": form, **options}, setting)

    return make


def files(root: Path) -> list[str]:
    """Name what readers see."""
    below = (root / "out").rglob("*")
    return sorted(
        path.relative_to(root / "out").as_posix()
        for path in below
        if path.is_file() and ".headgate-" not in str(path)
    )


def test_parquet_is_what_another_library_reads(sink, tmp_path):
    sink("parquet").deliver(delivery(1, table(ROWS)))
    read = pq.read_table(tmp_path / "out/t.parquet")
    assert read.schema.equals(ROWS.schema)
    assert repr(read.to_pylist()) == repr(ROWS.to_pylist())
    assert (
        pl.read_parquet(tmp_path / "out/t.parquet")["amount"].to_list()
        == ROWS["amount"].to_pylist()
    )


def test_csv_tells_null_from_empty_and_keeps_every_character(sink, tmp_path):
    assert sink("csv").deliver(delivery(1, table(ROWS))) == {"t": 3}
    text = (tmp_path / "out/t.csv").read_text("utf-8")
    header, *rows = list(csv.reader(io.StringIO(text)))
    assert header == ROWS.column_names
    assert rows[0][:3] == ["1", 'Zoë, "quoted"\nline', "12345678901234567.89"]
    assert json.loads(rows[0][6]) == ["a", "b"]
    assert text.splitlines()[3].startswith('2,"",0.10')
    assert text.splitlines()[4].startswith(",,,-inf")


@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_json_holds_every_value(sink, tmp_path, form):
    sink(form).deliver(delivery(1, table(ROWS)))
    text = (tmp_path / f"out/t.{form}").read_text("utf-8")
    rows = (
        json.loads(text, parse_float=Decimal)
        if form == "json"
        else [json.loads(line, parse_float=Decimal) for line in text.splitlines()]
    )
    assert len(rows) == 3
    assert rows[0]["name"] == 'Zoë, "quoted"\nline'
    assert rows[0]["amount"] == Decimal("12345678901234567.89")
    assert rows[1]["ratio"] == "NaN"
    assert rows[2]["ratio"] == "-Infinity"
    assert rows[0]["tags"] == ["a", "b"]
    assert rows[2]["name"] is None


def test_a_table_without_rows_is_a_file_of_its_format(sink, tmp_path):
    none = ROWS.slice(0, 0)
    for form in ("csv", "json", "jsonl", "parquet", "excel"):
        assert sink(form, directory=form).deliver(delivery(1, table(none))) == {"t": 0}
    assert json.loads((tmp_path / "json/t.json").read_text()) == []
    assert (tmp_path / "jsonl/t.jsonl").read_bytes() == b""
    assert pq.read_table(tmp_path / "parquet/t.parquet").schema.equals(ROWS.schema)
    assert (tmp_path / "csv/t.csv").read_text().splitlines()[0].startswith('"id"')


def test_a_workbook_loses_no_digit(sink, tmp_path):
    calamine = pytest.importorskip("python_calamine")
    sink("excel").deliver(delivery(1, table(ROWS)))
    sheet = calamine.CalamineWorkbook.from_path(str(tmp_path / "out/t.xlsx")).get_sheet_by_index(0)
    header, first, second, third = sheet.to_python(skip_empty_area=False)
    assert header == ROWS.column_names
    assert first[0] == 1
    assert first[2] == "12345678901234567.89"
    assert second[2] == pytest.approx(0.1)
    assert second[3] == "nan"
    assert first[4] == datetime(2026, 11, 20, 1, 2, 3, 456000, UTC).replace(tzinfo=None)
    assert first[5] == date(2026, 2, 28)
    assert json.loads(first[6]) == ["a", "b"]
    assert third[0] == ""


def test_texts_are_no_formulas_and_no_links(sink, tmp_path):
    calamine = pytest.importorskip("python_calamine")
    rows = pa.table({"a": ["=1+1", "http://127.0.0.1/"]})
    sink("excel").deliver(delivery(1, table(rows)))
    sheet = calamine.CalamineWorkbook.from_path(str(tmp_path / "out/t.xlsx")).get_sheet_by_index(0)
    assert sheet.to_python() == [["a"], ["=1+1"], ["http://127.0.0.1/"]]


def test_a_workbook_refuses_what_it_cannot_hold(sink, tmp_path):
    with pytest.raises(Refused, match="40,000 characters"):
        sink("excel").deliver(delivery(1, table(pa.table({"a": ["x" * 40_000]}))))
    assert files(tmp_path) == []
    assert sink("excel").position() is None


def test_packed_files_of_equal_rows_are_equal(sink, tmp_path):
    for turn in ("one", "two"):
        sink("csv", directory=turn, compression="gzip").deliver(delivery(1, table(ROWS)))
    one, two = ((tmp_path / turn / "t.csv.gz").read_bytes() for turn in ("one", "two"))
    assert one == two
    assert gzip.decompress(one).startswith(b'"id"')


def test_inserts_are_a_file_a_commit_and_repeated_the_same(sink, tmp_path):
    share = sink("csv")
    share.deliver(delivery(1, table(ROWS, "insert")))
    share.deliver(delivery(2, table(ROWS.slice(0, 1), "insert")))
    there = files(tmp_path)
    assert there == ["t/00000001-000000000000.csv", "t/00000002-000000000000.csv"]
    share.place(position(1))  # as if the last word had been lost
    share.deliver(delivery(2, table(ROWS.slice(0, 1), "insert")))
    assert files(tmp_path) == there


def test_the_position_is_that_of_the_files(sink, tmp_path):
    share = sink()
    assert share.position() is None
    share.deliver(delivery(1, table(ROWS)))
    assert sink().position() == position(1)
    with pytest.raises(Conflict, match="not nothing"):
        sink().deliver(delivery(1, table(ROWS)))
    share.deliver(delivery(2))
    assert sink().position() == position(2)
    share.place(None)
    assert sink().position() is None
    assert files(tmp_path) == ["t.csv"]


def test_a_dropped_table_takes_its_file_along(sink, tmp_path):
    share = sink()
    share.deliver(delivery(1, table(ROWS), table(ROWS, to="u")))
    share.deliver(delivery(2, table(ROWS, "drop", to="u")))
    assert files(tmp_path) == ["t.csv"]


def test_files_of_another_lake_are_left_alone(sink):
    sink().deliver(delivery(1, table(ROWS)))
    with pytest.raises(Refused, match="another lake"):
        sink(lake="a-clone").position()


def test_an_unreadable_position_says_so(sink, tmp_path):
    sink().deliver(delivery(1, table(ROWS)))
    (tmp_path / "out/.headgate-share.json").write_text("{")
    with pytest.raises(Corrupt, match="how far"):
        sink().position()


def test_a_failing_reader_changes_nothing(sink, tmp_path):
    share = sink()
    share.deliver(delivery(1, table(ROWS)))
    before = (tmp_path / "out/t.csv").read_bytes()

    def broken() -> pa.RecordBatchReader:
        def batches():
            yield from ROWS.slice(0, 1).to_batches()
            raise Unavailable("gone", "The file went.")

        return pa.RecordBatchReader.from_batches(ROWS.schema, batches())

    bad = TableDelivery(table="u", to="u", effect="replace", schema=ROWS.schema, rows=broken)
    with pytest.raises(Exception, match="went"):
        share.deliver(delivery(2, table(ROWS.slice(0, 1)), bad))
    assert (tmp_path / "out/t.csv").read_bytes() == before
    assert files(tmp_path) == ["t.csv"]
    assert not (tmp_path / "out/.headgate-share.staging").exists()


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", " x"])
def test_a_name_that_leads_elsewhere_is_refused(sink, name):
    with pytest.raises(Refused, match="no name for a file"):
        sink().deliver(delivery(1, table(ROWS, to=name)))


def test_rows_by_key_are_refused_with_the_way_out(sink):
    with pytest.raises(Refused, match="no keys") as refused:
        sink().deliver(delivery(1, table(ROWS, "upsert")))
    assert 'mode="replace"' in (refused.value.hint or "")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"format": "cvs"}, "csv"),
        ({"directory": ""}, "names no directory"),
        ({"folder": "x"}, "no option 'folder'"),
        ({"format": "parquet", "compression": "gzip"}, "has its own"),
    ],
)
def test_wrong_options_are_named(tmp_path, options, said):
    setting = Setting(name="share", lake="l", root=tmp_path, cache=tmp_path)
    with pytest.raises(Invalid, match=said):
        FileSink({"directory": "out", **options}, setting)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_may_not_be_written_is_named(sink, tmp_path):
    (tmp_path / "out").mkdir(mode=0o500)
    with pytest.raises(Unavailable, match="out"):
        sink().deliver(delivery(1, table(ROWS)))


def test_a_file_in_the_directorys_place_is_named(sink, tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(Unavailable, match="out"):
        sink().deliver(delivery(1, table(ROWS)))


def test_a_bucket_has_the_same_files(sink, tmp_path, object_server):
    import obstore
    from obstore.store import S3Store

    from headgate.testing.object_servers import make_bucket

    bucket = "shared-files"
    make_bucket(object_server.endpoint, bucket)
    reached = {
        "directory": f"s3://{bucket}/share/a",
        "endpoint": object_server.endpoint,
        "allow_http": True,
        "region": "us-east-1",
        "access_key_id": Secret("key"),
        "secret_access_key": "test",
    }
    setting = Setting(
        name="share", lake="l", root=tmp_path, cache=tmp_path, reveal=lambda _: "test"
    )
    share = FileSink({**reached, "format": "csv"}, setting)
    assert share.position() is None
    share.deliver(delivery(1, table(ROWS), table(ROWS, "insert", to="log")))
    share.deliver(delivery(2, table(ROWS.slice(0, 1)), table(ROWS, "drop", to="gone")))
    assert share.position() == position(2)
    sink("csv").deliver(delivery(1, table(ROWS.slice(0, 1))))
    there = S3Store(
        bucket,
        endpoint=object_server.endpoint,
        access_key_id="test",
        secret_access_key="test",
        client_options={"allow_http": True},
    )
    keys = sorted(each["path"] for page in obstore.list(there) for each in page)
    assert keys == [
        "share/a/.headgate-share.json",
        "share/a/log/00000001-000000000000.csv",
        "share/a/t.csv",
    ]
    content = bytes(obstore.get(there, "share/a/t.csv").bytes())
    assert content == (tmp_path / "out/t.csv").read_bytes()


KILLED = """
    import os, signal, sys
    from pathlib import Path
    sys.path.insert(0, {tests!r})
    from test_file_sink import ROWS, delivery, table
    from headgate.sinks import Setting
    from headgate.sinks.files import places
    from headgate.sinks.files.file_sink import FileSink
    left = int(sys.argv[1])
    fsync = os.fsync
    def counted(file):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        fsync(file)
    os.fsync = counted
    root = Path({root!r})
    sink = FileSink({{"directory": "out", "format": "csv"}},
        Setting(name="share", lake="the-lake", root=root, cache=root))
    sink.deliver(delivery(2, table(ROWS), table(ROWS, to="u"), table(ROWS, "insert", to="v")))
"""


def test_killed_at_every_sync_it_is_delivered_once(sink, tmp_path):
    wanted = None
    for moment in range(9):
        sink().place(None)
        sink().deliver(delivery(1, table(ROWS.slice(0, 1)), table(ROWS.slice(0, 1), to="u")))
        script = textwrap.dedent(
            KILLED.format(tests=str(Path(__file__).parent), root=str(tmp_path))
        )
        done = subprocess.run(
            [sys.executable, "-c", script, str(moment)], capture_output=True, text=True, check=False
        )
        assert done.returncode in {0, -signal.SIGKILL}, done.stderr
        for name in ("t.csv", "u.csv"):
            rows = list(csv.reader(io.StringIO((tmp_path / "out" / name).read_text())))
            assert len(rows) in {2, 4}  # the old file or the new one, never a part
        if sink().position() == position(1):
            sink().deliver(
                delivery(2, table(ROWS), table(ROWS, to="u"), table(ROWS, "insert", to="v"))
            )
        seen = {name: (tmp_path / "out" / name).read_bytes() for name in files(tmp_path)}
        wanted = wanted or seen
        assert seen == wanted
        if done.returncode == 0:
            return
    pytest.fail("it was never delivered undisturbed")
