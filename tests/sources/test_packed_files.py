"""Packed files and archives: what is in them is read, up to a limit, and damage is named."""

import bz2
import gzip
import io
import json
import lzma
import os
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest
import zstandard
from reading_files import batches, failure, rows

from headgate.source_columns import POSITION

RECORDS = [{"id": number, "x": "y" * 50} for number in range(20_000)]
LINES = "".join(json.dumps(record) + "\n" for record in RECORDS).encode()
PACK = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstandard.compress,
}


@pytest.mark.parametrize("end", PACK)
def test_a_packed_file_is_read_whole_and_in_parts(tmp_path, end):
    half = LINES.index(b"\n", len(LINES) // 2) + 1
    parts = PACK[end](LINES[:half]) + PACK[end](LINES[half:])
    (tmp_path / f"a.jsonl.{end}").write_bytes(PACK[end](LINES))
    assert rows(tmp_path, f"a.jsonl.{end}") == RECORDS
    (tmp_path / f"a.jsonl.{end}").write_bytes(parts)
    assert rows(tmp_path, f"a.jsonl.{end}") == RECORDS


@pytest.mark.parametrize("end", PACK)
@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.xml", "a.avro"])
def test_a_packed_file_that_breaks_off_is_named_with_where(tmp_path, end, name):
    packed = PACK[end](b"id\n" + b"".join(b"%d\n" % (n * 7919) for n in range(50_000)))
    if name == "a.jsonl":
        packed = PACK[end](LINES)
    for size in (len(packed) - 5, len(packed) // 2):
        (tmp_path / f"{name}.{end}").write_bytes(packed[:size])
        error = failure(tmp_path, f"{name}.{end}")
        if name in {"a.jsonl", "a.csv"}:
            assert error.code == "file-damaged"
            assert f"{name}.{end} is no whole " in error.message
            assert error.facts["offset"] <= size
        else:  # not what it says it is, which shows first
            assert error.code in {"file-damaged", "file-malformed"}


@pytest.mark.parametrize("end", PACK)
def test_what_is_not_packed_at_all_is_named(tmp_path, end):
    (tmp_path / f"a.jsonl.{end}").write_bytes(b'{"id": 1}\n' * 100)
    assert failure(tmp_path, f"a.jsonl.{end}").code == "file-damaged"


@pytest.mark.parametrize("end", PACK)
@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.xml"])
def test_a_packed_file_is_unpacked_up_to_a_limit(tmp_path, end, name):
    (tmp_path / f"{name}.{end}").write_bytes(PACK[end](b"<r>" + b" \n" * 500_000))
    error = failure(tmp_path, f"{name}.{end}", largest_bytes=100_000)
    assert error.code == "unpacked-too-large"


def bomb(size: int) -> bytes:
    """Give a gzip of nothing but blank lines, a thousandth of their size."""
    packer = gzip.GzipFile(fileobj=(made := io.BytesIO()), mode="wb")
    blanks = b"\n" * (1 << 20)
    for _ in range(size >> 20):
        packer.write(blanks)
    packer.close()
    return made.getvalue()


@pytest.mark.parametrize("packed_as", ["gz", "zip", "tar.gz"])
def test_a_bomb_is_refused_for_what_it_makes_of_its_size(tmp_path, packed_as, monkeypatch):
    monkeypatch.setattr("headgate.sources.formats.packing._TRUSTED_BYTES", 4 << 20)
    monkeypatch.setattr("headgate.sources.formats.packing._TIGHTEST", 500)
    name = f"a.jsonl.{packed_as}"
    if packed_as == "gz":
        (tmp_path / name).write_bytes(bomb(32 << 20))
    elif packed_as == "zip":
        with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.jsonl", b"\n" * (32 << 20))
    else:
        tarred(tmp_path / name, {"a.jsonl": b"\n" * (32 << 20)}, mode="w:gz")
    error = failure(tmp_path, name)
    assert error.code in {"unpacked-too-large", "archive-member-too-large"}
    assert "500 times" in error.message


# -- archives


def tarred(path: Path, files: dict[str, bytes], mode: str = "w") -> None:
    with tarfile.open(path, mode) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def zipped(path: Path, files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)


THREE = {
    "x/2.jsonl": b'{"id": 2}\n{"id": 3}\n',
    "x/1.jsonl.gz": gzip.compress(b'{"id": 1}\n'),
    "readme.md": b"hello",
}
ARCHIVES = ["zip", "tar", "tar.gz", "tgz", "tar.bz2", "tar.xz", "tar.zst"]


def archived(path: Path, files: dict[str, bytes]) -> None:
    end = path.name.partition(".")[2]
    if end == "zip":
        zipped(path, files)
    elif end == "tar.zst":
        tarred(path.with_suffix(""), files)
        path.write_bytes(zstandard.compress(path.with_suffix("").read_bytes()))
        path.with_suffix("").unlink()
    else:
        packing = {"tar": "", "tgz": ":gz"}.get(end, ":" + end.rpartition(".")[2])
        tarred(path, files, f"w{packing}")


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("end", ["tar", "zip"])
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_an_archive_with_two_members_of_a_name_is_refused(tmp_path, end, name):
    path = tmp_path / f"a.{end}"
    if end == "zip":
        with zipfile.ZipFile(path, "w") as zipped:
            zipped.writestr(name, "1\n")
            zipped.writestr(name, "2\n")
    else:
        with tarfile.open(path, "w") as tar:
            for text in (b"1\n", b"2\n"):
                member = tarfile.TarInfo(name)
                member.size = len(text)
                tar.addfile(member, io.BytesIO(text))
    assert failure(tmp_path, f"a.{end}").code == "archive-member-twice"


@pytest.mark.parametrize("end", ARCHIVES)
def test_members_are_read_each_as_what_it_is(tmp_path, end):
    archived(tmp_path / f"a.{end}", THREE)
    found = batches(tmp_path, f"a.{end}", member="x/*")
    places = [place for batch in found for place in batch.rows[POSITION].to_pylist()]
    assert sorted(places) == [
        f"a.{end}!x/1.jsonl.gz:1",
        f"a.{end}!x/2.jsonl:1",
        f"a.{end}!x/2.jsonl:2",
    ]
    assert rows(tmp_path, f"a.{end}", member="x/2.jsonl") == [{"id": 2}, {"id": 3}]
    assert failure(tmp_path, f"a.{end}").code == "archive-member-unsaid"
    assert failure(tmp_path, f"a.{end}", member="y*").code == "archive-member-missing"
    assert failure(tmp_path, f"a.{end}", member="readme.md").code == "format-unknown"


@pytest.mark.parametrize("end", ARCHIVES)
def test_reading_is_taken_up_within_an_archive(tmp_path, end, monkeypatch):
    monkeypatch.setattr("headgate.sources.formats.pieces.PIECE_ROWS", 1)
    from headgate.sources import FileSource, Setting

    lines = "".join(f'{{"id": {n}}}\n' + " " * 1_100_000 + "\n" for n in range(3)).encode()
    archived(tmp_path / f"a.{end}", {"1.jsonl": lines, "2.jsonl": lines})
    options = {"paths": (f"a.{end}",), "member": "*"}
    setting = Setting(root=tmp_path, cache=tmp_path / ".cache")
    found = batches(tmp_path, f"a.{end}", member="*")
    assert len(found) > 3
    for number, batch in enumerate(found):
        source = FileSource(options, setting)
        assert batch.cursor is not None
        rest = list(source.read(source.cursor(batch.cursor.text())))
        source.close()
        places = [p for b in rest for p in b.rows[POSITION].to_pylist()]
        expected = [p for b in found[number + 1 :] for p in b.rows[POSITION].to_pylist()]
        assert places == expected


@pytest.mark.parametrize("name", ["../x.jsonl", "/etc/x.jsonl", "a/../../x.jsonl"])
@pytest.mark.parametrize("end", ["zip", "tar", "tar.gz"])
def test_a_member_that_leads_out_of_its_archive_is_refused(tmp_path, end, name):
    archived(tmp_path / f"a.{end}", {name: b'{"id": 1}'})
    assert failure(tmp_path, f"a.{end}").code == "archive-member-escapes"


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE])
def test_a_link_or_a_device_is_never_followed(tmp_path, kind):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        info = tarfile.TarInfo("x.jsonl")
        info.type = kind
        info.linkname = "/etc/passwd"
        tar.addfile(info)
    error = failure(tmp_path, "a.tar", member="x.jsonl")
    assert error.code == "archive-member-escapes"


def test_an_encrypted_member_is_named(tmp_path):
    zipped(tmp_path / "a.zip", {"x.jsonl": b'{"id": 1}'})
    raw = bytearray((tmp_path / "a.zip").read_bytes())
    raw[6] |= 1
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "a.zip").write_bytes(bytes(raw))
    error = failure(tmp_path, "a.zip")
    assert error.code == "archive-encrypted"
    assert "x.jsonl in a.zip" in error.message


@pytest.mark.parametrize("end", ARCHIVES)
def test_a_damaged_archive_is_named(tmp_path, end):
    path = tmp_path / f"a.{end}"
    archived(path, {"x.jsonl": os.urandom(100_000).hex().encode()})
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"no archive at all" * 100):
        path.write_bytes(damaged)
        error = failure(tmp_path, path.name)
        assert error.code in {"archive-damaged", "file-damaged"}
        assert path.name in error.message


def test_an_archive_in_an_archive_is_not_opened(tmp_path):
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("x.csv", "id\n1\n")
    zipped(tmp_path / "a.zip", {"x.csv.zip": inner.getvalue()})
    assert failure(tmp_path, "a.zip").code == "format-unknown"


def test_copies_left_by_a_reader_that_was_killed_are_swept(tmp_path):
    zipped(tmp_path / "a.zip", {"x.jsonl": b'{"id": 1}'})
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from headgate.sources import FileSource, Setting\n"
        "root = Path(sys.argv[1])\n"
        "setting = Setting(root=root, cache=root / '.cache')\n"
        "next(FileSource({'paths': ('a.zip',)}, setting).read(None))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    import sys

    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    left = list((tmp_path / ".cache/files").glob("reading-*"))
    assert len(left) == 1
    assert rows(tmp_path, "a.zip") == [{"id": 1}]
    assert not left[0].exists()


@pytest.fixture
def small_disk(tmp_path: Path):
    if os.geteuid() != 0:
        pytest.skip("only root can mount a disk")
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(place)], check=False
    )
    if mounted.returncode:
        pytest.skip("no disk can be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_disk_that_is_full_is_named_and_nothing_is_left_on_it(tmp_path, small_disk):
    from headgate.errors import HeadgateError
    from headgate.sources import FileSource, Setting

    zipped(tmp_path / "a.zip", {"x.jsonl": LINES})
    source = FileSource({"paths": ("a.zip",)}, Setting(root=tmp_path, cache=small_disk))
    with pytest.raises(HeadgateError) as caught:
        list(source.read(None))
    assert caught.value.code == "disk-full"
    assert "x.jsonl in a.zip" in caught.value.message
    source.close()
    assert not list(small_disk.rglob("*.jsonl*"))
