"""Durability: every new file is synced, then every directory on the way to it."""

import pyarrow as pa
import pytest

from headgate.lake import sync
from headgate.lake.durability import directories

pytestmark = pytest.mark.on_disk


class Recorded:
    """Notes what is synced, and fails where it is told to."""

    def __init__(self, fails_at=None):
        self.calls = []
        self.fails_at = fails_at

    def file(self, path):
        self.note("file", path)

    def directory(self, path):
        self.note("directory", path)

    def note(self, kind, path):
        if path == self.fails_at:
            raise OSError(5, "Input/output error", path)
        self.calls.append((kind, path))


def test_files_come_first_then_directories_from_the_deepest_to_the_lake(bench):
    entry = bench.write(None, pa.table({"a": [1]}))
    entry = bench.write(entry, pa.table({"a": [2]}))
    recorded = Recorded()
    paths = bench.tables.new_paths(entry, None)
    sync(paths, location=bench.lake.location, by=recorded)
    root, uuid = str(bench.lake.location), entry.table.uuid
    files = [path for kind, path in recorded.calls if kind == "file"]
    assert set(files) == {f"{root}/{path}" for path in paths}
    assert len(files) == len(paths)
    assert recorded.calls[len(files) :] == [
        ("directory", f"{root}/data/{uuid}"),
        ("directory", f"{root}/metadata/{uuid}"),
        ("directory", f"{root}/data"),
        ("directory", f"{root}/metadata"),
        ("directory", root),
    ]


def test_a_sync_that_fails_stops_before_the_directories(bench):
    entry = bench.write(None, pa.table({"a": [1]}))
    paths = bench.tables.new_paths(entry, None)
    recorded = Recorded(fails_at=bench.tables.absolute(paths[0]))
    with pytest.raises(OSError, match="Input/output error"):
        sync(paths, location=bench.lake.location, by=recorded)
    assert "directory" not in {kind for kind, _ in recorded.calls}


def test_the_systems_own_sync_takes_files_and_directories(bench):
    entry = bench.write(None, pa.table({"a": [1]}))
    sync(bench.tables.new_paths(entry, None), location=bench.lake.location)
    with pytest.raises(FileNotFoundError):
        sync(["data/nothing"], location=bench.lake.location)
    sync([], location=bench.lake.location)


def test_directories_of_nested_files_are_each_given_once():
    assert directories(["/l/a/b/x", "/l/a/b/y", "/l/a/z"], "/l") == ["/l/a/b", "/l/a", "/l"]
