"""Files from elsewhere in a run: bad rows are found again in them, and no copy of them stays."""

import gzip
import io
import zipfile
from pathlib import Path

import pytest
from workplaces import Workplace

from headgate.lake import RunState
from headgate.testing.file_servers import FileServer, ServedFile
from headgate.testing.object_places import REGION
from headgate.testing.object_servers import ObjectServer

PIPELINE = """
from typing import Annotated

import headgate as hg


class Row(hg.Contract):
    id: int
    x: Annotated[str | None, hg.pattern("^[a-z]+$", severity="quarantine")]


web = hg.files("{web}/rows.csv", contract=Row)
packed = hg.files("data/rows.zip", contract=Row)
bucket = hg.files(
    "s3://lake/{prefix}/*.csv.gz", contract=Row, endpoint="{store}", region="{region}",
    allow_http=True, access_key_id="test", secret_access_key="test",
)
"""
CSV = b"id,x\n1,a\n2,B\nthree,c\n4,d,e\n5,f\n"


def packed() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("rows.csv", CSV)
    return made.getvalue()


@pytest.mark.on_disk
def test_bad_rows_of_remote_and_packed_files_have_their_lines(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/rows.zip").write_bytes(packed())
    with FileServer() as server, ObjectServer() as store:
        server.files["/rows.csv"] = ServedFile(CSV)
        store.bucket("files").put("rows.csv.gz", gzip.compress(CSV))
        text = PIPELINE.replace("{web}", server.url("")).replace("{store}", store.endpoint)
        text = text.replace("{prefix}", "files").replace("{region}", REGION)
        place = Workplace(tmp_path)
        place.hall.run(place.pipeline(text, name="remote"), target="main")
        shown = {
            "web": server.url("/rows.csv"),
            "packed": "data/rows.zip!rows.csv",
            "bucket": "s3://lake/files/rows.csv.gz",
        }
        for table, file in shown.items():
            assert sorted(row["id"] for row in place.rows(table)) == [1, 5]
            aside = {str(row["position"]) for row in place.rows(f"_quarantine.{table}")}
            assert aside == {f"{file}:{line}" for line in (3, 4, 5)}
        assert not list((tmp_path / "cache").rglob("reading-*"))
        again = place.hall.run(place.pipeline(text, name="remote"), target="main")
        assert again.state == RunState.NOTHING
        place.close()
