"""Source files that cannot be read: not there, not whole, not permitted."""

import gzip
import zlib

import pytest

SOURCE = 'rows = hg.files("{}")\n'
TEXT = ("a,b\n" + "".join(f"{n},{n * 7919 % 1000}\n" for n in range(5_000))).encode()
PACKED = gzip.compress(TEXT)


def flipped(content: bytes) -> bytes:
    half = len(content) // 2
    return (
        content[:half]
        + bytes(byte ^ 0xFF for byte in content[half : half + 8])
        + content[half + 8 :]
    )


BROKEN = {
    "a cut gzip file": ("rows.csv.gz", PACKED[:-100], 9, "file-damaged"),
    "a gzip file with other bytes": ("rows.csv.gz", flipped(PACKED), 9, "file-damaged"),
    "text that is called gzip": ("rows.csv.gz", TEXT, 9, "file-damaged"),
    "text that is called Parquet": ("rows.parquet", TEXT, 9, "file-damaged"),
    "bytes that are called ZIP": ("rows.zip", zlib.compress(TEXT), 9, "archive-damaged"),
    "a file of no known format": ("rows.xyz", TEXT, 3, "format-unknown"),
}


@pytest.mark.parametrize(("name", "content", "exits", "code"), BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_named_and_mended(published, name, content, exits, code):
    head = published.head()
    published.steps(SOURCE.format(f"data/{name}"))
    published.write(f"data/{name}", content)
    said = published("run", exits=exits)
    assert f"data/{name}" in said.err
    assert "Traceback" not in said.err
    published.is_unchanged(head, said)
    assert published.error("resume", said.resume, exits=exits)["code"] == code
    published.steps(SOURCE.format("data/rows.csv"))
    published.write("data/rows.csv", TEXT)
    published("resume", said.resume)
    assert published.rows("select count(*) as n from rows") == [{"n": 5_000}]


def test_what_is_not_there_is_named(published):
    published.steps(SOURCE.format("data/rows.csv"))
    said = published("run", exits=6)
    assert "There is no file data/rows.csv in" in said.err
    published.write("data/row.csv", TEXT)
    assert "Did you mean data/row.csv?" in published("run", exits=6).err
    published.steps(SOURCE.format("data/*.tsv"))
    assert "No file matches data/*.tsv" in published("run", exits=6).err


def test_a_directory_in_a_files_place_is_named(published):
    (published.root / "data" / "rows.csv").mkdir(parents=True)
    published.steps(SOURCE.format("data/rows.csv"))
    said = published("run", exits=3)
    assert "data/rows.csv is a directory." in said.err
    assert 'Name the files: "data/rows.csv/*.csv"' in said.err


@pytest.mark.parametrize("target", ["nowhere.csv", "rows.csv"])
def test_a_link_that_leads_nowhere_is_named(published, target):
    (published.root / "data").mkdir()
    (published.root / "data" / "rows.csv").symlink_to(target)
    published.steps(SOURCE.format("data/rows.csv"))
    said = published("run", exits=6)
    assert f"data/rows.csv is a link to {target}, which is not there." in said.err


@pytest.mark.parametrize("closed", ["data/rows.csv", "data"])
def test_a_file_that_may_not_be_read_is_named(published, denied, closed):
    head = published.head()
    published.steps(SOURCE.format("data/rows.csv"))
    published.write("data/rows.csv", TEXT)
    place = published.root / closed
    place.chmod(0)
    try:
        said = published.apart("run", exits=8, **denied)
    finally:
        place.chmod(0o755)
    assert "data/rows.csv may not be read: Permission denied." in said.err
    published.is_unchanged(head, said)
    published("resume", said.resume)
    assert published.rows("select count(*) as n from rows") == [{"n": 5_000}]
