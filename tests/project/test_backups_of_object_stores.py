"""Backups of a lake whose files are in an object store: to a directory, and back into one."""

import uuid

import pyarrow as pa
import pytest

pytest.importorskip("obstore")

import headgate as hg
from headgate.errors import Refused
from headgate.lake import epochs
from headgate.project import restore_lake

KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}


@pytest.fixture
def shop(object_server, tmp_path):
    """A project whose lake is in a bucket."""
    root = tmp_path / "shop"
    root.mkdir()
    (root / "headgate.toml").write_text(f"""
        [lake]
        location = "s3://lake/projects/{uuid.uuid4()}"
        metastore = "metastore.sqlite"
        endpoint = "{object_server.endpoint}"
        region = "eu-central-1"
        allow_http = true
    """)
    with hg.open(root, environment=KEYS) as project:
        append(project, [1, 2])
        append(project, [3])
        yield project


def append(project, numbers):
    with project.transaction("main") as tx:
        tx.write("t", pa.table({"n": numbers}), mode="append")


def numbers(project):
    return sorted(project.table("t").to_arrow()["n"].to_pylist())


def test_a_backup_is_restored_to_a_directory(shop, tmp_path):
    one = shop.backup(tmp_path / "b", name="one")
    assert (one.missing, shop.verify_backup(tmp_path / "b")) == ((), ())
    append(shop, [4])
    assert 0 < shop.backup(tmp_path / "b", name="two").files < one.files
    done = restore_lake(tmp_path / "b", tmp_path / "again", name="one", checksums=True)
    assert done.problems == ()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "headgate.toml").write_text("")
    with hg.open(tmp_path / "other", lake=tmp_path / "again") as again:
        assert numbers(again) == [1, 2, 3]
        append(again, [9])
        assert numbers(again) == [1, 2, 3, 9]
    assert numbers(shop) == [1, 2, 3, 4]


def test_a_backup_of_the_metadata_leaves_the_files_in_the_bucket(shop, tmp_path):
    shop.backup(tmp_path / "b", metadata_only=True)
    with pytest.raises(Refused) as caught:
        restore_lake(tmp_path / "b", tmp_path / "again")
    assert caught.value.code == "backup-without-files"


def test_a_backup_of_the_metadata_is_compared_with_the_files_in_the_bucket(shop, tmp_path):
    shop.backup(tmp_path / "b", metadata_only=True)
    assert shop.verify_backup(tmp_path / "b") == ()
    (gone, *_) = [file for file in shop.lake.storage.list("data") if file.path.endswith(".parquet")]
    shop.lake.storage.delete([gone.path])
    assert [gone.path in problem for problem in shop.verify_backup(tmp_path / "b")] == [True]


def test_the_bucket_says_who_may_delete_in_it(shop, tmp_path):
    shop.lake.refuse_stranger()
    copy = tmp_path / "copy.sqlite"
    shop.lake.metastore.copy(copy)
    shop.close()
    copy.replace(tmp_path / "shop" / "metastore.sqlite")
    with pytest.raises(Refused) as caught:
        shop.lake.refuse_stranger()
    assert caught.value.code == "not-the-owner"
    shop.take_over()
    shop.lake.refuse_stranger()
    assert epochs.mark_of(shop.lake.storage).epoch == shop.lake.metastore.epoch()
