"""Upgrade, backup and restore on the command line: what they say, and how they end."""

import json
import tarfile
from pathlib import Path

import pytest

FIXTURE = Path(__file__).parents[1] / "lake" / "fixtures" / "format-1.tar.xz"


@pytest.fixture
def shop(tmp_path, headgate):
    """A project with a lake of format 1."""
    with tarfile.open(FIXTURE) as archive:
        archive.extractall(tmp_path)
    return tmp_path


def test_an_older_lake_names_the_command_that_mends_it(shop, headgate):
    refused = headgate("log", check=7)
    assert "headgate upgrade" in refused.stderr
    done = headgate("upgrade", check=0)
    assert "from format 1 to 2" in done.stderr
    assert str(shop / "lake" / "metastore.sqlite.format-1") in done.stderr
    assert json.loads(headgate("upgrade", "--json", check=0).stdout) == {
        "before": 2,
        "after": 2,
        "copy": None,
    }
    headgate("log", check=0)


def test_a_lake_is_backed_up_listed_and_restored(shop, headgate):
    headgate("upgrade", check=0)
    taken = json.loads(headgate("backup", "b", "--name", "one", "--verify", "--json").stdout)
    assert (taken["backup"]["name"], taken["problems"], taken["missing"]) == ("one", [], [])
    headgate("backup", "b", "--name", "one", check=7)
    headgate("backup", "lake/b", check=7)
    headgate("backup", "b", "--metadata-only", "--name", "meta", "--keep-days", "2", check=0)
    listed = json.loads(headgate("backups", "b", "--json", check=0).stdout)["backups"]
    assert [each["name"] for each in listed] == ["one", "meta"]
    held = {
        each["name"]: each for each in json.loads(headgate("backups", "--json").stdout)["backups"]
    }
    assert held["one"]["commits"] == []
    assert held["meta"]["expires"] is not None
    headgate("backups", "--forget", "meta", check=0)
    headgate("backups", "--forget", "meta", check=6)
    again = json.loads(headgate("restore", "b", "again", "--name", "one", "--json", check=0).stdout)
    assert again["problems"] == []
    shown = headgate("log", HEADGATE_LAKE_LOCATION="again", check=0).stdout
    assert shown == headgate("log", check=0).stdout
    headgate("restore", "b", "again", check=7)
    headgate("restore", "nowhere", "other", check=6)


def test_damage_in_a_backup_ends_with_9(shop, headgate):
    headgate("upgrade", check=0)
    headgate("backup", "b", check=0)
    for file in (shop / "b" / "data").rglob("*.parquet"):
        file.write_bytes(bytes(file.stat().st_size))
    ended = headgate("restore", "b", "again", "--verify", check=9)
    assert "not what was written" in ended.stderr
    headgate("branch", HEADGATE_LAKE_LOCATION="again", check=0)


def test_the_doctor_takes_over_and_relocates(shop, headgate):
    headgate("upgrade", check=0)
    (shop / "lake").rename(shop / "moved")
    (shop / "moved" / "lake.json").unlink()
    where = {"HEADGATE_LAKE_LOCATION": "moved"}
    found = headgate("doctor", check=0, **where).stdout
    assert "--relocate" in found
    assert "--take-over" in found
    done = headgate("doctor", "--take-over", "--relocate", check=0, **where)
    assert "Iceberg files of" in done.stderr
    assert "--take-over" not in done.stdout
    assert "--relocate" not in done.stdout
