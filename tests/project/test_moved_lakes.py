"""Moved and copied lakes: headgate finds their files; other clients after a relocation."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from pyiceberg.table import StaticTable

import headgate as hg
from headgate.errors import Refused
from headgate.lake import epochs

KILLED = Path(__file__).parent / "killed_at.py"
RELOCATE = "import headgate as hg; hg.open(argv[0], lake=argv[1]).relocate()"


@pytest.fixture
def shop(tmp_path):
    """A project with a table of several manifests, a partitioned one and a branch."""
    directory = tmp_path / "shop"
    directory.mkdir()
    (directory / "headgate.toml").write_text("")
    with hg.open(directory) as project:
        for number in range(3):
            append(project, "left", [number])
        append(project, "right", [1, 2, 3])
        with project.transaction("main") as tx:
            tx.write("left", pa.table({"n": [0], "more": ["x"]}), mode="upsert", key="n")
        project.lake.create_branch("dev", "main")
        with project.transaction("dev") as tx:
            tx.delete("right", "n = 2")
        yield project


def append(project, table, numbers):
    with project.transaction("main", name=table) as tx:
        tx.write(table, pa.table({"n": numbers}), mode="append")


def moved_to(shop, place):
    """Move the lake, as mv does."""
    location = shop.settings.lake
    shop.close()
    shutil.move(location, place)
    return hg.open(shop.root, lake=place)


def numbers(table):
    return sorted(table.to_arrow()["n"].to_pylist())


def plain_client(project, table, ref="main"):
    """Read as a client that knows nothing of headgate: by the paths in the metadata."""
    metadata = project.at(ref).tree.get(f"table/{table}").table.metadata
    found = StaticTable.from_metadata(project.lake.storage.absolute(metadata)).scan().to_arrow()
    return sorted(found["n"].to_pylist())


def test_a_moved_lake_is_read_and_written_as_it_is(shop, tmp_path):
    with moved_to(shop, tmp_path / "there") as moved:
        assert numbers(moved.table("left")) == [0, 1, 2]
        assert numbers(moved.table("right", ref="dev")) == [1, 3]
        assert sorted(moved.table("left").iceberg().scan().to_arrow()["n"].to_pylist()) == [0, 1, 2]
        append(moved, "left", [9])
        assert numbers(moved.table("left")) == [0, 1, 2, 9]
        assert moved.backup(tmp_path / "b").missing == ()


def test_other_clients_read_a_moved_lake_after_a_relocation(shop, tmp_path):
    with moved_to(shop, tmp_path / "there") as moved:
        with pytest.raises(FileNotFoundError):
            plain_client(moved, "left")
        append(moved, "left", [9])  # its metadata is of the new place, what it lists is not
        with pytest.raises(FileNotFoundError):
            plain_client(moved, "left")
        done = moved.relocate()
        assert done.tables >= 3
        assert plain_client(moved, "left") == [0, 1, 2, 9]
        assert plain_client(moved, "right") == [1, 2, 3]
        assert plain_client(moved, "right", "dev") == [1, 3]
        assert moved.relocate().files == 0
        append(moved, "left", [10])
        assert plain_client(moved, "left") == [0, 1, 2, 9, 10]
        assert [f for f in moved.doctor(files=True) if f.level == "bad"] == []


def test_lists_say_the_lengths_of_manifests_as_they_are_now(shop, tmp_path):
    with moved_to(shop, tmp_path / "a rather much longer name than it had before") as moved:
        moved.relocate()
        append(moved, "left", [9])
        metadata = moved.at("main").tree.get("table/left").table.metadata
        table = StaticTable.from_metadata(moved.lake.storage.absolute(metadata))
        for manifest in table.current_snapshot().manifests(table.io):
            assert Path(manifest.manifest_path).stat().st_size == manifest.manifest_length


def test_a_clone_is_relocated_and_leaves_the_original_alone(shop, tmp_path):
    shutil.copytree(shop.settings.lake, tmp_path / "clone")
    with hg.open(shop.root, lake=tmp_path / "clone") as clone:
        clone.relocate()
        shutil.rmtree(tmp_path / "shop" / "lake" / "data")
        assert plain_client(clone, "left") == [0, 1, 2]


@pytest.mark.parametrize("count", [1, 2, 4, 7])
def test_a_relocation_that_was_killed_is_begun_again(shop, tmp_path, count):
    moved_to(shop, tmp_path / "there").close()
    place = "headgate.lake.local_storage:LocalStorage.put"
    command = [sys.executable, str(KILLED), place, str(count), RELOCATE]
    done = subprocess.run(
        [*command, str(shop.root), str(tmp_path / "there")], check=False, timeout=60
    )
    assert done.returncode == -signal.SIGKILL
    with hg.open(shop.root, lake=tmp_path / "there") as moved:
        assert numbers(moved.table("left")) == [0, 1, 2]
        moved.relocate()
        assert plain_client(moved, "left") == [0, 1, 2]


# -- who may delete


def test_a_clone_may_not_delete_until_it_has_taken_over(shop, tmp_path):
    shop.lake.refuse_stranger()
    shutil.copytree(shop.settings.lake, tmp_path / "clone")
    with hg.open(shop.root, lake=tmp_path / "clone") as clone:
        with pytest.raises(Refused) as caught:
            clone.lake.refuse_stranger()
        assert caught.value.code == "not-the-owner"
        assert any("--take-over" in (finding.hint or "") for finding in clone.doctor())
        clone.take_over()
        clone.lake.refuse_stranger()
    shop.lake.refuse_stranger()


def test_a_renamed_lake_may_go_on_deleting(shop, tmp_path):
    with moved_to(shop, tmp_path / "there") as moved:
        moved.lake.refuse_stranger()


def test_a_metastore_put_back_by_hand_may_not_delete(shop):
    location = shop.settings.lake
    shop.lake.metastore.copy(location / "copy.sqlite")
    append(shop, "left", [7])
    shop.close()
    (location / "metastore.sqlite").rename(location / "old.sqlite")
    (location / "copy.sqlite").rename(location / "metastore.sqlite")
    with pytest.raises(Refused):
        shop.lake.refuse_stranger()
    shop.take_over()
    shop.lake.refuse_stranger()


def test_whoever_took_over_is_the_only_owner(shop, tmp_path):
    before = epochs.mark_of(shop.lake.storage)
    shop.take_over()
    after = epochs.mark_of(shop.lake.storage)
    assert (after.id, after.metastore) == (before.id, before.metastore)
    assert after.epoch != before.epoch
    shop.lake.metastore.take_epoch(before.epoch)  # as a copy has it that was taken before
    with pytest.raises(Refused) as caught:
        shop.lake.refuse_stranger()
    assert "took the lake over" in caught.value.message


def test_a_restored_lake_may_delete_and_the_original_still_may(shop, tmp_path):
    from headgate.project import restore_lake

    shop.backup(tmp_path / "b", link=True)
    restore_lake(tmp_path / "b", tmp_path / "again")
    with hg.open(shop.root, lake=tmp_path / "again") as again:
        again.lake.refuse_stranger()
        assert again.lake.id == shop.lake.id
        assert again.lake.metastore.epoch() != shop.lake.metastore.epoch()
        shutil.rmtree(tmp_path / "again" / "data")
    shop.lake.refuse_stranger()
    assert numbers(shop.table("left")) == [0, 1, 2]
