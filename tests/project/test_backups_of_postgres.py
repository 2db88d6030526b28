"""Backups of a lake whose metastore is in PostgreSQL, restored without a server."""

from pathlib import Path

import pyarrow as pa
import pytest

import headgate as hg
from headgate.errors import AlreadyExists
from headgate.project import restore_lake


@pytest.fixture
def shop(postgres, tmp_path):
    """A project whose metastore is on a server."""
    directory = tmp_path / "shop"
    directory.mkdir()
    (directory / "headgate.toml").write_text(f'[lake]\nmetastore = "{postgres.url()}"\n')
    with hg.open(directory) as project:
        append(project, [1, 2])
        append(project, [3])
        project.lake.create_tag("first", "main~1")
        yield project


def append(project, numbers):
    with project.transaction("main") as tx:
        tx.write("t", pa.table({"n": numbers}), mode="append")


def numbers(project, ref="main"):
    return sorted(project.table("t", ref=ref).to_arrow()["n"].to_pylist())


def test_a_backup_is_restored_to_a_directory(shop, tmp_path):
    one = shop.backup(tmp_path / "b", name="one")
    append(shop, [4])
    two = shop.backup(tmp_path / "b", name="two")
    assert 0 < two.files < one.files
    assert shop.verify_backup(tmp_path / "b", "one") == ()
    for name, expected in (("one", [1, 2, 3]), ("two", [1, 2, 3, 4])):
        lake = tmp_path / name
        assert restore_lake(tmp_path / "b", lake, name=name, checksums=True).problems == ()
        (tmp_path / f"p{name}").mkdir()
        (tmp_path / f"p{name}" / "headgate.toml").write_text("")
        with hg.open(tmp_path / f"p{name}", lake=lake) as again:
            assert numbers(again) == expected
            assert numbers(again, "first") == [1, 2]
            assert again.lake.id == shop.lake.id
            append(again, [9])
            assert numbers(again) == [*expected, 9]
            again.lake.refuse_stranger()
    assert numbers(shop) == [1, 2, 3, 4]
    shop.lake.refuse_stranger()


def test_a_backup_of_the_metadata_keeps_the_files(shop, tmp_path):
    shop.backup(tmp_path / "b", metadata_only=True, name="meta")
    (held,) = shop.lake.metastore.backups()
    assert (held.name, held.expires) == ("meta", None)
    assert restore_lake(tmp_path / "b", tmp_path / "again", checksums=True).problems == ()
    assert Path(tmp_path / "again" / "metastore.sqlite").exists()


def test_an_upgrade_and_the_doctor_know_the_server(shop):
    assert shop.upgrade().copy is None
    found = {each.what: each for each in shop.doctor()}
    assert found["epoch"].level == "ok"
    shop.take_over()
    assert {each.what: each for each in shop.doctor()}["epoch"].level == "ok"


def test_a_backup_is_restored_to_a_server(shop, postgres, tmp_path):
    shop.backup(tmp_path / "b")
    url = postgres.url()
    done = restore_lake(tmp_path / "b", tmp_path / "lake", checksums=True, metastore=url)
    assert done.problems == ()
    (tmp_path / "again").mkdir()
    settings = f'[lake]\nlocation = "{tmp_path / "lake"}"\nmetastore = "{url}"\n'
    (tmp_path / "again" / "headgate.toml").write_text(settings)
    with hg.open(tmp_path / "again") as again:
        assert numbers(again) == [1, 2, 3]
        assert [run.id for run in again.runs()] == [run.id for run in shop.runs()]
        events = shop.lake.metastore.events()
        assert again.lake.metastore.events() == events
        append(again, [9])
        assert len(again.lake.metastore.events()) > len(events)
        assert numbers(again) == [1, 2, 3, 9]
        again.lake.refuse_stranger()
        assert [f for f in again.doctor(files=True) if f.level == "bad"] == []
    with pytest.raises(AlreadyExists) as caught:
        restore_lake(tmp_path / "b", tmp_path / "third", metastore=url)
    assert caught.value.code == "lake-exists"


def test_a_lake_in_a_file_moves_to_a_server(postgres, tmp_path):
    (tmp_path / "headgate.toml").write_text("")
    with hg.open(tmp_path) as project:
        append(project, [1])
        project.backup(tmp_path / "b")
    url = postgres.url()
    (tmp_path / "lake" / "metastore.sqlite").rename(tmp_path / "old.sqlite")
    done = restore_lake(tmp_path / "b", tmp_path / "lake", metastore=url)
    assert (done.files, done.problems) == (0, ())
    (tmp_path / "headgate.toml").write_text(f'[lake]\nmetastore = "{url}"\n')
    with hg.open(tmp_path) as project:
        append(project, [2])
        assert numbers(project) == [1, 2]
