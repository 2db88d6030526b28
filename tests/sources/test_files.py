"""Files as a source: what is read, how it is told apart, and what is said when it cannot be."""

import bz2
import gzip
import lzma
import zipfile
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from headgate.clock import ManualClock
from headgate.engines import DuckDB
from headgate.errors import HeadgateError, Refused
from headgate.filesets import WriteTarget
from headgate.sources import FileSource, Setting
from headgate.testing.source_suite import Situation, SourceSuite, rows_of

LATER = datetime.now(UTC) + timedelta(hours=1)


def opened(root: Path, *paths: str, as_text: bool = False, **options: object) -> FileSource:
    setting = Setting(root=root, cache=root / ".cache", as_text=as_text)
    return FileSource({"paths": paths, **options}, setting, clock=ManualClock(LATER))


def rows(root: Path, *paths: str, as_text: bool = False, **options: object) -> list[dict]:
    """Read by the source itself and by an engine; both must see the same rows."""
    with closing(opened(root, *paths, as_text=as_text, **options)) as source:
        files = source.native(None).files
        if files is None:
            return []
        found = rows_of(source.read(None))
        with DuckDB(threads=1, temp_directory=root / ".spill") as engine:
            session = engine.session()
            target = WriteTarget(directory=str(root), prefix="out", schema=session.schema(files))
            written = session.write(files, target)
            session.close()
        assert written.malformed is None
    tables = [pq.read_table(path) for path in written.paths]
    for path in written.paths:
        Path(path).unlink()
    by_engine = [row for table in tables for row in table.to_pylist()]
    key = lambda row: [str(row.get(n)) for n in sorted(row)]  # noqa: E731
    names = {name for row in by_engine for name in row}
    united = [{name: row.get(name) for name in names} for row in found]
    assert sorted(by_engine, key=key) == sorted(united, key=key)
    return found


def failure(root: Path, *paths: str, **options: object) -> HeadgateError:
    with pytest.raises(HeadgateError) as caught:
        opened(root, *paths, **options).native(None)
    return caught.value


class TestFiles(SourceSuite):
    def situation(self, directory: Path) -> Situation:
        (directory / "b.csv").write_text("id,name\n3,c\n")
        (directory / "a.csv").write_text("id,name\n1,a\n2,b\n")

        def grow() -> list[dict[str, object]]:
            (directory / "c.csv").write_text("id,name\n4,d\n")
            return [{"id": 4, "name": "d"}]

        return Situation(
            open=lambda: opened(directory, "*.csv"),
            rows=[{"id": 1, "name": "a"}, {"id": 2, "name": "b"}, {"id": 3, "name": "c"}],
            grow=grow,
        )


# -- which files


def test_patterns_are_relative_to_the_project_and_give_files_in_order(tmp_path):
    for name in ("data/2026/x2.csv", "data/2026/x1.csv", "data/y.csv", "x0.csv"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"n\n{name}\n")
    assert [row["n"] for row in rows(tmp_path, "data/**/x*.csv")] == [
        "data/2026/x1.csv",
        "data/2026/x2.csv",
    ]
    assert [row["n"] for row in rows(tmp_path, "x0.csv", "data/y.csv", "x*.csv")] == [
        "x0.csv",
        "data/y.csv",
    ]


def test_a_name_with_brackets_is_the_file_of_that_name(tmp_path):
    (tmp_path / "a[1].csv").write_text("n\n1\n")
    (tmp_path / "a1.csv").write_text("n\n100\n")
    assert rows(tmp_path, "a[1].csv") == [{"n": 1}]


def test_a_missing_file_is_named_with_the_nearest_one(tmp_path):
    (tmp_path / "flights.csv").write_text("n\n1\n")
    error = failure(tmp_path, "flihgts.csv")
    assert error.code == "file-missing"
    assert "flights.csv" in error.hint
    assert failure(tmp_path, "data/*.csv").code == "no-files-match"
    (tmp_path / "data").mkdir()
    assert failure(tmp_path, "data").code == "path-is-directory"
    assert failure(tmp_path, "ftp://bucket/x.csv").code == "path-is-url"


def test_an_unreadable_file_is_named(tmp_path, monkeypatch):
    path = tmp_path / "x.csv"
    path.write_text("n\n1\n")

    def refuse(*_: object) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("headgate.sources.digesting.file_digest", refuse)
    error = failure(tmp_path, "x.csv")
    assert error.code == "file-unreadable"
    assert "x.csv may not be read" in error.message


def test_formats_are_told_from_names_or_said(tmp_path):
    (tmp_path / "a.dat").write_text("n\n1\n")
    assert failure(tmp_path, "a.dat").code == "format-unknown"
    assert rows(tmp_path, "a.dat", format="csv") == [{"n": 1}]
    assert failure(tmp_path, "a.dat", format="xlm").code == "format-not-supported"
    (tmp_path / "b.csv").write_text("n\n1\n")
    pq.write_table(pa.table({"n": [2]}), tmp_path / "b.parquet")
    assert failure(tmp_path, "b.*").code == "formats-mixed"
    assert rows(tmp_path, "b.parquet") == [{"n": 2}]


def test_an_unknown_option_is_refused_with_a_suggestion(tmp_path):
    (tmp_path / "a.csv").write_text("n\n1\n")
    error = failure(tmp_path, "a.csv", delimeter=";")
    assert error.code == "unknown-option"
    assert "delimiter" in error.hint
    assert failure(tmp_path, "a.csv", delimiter=";;").code == "bad-option"
    assert failure(tmp_path, "a.csv", header="yes").code == "bad-option"
    assert failure(tmp_path, "a.csv", skip=-1).code == "bad-option"
    assert failure(tmp_path, "a.csv", encoding="no-such").code == "bad-option"


# -- what is new


def test_a_file_that_was_only_touched_is_not_read_again(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("n\n1\n")
    source = opened(tmp_path, "a.csv")
    fingerprint, cursor = source.fingerprint(), source.native(None).cursor
    path.touch()
    again = opened(tmp_path, "a.csv")
    assert again.fingerprint() == fingerprint
    assert again.native(cursor).files is None
    path.write_text("n\n2\n")
    changed = opened(tmp_path, "a.csv")
    assert changed.fingerprint() != fingerprint
    assert rows_of(changed.read(cursor)) == [{"n": 2}]


def appended(root: Path, **options: object) -> FileSource:
    setting = Setting(root=root, cache=root / ".cache", appends=True)
    return FileSource({"paths": ("*.csv",), **options}, setting)


def test_a_changed_file_is_not_appended_twice_unasked(tmp_path):
    (tmp_path / "a.csv").write_text("n\n1\n")
    cursor = appended(tmp_path).native(None).cursor
    (tmp_path / "a.csv").write_text("n\n1\n2\n")
    (tmp_path / "b.csv").write_text("n\n3\n")
    for read in (FileSource.native, lambda source, cursor: list(source.read(cursor))):
        with pytest.raises(Refused, match=r"a\.csv has changed") as refused:
            read(appended(tmp_path), cursor)
        assert refused.value.code == "file-changed"
    again = appended(tmp_path, changed="again")
    assert rows_of(again.read(cursor)) == [{"n": 1}, {"n": 2}, {"n": 3}]


def test_a_file_that_vanished_and_comes_back_is_not_read_twice(tmp_path):
    (tmp_path / "a.csv").write_text("n\n1\n")
    (tmp_path / "b.csv").write_text("n\n2\n")
    cursor = appended(tmp_path).native(None).cursor
    (tmp_path / "a.csv").rename(tmp_path / "away")
    without = appended(tmp_path).native(cursor)
    assert without.files is None
    assert without.cursor == cursor
    (tmp_path / "away").rename(tmp_path / "a.csv")
    assert appended(tmp_path).native(without.cursor).files is None


def test_a_file_is_digested_once_while_size_and_time_stay(tmp_path, monkeypatch):
    (tmp_path / "a.csv").write_text("n\n1\n")
    first = opened(tmp_path, "a.csv")
    fingerprint = first.fingerprint()
    first.close()

    def read_again(_: object) -> str:
        raise AssertionError

    monkeypatch.setattr("headgate.sources.digesting.file_digest", read_again)
    assert opened(tmp_path, "a.csv").fingerprint() == fingerprint


def test_a_time_too_young_to_be_believed_is_not(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("n\n1\n")
    changed = path.stat().st_mtime
    setting = Setting(root=tmp_path, cache=tmp_path / ".cache")
    young = ManualClock(datetime.fromtimestamp(changed, UTC))
    first = FileSource({"paths": ("a.csv",)}, setting, clock=young)
    fingerprint = first.fingerprint()
    first.close()
    stat = path.stat()
    path.write_text("n\n2\n")  # the same size, and within the clock's tick the same time
    import os

    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    second = FileSource({"paths": ("a.csv",)}, setting, clock=young)
    assert second.fingerprint() != fingerprint


# -- files that change while they are read


def lines(*numbers: int) -> str:
    return "".join(f'{{"id": {number}}}\n' for number in numbers)


def test_a_file_replaced_since_it_was_listed_is_read_as_it_is_now(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(lines(1))
    with closing(opened(tmp_path, "a.jsonl")) as source:
        source.fingerprint()
        (tmp_path / "b").write_text(lines(2, 3))
        (tmp_path / "b").replace(path)
        found = list(source.read(None))
    assert rows_of(found) == [{"id": 2}, {"id": 3}]
    with closing(opened(tmp_path, "a.jsonl")) as source:
        assert list(source.read(found[-1].cursor)) == []


def test_a_file_replaced_while_it_is_read_is_read_as_it_was_begun(tmp_path, monkeypatch):
    monkeypatch.setattr("headgate.sources.formats.json_records._CHUNK_BYTES", 10)
    monkeypatch.setattr("headgate.sources.formats.pieces.PIECE_ROWS", 1)
    path = tmp_path / "a.jsonl"
    path.write_text(lines(*range(5)))
    with closing(opened(tmp_path, "a.jsonl")) as source:
        reading = source.read(None)
        found = [next(reading)]
        (tmp_path / "b").write_text(lines(7))
        (tmp_path / "b").replace(path)
        found += reading
    assert rows_of(found) == [{"id": number} for number in range(5)]
    with closing(opened(tmp_path, "a.jsonl")) as source:
        assert rows_of(source.read(found[-1].cursor)) == [{"id": 7}]


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
def test_a_file_written_to_while_it_is_read_fails_the_read(tmp_path, name):
    path = tmp_path / name
    path.write_text("id\n1\n" if name == "a.csv" else lines(1))
    with closing(opened(tmp_path, name)) as source:
        reading = source.read(None)
        with pytest.raises(HeadgateError) as caught:
            for _ in source._batches(*source._files[0], (0, 0)):
                with path.open("a") as file:
                    file.write(lines(2))
    reading.close()
    assert caught.value.code == "file-changed-meanwhile"


def test_a_file_replaced_again_is_refused_where_its_rows_were_appended(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(lines(1))
    options = {"paths": ("a.jsonl",)}
    setting = Setting(root=tmp_path, cache=tmp_path / ".cache", appends=True)
    cursor = list(FileSource(options, setting).read(None))[-1].cursor
    source = FileSource(options, setting)
    source.fingerprint()
    path.write_text(lines(1, 2))
    with pytest.raises(Refused):
        list(FileSource(options, setting).read(cursor))
    assert list(source.read(cursor)) == []  # it was listed before: the next look refuses it


# -- CSV


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("id,name\n1,a\n2,b\n", {}),
        ("id;name\n1;a\n2;b\n", {}),
        ("id\tname\n1\ta\n2\tb\n", {}),
        ("id|name\n1|a\n2|b\n", {}),
        ("id,name\r\n1,a\r\n2,b\r\n", {}),
        ("id,name\n1,a\n2,b", {}),
        ('id,name\n"1","a"\n2,b\n', {}),
        ("\ufeffid,name\n1,a\n2,b\n", {}),
        ("made by hand\n\nid,name\n1,a\n2,b\n", {"skip": 2}),
        ("1,a\n2,b\n", {"header": False, "columns": ["id", "name"]}),
        ("x,y\n1,a\n2,b\n", {"columns": ["id", "name"]}),
        ("id,name\n1,'a'\n2,b\n", {"quote": "'"}),
        ("# hello\nid,name\n1,a\n2,b\n", {"comment": "#"}),
        ("id,name\n\n1,a\n\n\n2,b\n\n", {}),
    ],
)
def test_dialects_are_found_or_said(tmp_path, text, options):
    (tmp_path / "a.csv").write_bytes(text.encode())
    assert rows(tmp_path, "a.csv", **options) == [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]


def test_a_tsv_has_tabs_whatever_its_texts_hold(tmp_path):
    (tmp_path / "a.tsv").write_text("id\tname\n1\ta,b,c\n2\td,e,f\n")
    assert rows(tmp_path, "a.tsv")[0] == {"id": 1, "name": "a,b,c"}


@pytest.mark.parametrize("encoding", ["utf-16", "cp1252", "latin-1", "utf-8"])
def test_encodings_are_found_by_their_mark_or_said(tmp_path, encoding):
    (tmp_path / "a.csv").write_bytes("id,name\n1,Zürich\n".encode(encoding))
    assert rows(tmp_path, "a.csv", encoding=encoding) == [{"id": 1, "name": "Zürich"}]
    if encoding.startswith("utf"):
        assert rows(tmp_path, "a.csv") == [{"id": 1, "name": "Zürich"}]
    else:
        error = failure(tmp_path, "a.csv")
        assert error.code == "encoding-unknown"
        assert error.facts["line"] == 2
    assert failure(tmp_path, "a.csv", encoding="utf-32").code == "encoding-wrong"


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "-2", ""], pa.int64()),
        (["1", "007"], pa.string()),
        (["1", "9223372036854775808"], pa.string()),
        (["1", "1.0"], pa.float64()),
        (["1.5", "-2e3", ".5"], pa.float64()),
        (["12345678901234567890"], pa.string()),
        (["true", "False", ""], pa.bool_()),
        (["yes", "no"], pa.string()),
        (["2026-11-20", ""], pa.date32()),
        (["2026-11-20", "20.11.2026"], pa.string()),
        (["2026-11-20 10:00:00", "2026-11-20T10:00"], pa.timestamp("us")),
        (["2026-11-20T10:00:00Z"], pa.timestamp("us", tz="UTC")),
        (["2026-11-20T10:00:00+02:00"], pa.timestamp("us", tz="UTC")),
        (["2026-11-20 10:00:00", "2026-11-20T10:00:00Z"], pa.string()),
        (["nan", "inf"], pa.string()),
        (["", ""], pa.string()),
        (["1", "x"], pa.string()),
    ],
)
def test_types_are_the_narrowest_that_lose_nothing(tmp_path, values, kind):
    lines = "".join(f'0,"{value}"\n' for value in values)
    (tmp_path / "a.csv").write_text(f"id,x\n{lines}")
    with closing(opened(tmp_path, "a.csv")) as source:
        [batch] = source.read(None)
    assert batch.rows.schema.field("x").type == kind


def test_the_last_row_counts_for_a_type_as_the_first(tmp_path):
    (tmp_path / "a.csv").write_text("x\n" + "1\n" * 30_000 + "no number\n")
    assert rows(tmp_path, "a.csv")[0] == {"x": "1"}


def test_types_can_be_said_and_null_tokens_added(tmp_path):
    (tmp_path / "a.csv").write_text("id,x\n1,NA\n2,5\n3,\n")
    assert rows(tmp_path, "a.csv", null="NA") == [
        {"id": 1, "x": None},
        {"id": 2, "x": 5},
        {"id": 3, "x": None},
    ]
    assert rows(tmp_path, "a.csv", types={"id": "VARCHAR"}, null=["NA"])[0]["id"] == "1"
    assert failure(tmp_path, "a.csv", types={"nope": "VARCHAR"}).code == "bad-option"


def test_under_a_contract_everything_is_text(tmp_path):
    (tmp_path / "a.csv").write_text("id,x\n1,2.50\n")
    assert rows(tmp_path, "a.csv", as_text=True) == [{"id": "1", "x": "2.50"}]


def test_files_of_other_columns_and_dialects_are_united_by_name(tmp_path):
    (tmp_path / "a1.csv").write_text("id,name\n1,a\n")
    (tmp_path / "a2.csv").write_text("name;id;extra\nb;2;x\n")
    assert rows(tmp_path, "a*.csv") == [
        {"id": 1, "name": "a"},
        {"name": "b", "id": 2, "extra": "x"},
    ]


def test_a_header_alone_is_no_rows_and_an_empty_file_is_skipped(tmp_path):
    (tmp_path / "a1.csv").write_text("id,name\n")
    (tmp_path / "a2.csv").write_text("")
    assert rows(tmp_path, "a1.csv") == []
    assert rows(tmp_path, "a*.csv") == []
    with closing(opened(tmp_path, "a1.csv")) as source:
        assert source.native(None).files is not None
    with closing(opened(tmp_path, "a2.csv")) as source:
        assert source.native(None).files is None


def test_names_that_would_collide_or_are_missing_are_refused(tmp_path):
    (tmp_path / "a.csv").write_text("id,Name,name\n1,a,b\n")
    assert failure(tmp_path, "a.csv").code == "csv-duplicate-names"
    (tmp_path / "b.csv").write_text("1,2\n")
    assert failure(tmp_path, "b.csv", header=False).code == "csv-without-names"
    assert failure(tmp_path, "b.csv", columns=["just one"]).code == "columns-differ"
    (tmp_path / "c.csv").write_text(",x\n0,1\n")
    assert rows(tmp_path, "c.csv") == [{"column0": 0, "x": 1}]


# -- packed


def test_gzip_is_read_and_a_damaged_one_is_named(tmp_path):
    packed = gzip.compress(b"id,name\n" + b"1,a\n" * 10_000)
    path = tmp_path / "a.csv.gz"
    path.write_bytes(packed)
    assert len(rows(tmp_path, "a.csv.gz")) == 10_000
    flipped = bytearray(packed)
    flipped[-6] ^= 1
    for damaged in (packed[:-20], packed[: len(packed) // 2], bytes(flipped), b"no gzip"):
        path.write_bytes(damaged)
        error = failure(tmp_path, "a.csv.gz")
        assert error.code == "file-damaged"
        assert "a.csv.gz" in error.message


@pytest.mark.parametrize("end", ["gz", "bz2", "xz", "zst"])
def test_each_compression_is_read_by_name_or_as_said(tmp_path, end):
    packed = {
        "gz": gzip.compress,
        "bz2": bz2.compress,
        "xz": lzma.compress,
        "zst": zstandard.compress,
    }[end](b"id\n1\n")
    (tmp_path / f"a.csv.{end}").write_bytes(packed)
    assert rows(tmp_path, f"a.csv.{end}") == [{"id": 1}]
    (tmp_path / "a.csv").write_bytes(packed)
    said = {"gz": "gzip", "zst": "zstd"}.get(end, end)
    assert rows(tmp_path, "a.csv", compression=said) == [{"id": 1}]
    assert failure(tmp_path, "a.csv").code == "encoding-unknown"


def test_an_unknown_compression_is_named(tmp_path):
    (tmp_path / "a.csv.7z").write_bytes(b"7z")
    assert failure(tmp_path, "a.csv.7z").code == "compression-unknown"
    assert failure(tmp_path, "a.csv.7z", format="csv", compression="rar").code == (
        "compression-unknown"
    )


def zipped(path: Path, **files: str) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name.replace("__", "/"), text)


def test_the_member_of_an_archive_is_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.csv.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner/a.csv", "id,name\n1,a\n")
    assert rows(tmp_path, "a.csv.zip") == [{"id": 1, "name": "a"}]
    with closing(opened(tmp_path, "a.csv.zip")) as source:
        [shown] = source.native(None).files.shown.values()
    assert shown == "a.csv.zip!inner/a.csv"


def test_which_member_must_be_said_where_there_are_several(tmp_path):
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("x1.csv", "id\n1\n")
        archive.writestr("x2.csv", "id\n2\n")
        archive.writestr("read.me", "hello")
    assert failure(tmp_path, "all.zip").code == "archive-member-unsaid"
    assert rows(tmp_path, "all.zip", member="x2.csv") == [{"id": 2}]
    assert rows(tmp_path, "all.zip", member="x*.csv") == [{"id": 1}, {"id": 2}]
    assert failure(tmp_path, "all.zip", member="y.csv").code == "archive-member-missing"


@pytest.mark.parametrize("name", ["../x.csv", "/etc/x.csv", "a/../../x.csv", "..\\x.csv"])
def test_a_member_that_leads_out_of_the_archive_is_refused(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(name, "id\n1\n")
    assert failure(tmp_path, "a.zip").code == "archive-member-escapes"


def test_a_member_is_unpacked_up_to_a_limit(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.csv.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", "id\n" + "1\n" * 1_000_000)
    error = failure(tmp_path, "a.csv.zip", largest_bytes=100_000)
    assert error.code == "archive-member-too-large"
    assert not list((tmp_path / ".cache").rglob("*.csv*"))


def test_a_damaged_archive_is_named(tmp_path):
    path = tmp_path / "a.csv.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("a.csv", "id\n1\n")
    whole = path.read_bytes()
    for damaged in (whole[:-10], whole.replace(b"id\n1\n", b"id\n2\n"), b""):
        path.write_bytes(damaged)
        assert failure(tmp_path, "a.csv.zip").code == "archive-damaged"


# -- Parquet


def test_parquet_files_are_united_by_name(tmp_path):
    pq.write_table(pa.table({"id": [1], "x": ["a"]}), tmp_path / "a1.parquet")
    pq.write_table(pa.table({"id": [2], "y": [True]}), tmp_path / "a2.parquet")
    assert rows(tmp_path, "a*.parquet") == [{"id": 1, "x": "a"}, {"id": 2, "y": True}]
    pq.write_table(pa.table({"id": ["text"]}), tmp_path / "a3.parquet")
    error = failure(tmp_path, "a*.parquet")
    assert error.code == "columns-differ"
    assert "a3.parquet" in error.message


def test_a_damaged_parquet_file_is_named(tmp_path):
    pq.write_table(pa.table({"id": [1]}), tmp_path / "a.parquet")
    raw = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "a.parquet").write_bytes(raw[:-9])
    error = failure(tmp_path, "a.parquet")
    assert error.code == "file-damaged"
    assert "a.parquet" in error.message
