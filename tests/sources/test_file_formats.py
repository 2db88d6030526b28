"""Each format through the suite of sources, and beside a reader of somebody else's."""

import gzip
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import fastavro
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import orc
from reading_files import failure

from headgate.sources import FileSource, Setting
from headgate.testing.source_suite import Row, Situation, SourceSuite

AVRO = {
    "type": "record",
    "name": "row",
    "fields": [{"name": "id", "type": "long"}, {"name": "name", "type": ["null", "string"]}],
}


def open_files(root: Path, *paths: str, **options: object) -> FileSource:
    setting = Setting(root=root, cache=root / ".cache")
    return FileSource({"paths": paths, **options}, setting)


def avro(rows: Sequence[Row], path: Path) -> None:
    with path.open("wb") as file:
        more = {"name": "more", "type": "string"} if rows and "more" in rows[0] else None
        fields = [*AVRO["fields"], *([more] if more else [])]
        fastavro.writer(file, {**AVRO, "fields": fields}, rows, sync_interval=200)


def excel(rows: Sequence[Row], path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(list(rows[0]) if rows else ["id", "name"])
    for row in rows:
        book.active.append(list(row.values()))
    book.save(path)


def xml(rows: Sequence[Row], path: Path) -> None:
    frame = pd.DataFrame(rows, columns=None if rows else ["id"]).astype(str)
    frame.to_xml(path, index=False, row_name="row")


def html(rows: Sequence[Row], path: Path) -> None:
    frame = pd.DataFrame(rows, columns=None if rows else ["id"]).astype(str)
    path.write_text(frame.to_html(index=False))


def lines(rows: Sequence[Row], path: Path) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


WRITERS: dict[str, Callable[[Sequence[Row], Path], object]] = {
    "avro": avro,
    "html": html,
    "json": lambda rows, path: path.write_text(json.dumps(rows, indent=1)),
    "jsonl": lines,
    "jsonl.gz": lambda rows, path: path.write_bytes(
        gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode())
    ),
    "orc": lambda rows, path: orc.write_table(pa.Table.from_pylist(list(rows)), path),
    "parquet": lambda rows, path: pq.write_table(
        pa.Table.from_pylist(list(rows)), path, row_group_size=3
    ),
    "xlsx": excel,
    "xml": xml,
}


@pytest.mark.parametrize(
    ("name", "library", "extra"),
    [
        ("a.avro", "fastavro", "avro"),
        ("a.html", "lxml", "web"),
        ("a.html", "cssselect", "web"),
        ("a.xlsx", "python_calamine", "excel"),
    ],
)
def test_a_library_that_is_not_installed_is_named_with_its_extra(
    tmp_path, name, library, extra, monkeypatch
):
    module = {"a.avro": "avro", "a.html": "html", "a.xlsx": "excel"}[name]
    monkeypatch.delitem(sys.modules, f"headgate.sources.formats.{module}", raising=False)
    monkeypatch.setitem(sys.modules, library, None)
    (tmp_path / name).write_bytes(b"x")
    error = failure(tmp_path, name)
    assert error.code == "library-missing"
    assert error.hint == f"pip install headgate[{extra}]"


@pytest.mark.parametrize("end", sorted(WRITERS))
class TestFormats(SourceSuite):
    @pytest.fixture(autouse=True)
    def in_small_pieces(self, end: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.end = end
        # The room's own last: those that are imported here for the first time take it from there.
        for name in ("parquet", "orc", "avro", "excel", "pieces"):
            monkeypatch.setattr(f"headgate.sources.formats.{name}.PIECE_ROWS", 2)

    def situation(self, directory: Path) -> Situation:
        end, write = self.end, WRITERS[self.end]
        made = [self.row(number, end) for number in range(7)]
        write(made[:5], directory / f"a.{end}")
        write(made[5:], directory / f"b.{end}")

        def grow() -> Sequence[Row]:
            more = [self.row(number, end) for number in range(10, 13)]
            write(more, directory / f"c.{end}")
            return more

        def widen() -> Sequence[Row]:
            more = [{**self.row(number, end), "more": f"m{number}"} for number in range(20, 23)]
            write(more, directory / f"d.{end}")
            return more

        (directory / "none").mkdir()
        write([], directory / f"none/n.{end}")
        return Situation(
            open=lambda: open_files(directory, f"*.{end}"),
            rows=made,
            grow=grow,
            widen=widen,
            empty=lambda: open_files(directory, f"none/n.{end}"),
            unreachable=lambda: open_files(directory, f"gone.{end}"),
        )

    def row(self, number: int, end: str) -> Row:
        """Give a row; XML and HTML have texts only."""
        made = {"id": number, "name": f"näme <{number}>"}
        return {**made, "id": str(number)} if end in {"html", "xml"} else made
