"""Backups: one state, taken beside running work; restored whole; killed anywhere, begun again."""

import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

import headgate as hg
from headgate.errors import AlreadyExists, Corrupt, NotFound, Refused
from headgate.lake import RunState
from headgate.project import list_backups, restore_lake

HERE = Path(__file__).parent
WRITER = HERE / "lake_writer.py"
KILLED = HERE / "killed_at.py"
BACKUP = "import headgate as hg; hg.open(argv[0]).backup(argv[1])"
RESTORE = "from headgate.project import restore_lake; restore_lake(argv[0], argv[1])"


@pytest.fixture
def shop(tmp_path):
    """A project whose lake has two tables, a tag, a branch and a failed run."""
    directory = tmp_path / "shop"
    directory.mkdir()
    (directory / "headgate.toml").write_text("")
    with hg.open(directory) as project:
        write(project, "left", [1, 2])
        write(project, "right", [1, 2])
        project.lake.create_tag("first", "main")
        project.lake.create_branch("dev", "main")
        with project.transaction("dev") as tx:
            tx.delete("left", "n = 1")
        write(project, "left", [3], mode="upsert", key="n")
        yield project


def write(project, table, numbers, mode="append", **options):
    with project.transaction("main", name=table) as tx:
        tx.write(table, pa.table({"n": numbers}), mode=mode, **options)


def opened(project, lake):
    return hg.open(project.root, lake=lake)


def contents(project, ref):
    tables = project.at(ref).tables
    return {
        name: sorted(project.table(name, ref=ref).to_arrow()["n"].to_pylist()) for name in tables
    }


def test_a_restored_lake_shows_what_every_ref_showed(shop, tmp_path):
    shop.backup(tmp_path / "b")
    done = restore_lake(tmp_path / "b", tmp_path / "again", checksums=True)
    assert done.problems == ()
    with opened(shop, tmp_path / "again") as again:
        for ref in ("main", "main~1", "main~2", "first", "dev"):
            assert again.lake.resolve(ref) == shop.lake.resolve(ref)
            assert contents(again, ref) == contents(shop, ref)
        write(again, "left", [9])
    assert 9 not in contents(shop, "main")["left"]


def test_files_of_an_earlier_backup_are_not_copied_again(shop, tmp_path):
    first = shop.backup(tmp_path / "b", name="one")
    write(shop, "left", [7])
    second = shop.backup(tmp_path / "b", name="two")
    assert first.there == 0
    assert 0 < second.files < first.files
    assert [each.name for each in list_backups(tmp_path / "b")] == ["one", "two"]
    assert shop.verify_backup(tmp_path / "b", "one") == ()
    assert shop.verify_backup(tmp_path / "b", "two") == ()


def test_a_backup_while_others_publish_is_one_of_their_commits(shop, tmp_path):
    command = [sys.executable, str(WRITER), str(shop.root), "25"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        published = [writer.stdout.readline().strip()]
        for number in range(3):
            shop.backup(tmp_path / "b", name=f"n{number}")
            published.append(writer.stdout.readline().strip())
        published += [line.strip() for line in writer.stdout]
    assert writer.returncode == 0
    for number in range(3):
        lake = tmp_path / f"lake{number}"
        assert restore_lake(tmp_path / "b", lake, name=f"n{number}", checksums=True).problems == ()
        with opened(shop, lake) as again:
            head = again.lake.branch("main").head
            assert head in published
            assert contents(again, "main") == contents(shop, head)
            assert len(contents(again, "main")["left"]) == len(contents(again, "main")["right"]) + 1


def killed(place, count, statements, *arguments):
    command = [sys.executable, str(KILLED), place, str(count), statements, *map(str, arguments)]
    done = subprocess.run(command, check=False, timeout=60, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


@pytest.mark.parametrize(
    ("place", "count"),
    [
        ("headgate.lake.sqlite:SqliteDatabase.copy", 1),
        ("headgate.lake.file_copies:copy_file", 1),
        ("headgate.lake.file_copies:copy_file", 7),
        ("headgate.lake.file_copies:_write", 9),
        ("headgate.lake.backups:_write_manifest", 1),
    ],
)
def test_a_backup_that_was_killed_is_none_and_the_next_goes_on(shop, tmp_path, place, count):
    killed(place, count, BACKUP, shop.root, tmp_path / "b")
    assert list_backups(tmp_path / "b") == ()
    (held,) = shop.lake.metastore.backups()
    assert held.expires is not None
    done = shop.backup(tmp_path / "b")
    assert shop.verify_backup(tmp_path / "b") == ()
    assert done.there > 0 or count == 1


@pytest.mark.parametrize(
    ("place", "count"),
    [
        ("headgate.lake.file_copies:copy_file", 4),
        ("headgate.lake.sqlite:SqliteDatabase.prepare", 1),
        ("headgate.lake.restoring:_begin_anew", 1),
        ("headgate.lake.restoring:_problems", 1),
        ("os:link", 1),
    ],
)
def test_a_restore_that_was_killed_leaves_no_lake_and_goes_on(shop, tmp_path, place, count):
    shop.backup(tmp_path / "b")
    killed(place, count, RESTORE, tmp_path / "b", tmp_path / "again")
    with pytest.raises((NotFound, Corrupt)), opened(shop, tmp_path / "again") as none:
        none.lake.branches()
    assert restore_lake(tmp_path / "b", tmp_path / "again", checksums=True).problems == ()
    with opened(shop, tmp_path / "again") as again:
        assert contents(again, "main") == contents(shop, "main")
    left = {path.name for path in (tmp_path / "again").iterdir() if path.name.startswith(".")}
    assert left == set()


def test_a_run_at_work_is_parked_in_the_copy(shop, tmp_path):
    tx = shop.transaction("main", name="open")
    with pytest.raises(ZeroDivisionError), tx:
        tx.write("left", pa.table({"n": [5]}), mode="append")
        shop.backup(tmp_path / "b")
        raise ZeroDivisionError
    done = restore_lake(tmp_path / "b", tmp_path / "again")
    assert len(done.parked) == 1
    with opened(shop, tmp_path / "again") as again:
        row = again.find_run(done.parked[0])
        assert (row.state, row.reason["code"]) == (RunState.PARKED, "restored")
        assert again.abandon(row.id).state is RunState.ABANDONED


def test_a_lost_metastore_is_restored_where_its_files_are(shop, tmp_path):
    shop.backup(tmp_path / "b", metadata_only=True, name="meta")
    (held,) = shop.lake.metastore.backups()
    assert (held.name, held.expires) == ("meta", None)
    assert shop.lake.branch("main").head in held.commits
    before, location = contents(shop, "main"), shop.settings.lake
    shop.close()
    (location / "metastore.sqlite").unlink()
    done = restore_lake(tmp_path / "b", location, checksums=True)
    assert (done.files, done.problems) == (0, ())
    assert contents(shop, "main") == before
    assert [each.name for each in shop.lake.metastore.backups()] == ["meta"]


def test_a_metadata_backup_is_restored_elsewhere_from_the_lakes_files(shop, tmp_path):
    shop.backup(tmp_path / "b", metadata_only=True)
    assert restore_lake(tmp_path / "b", tmp_path / "again", checksums=True).problems == ()
    with opened(shop, tmp_path / "again") as again:
        assert contents(again, "main") == contents(shop, "main")
        assert again.lake.metastore.backups() == []


def test_what_is_damaged_in_a_backup_is_said_and_the_rest_restored(shop, tmp_path):
    shop.backup(tmp_path / "b")
    file = next((tmp_path / "b" / "data").rglob("*.parquet"))
    file.write_bytes(bytes(file.stat().st_size))
    assert any(file.name in problem for problem in shop.verify_backup(tmp_path / "b"))
    done = restore_lake(tmp_path / "b", tmp_path / "again", checksums=True)
    assert any(file.name in problem for problem in done.problems)
    with opened(shop, tmp_path / "again") as again:
        assert again.lake.resolve("main") == shop.lake.resolve("main")


def test_a_damaged_metastore_is_not_restored(shop, tmp_path):
    shop.backup(tmp_path / "b", name="one")
    with (tmp_path / "b" / "one.sqlite").open("r+b") as file:
        file.seek(5000)
        file.write(b"damage")
    with pytest.raises(Corrupt) as caught:
        restore_lake(tmp_path / "b", tmp_path / "again")
    assert caught.value.code == "backup-damaged"


def test_a_file_that_a_head_needs_and_that_is_gone_refuses_the_backup(shop, tmp_path):
    (file,) = shop.lake.tables.files(shop.at("main").tree.get("table/right"))
    Path(shop.lake.tables.absolute(file.path)).unlink()
    with pytest.raises(Corrupt) as caught:
        shop.backup(tmp_path / "b")
    assert caught.value.code == "data-file-missing"
    assert list_backups(tmp_path / "b") == ()
    assert shop.lake.metastore.backups() == []


def test_a_place_for_backups_is_one_lakes_own(shop, tmp_path):
    with pytest.raises(Refused) as caught:
        shop.backup(shop.settings.lake / "b")
    assert caught.value.code == "backup-inside-the-lake"
    shop.backup(tmp_path / "b", name="one")
    with pytest.raises(AlreadyExists):
        shop.backup(tmp_path / "b", name="one")
    with opened(shop, tmp_path / "other") as other:
        write(other, "left", [1])
        with pytest.raises(Refused) as caught:
            other.backup(tmp_path / "b")
    assert caught.value.code == "another-lakes-backups"


def test_a_name_whose_files_the_lake_keeps_is_not_taken_elsewhere(shop, tmp_path):
    shop.backup(tmp_path / "b", name="monthly", metadata_only=True)
    with pytest.raises(AlreadyExists) as caught:
        shop.backup(tmp_path / "elsewhere", name="monthly")
    assert caught.value.facts["path"] == str(tmp_path / "b")
    (kept,) = shop.lake.metastore.backups()
    assert kept.commits
    shop.forget_backup("monthly")
    assert shop.backup(tmp_path / "elsewhere", name="monthly").missing == ()


def test_a_lake_is_not_restored_over_anything(shop, tmp_path):
    shop.backup(tmp_path / "b")
    with pytest.raises(AlreadyExists):
        restore_lake(tmp_path / "b", shop.settings.lake)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter.txt").write_text("dear")
    with pytest.raises(Refused) as caught:
        restore_lake(tmp_path / "b", tmp_path / "home")
    assert caught.value.code == "directory-not-empty"


def test_hard_links_share_bytes_and_not_names(shop, tmp_path):
    shop.backup(tmp_path / "b", link=True)
    file = next((tmp_path / "b" / "data").rglob("*.parquet"))
    assert file.stat().st_nlink == 2
    restore_lake(tmp_path / "b", tmp_path / "again")
    file.unlink()
    assert contents(shop, "main") == contents(shop, shop.lake.branch("main").head)
    assert shop.doctor(files=True)
