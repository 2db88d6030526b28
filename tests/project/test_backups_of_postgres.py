"""Backups of a lake whose metastore is in PostgreSQL, restored without a server."""

from pathlib import Path

import pyarrow as pa
import pytest

import headgate as hg
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
