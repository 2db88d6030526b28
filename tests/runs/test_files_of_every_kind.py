"""Files of every kind in one run: what is in the lake is what another library reads from them."""

import gzip
import json
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path

import fastavro
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import orc
from workplaces import Workplace

from headgate.errors import HeadgateError
from headgate.sources import Cursor, NativeRead
from headgate.sources.files import FileSource

PIPELINE = """
from typing import Annotated

import headgate as hg


class Person(hg.Contract):
    id: int
    born: Annotated[str | None, hg.pattern("[0-9-]+", severity="quarantine")]


lines = hg.files("data/lines.jsonl.gz", mode="append")
array = hg.files("data/array.json", records="data.rows")
elements = hg.files("data/elements.xml", record="row")
page = hg.files("data/page.html", html_table="People")
stripes = hg.files("data/stripes.orc")
blocks = hg.files("data/blocks.avro")
groups = hg.files("data/groups.parquet.zst")
people = hg.files("data/people.xlsx", contract=Person)
members = hg.files("data/members.tar.gz", member="*.csv")
"""

COLUMNS = pa.table(
    {
        "id": pa.array([1, 2, None], pa.int32()),
        "name": ["a", "ü", None],
        "amount": pa.array([Decimal("1.10"), None, Decimal("-3.00")], pa.decimal128(9, 2)),
        "day": [date(2026, 1, 2), None, date(1900, 1, 1)],
        "at": pa.array([datetime(2026, 1, 2, tzinfo=UTC), None, None], pa.timestamp("us", "UTC")),
        "tags": [["x"], [], None],
        "inner": [{"q": 1}, None, {"q": None}],
        "raw": [b"\x00", None, b""],
    }
)
AVRO = {
    "type": "record",
    "name": "row",
    "fields": [
        {"name": "id", "type": "int"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "clock", "type": ["null", {"type": "long", "logicalType": "time-micros"}]},
        {"name": "either", "type": ["long", "string"]},
        {"name": "counts", "type": {"type": "map", "values": "long"}},
        {"name": "nothing", "type": "null"},
    ],
}
AVRO_ROW = {
    "id": 1,
    "at": datetime(2026, 1, 2, 3, tzinfo=UTC),
    "clock": time(1, 2, 3, 4),
    "either": "x",
    "counts": {"a": 1},
    "nothing": None,
}


def written(directory: Path) -> None:
    import io
    import tarfile

    import zstandard

    directory.mkdir()
    (directory / "lines.jsonl.gz").write_bytes(
        gzip.compress(b'{"id":1,"in":{"x":[1,2]}}\n{"id":oops}\n{"id":2,"more":"m"}\n')
    )
    rows = [{"id": 1, "x": 1.5}, {"id": 2}]
    (directory / "array.json").write_text(json.dumps({"data": {"rows": rows}}, indent=1))
    (directory / "elements.xml").write_text("<r><row id='1'><x>a</x></row><row id='2'/></r>")
    (directory / "page.html").write_text(
        "<table><caption>People</caption><tr><th>id<th>name<tr><td>1<td>Ada</table>"
    )
    orc.write_table(COLUMNS, directory / "stripes.orc")
    with (directory / "blocks.avro").open("wb") as file:
        fastavro.writer(file, AVRO, [AVRO_ROW])
    pq.write_table(COLUMNS, directory / "groups.parquet")
    (directory / "groups.parquet.zst").write_bytes(
        zstandard.compress((directory / "groups.parquet").read_bytes())
    )
    book = openpyxl.Workbook()
    for line in (["id", "born"], [1, date(2026, 1, 2)], [2, "last year"], ["x", None], [4, None]):
        book.active.append(line)
    book.active.title = "People"
    book.save(directory / "people.xlsx")
    with tarfile.open(directory / "members.tar.gz", "w:gz") as tar:
        for name, text in (("1.csv", b"id,x\n1,a\n"), ("2.csv", b"x,id\nb,2\n")):
            info = tarfile.TarInfo(name)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text))


def test_files_of_every_kind_are_in_the_lake_as_others_read_them(tmp_path: Path) -> None:
    written(tmp_path / "data")
    place = Workplace(tmp_path)
    place.hall.run(place.pipeline(PIPELINE, name="kinds"), target="main")

    def rows(table: str) -> list[dict]:
        found = [dict(row) for row in place.rows(table)]
        return sorted(found, key=lambda row: (row.get("id") is None, row.get("id")))

    assert rows("array") == [{"id": 1, "x": 1.5}, {"id": 2, "x": None}]
    assert rows("elements") == [{"id": "1", "x": "a"}, {"id": "2", "x": None}]
    assert [row["name"] for row in rows("page")] == ["Ada"]
    assert rows("lines") == [
        {"id": 1, "in": {"x": [1, 2]}, "more": None},
        {"id": 2, "in": None, "more": "m"},
    ]
    assert rows("stripes") == orc.read_table(tmp_path / "data/stripes.orc").to_pylist()
    assert rows("groups") == pq.read_table(tmp_path / "data/groups.parquet").to_pylist()
    [avro] = rows("blocks")
    assert {**avro, "counts": dict(avro["counts"])} == {**AVRO_ROW, "either": '"x"'}
    assert rows("members") == [{"id": 1, "x": "a"}, {"id": 2, "x": "b"}]
    assert rows("people") == [{"id": 1, "born": "2026-01-02"}, {"id": 4, "born": None}]
    aside = {str(row["position"]) for row in place.rows("_quarantine.people")}
    assert aside == {"data/people.xlsx!People:3", "data/people.xlsx!People:4"}
    [bad] = place.rows("_quarantine.lines")
    assert bad["position"] == "data/lines.jsonl.gz:2"
    place.close()


@pytest.mark.parametrize("how", ["grown", "replaced"])
@pytest.mark.parametrize("end", ["csv", "csv.gz"])
def test_a_file_that_changes_while_an_engine_reads_it_is_not_published(
    place: Workplace, how: str, end: str
) -> None:
    path = place.root / f"a.{end}"
    pack = gzip.compress if end == "csv.gz" else bytes
    path.write_bytes(pack(b"id\n1\n2\n"))

    class Busy(FileSource):
        """A file that somebody writes to just when an engine is about to read it."""

        def native(self, cursor: Cursor | None) -> NativeRead | None:
            found = super().native(cursor)
            if how == "grown":
                with path.open("ab") as file:
                    file.write(pack(b"3"))
            else:
                path.with_name("new").write_bytes(pack(b"id\n4\n5\n"))
                path.with_name("new").replace(path)
            return found

    place.sources["files"] = Busy
    pipeline = place.pipeline(f'import headgate as hg\nt = hg.files("a.{end}", mode="append")')
    with pytest.raises(HeadgateError, match="has changed while it was read"):
        place.hall.run(pipeline, target="main")
    place.sources["files"] = FileSource
    place.hall.run(pipeline, target="main")
    found = [row["id"] for row in place.rows("t")]
    assert found == ([1, 2, 3] if how == "grown" else [4, 5])
