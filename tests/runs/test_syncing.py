"""Before a commit is visible, every file it can reach is on disk, and every directory of theirs."""

from dataclasses import replace
from pathlib import Path

import pytest
from workplaces import Workplace

from headgate.runs import Hall

pytestmark = pytest.mark.on_disk  # they act while files are synced


PIPELINE = """
import headgate as hg
import polars as pl

@hg.step(mode="append")
def one() -> pl.DataFrame:
    return pl.DataFrame({"n": [VALUE]})

@hg.step(mode="upsert", key="n")
def two(one: pl.DataFrame) -> pl.DataFrame:
    return one.unique()

three = hg.sql_step("select count(*) as n from two")
"""


class Recorder:
    """Syncs nothing; notes what should be, and what the target's head was at that moment."""

    def __init__(self, place: Workplace) -> None:
        self._place = place
        self.files: set[str] = set()
        self.directories: set[str] = set()
        self.heads: set[str] = set()

    def file(self, path: str) -> None:
        self.files.add(str(Path(path)))
        self.heads.add(self._place.head())

    def directory(self, path: str) -> None:
        self.directories.add(str(Path(path)))
        self.heads.add(self._place.head())


class Refusing:
    """A disk that is full when it comes to syncing."""

    def file(self, path: str) -> None:
        raise OSError(28, "No space left on device", path)

    def directory(self, path: str) -> None:
        raise OSError(28, "No space left on device", path)


def reachable(place: Workplace) -> set[Path]:
    """Walk everything the head reaches, by PyIceberg's own reading of the metadata."""
    from pyiceberg.table import StaticTable

    lake = place.lake
    found: set[Path] = set()
    for key, entry in lake.tree(lake.resolve("main")).items("table/"):
        assert entry.table is not None, key
        metadata = place.lake.location / entry.table.metadata
        found.add(metadata)
        table = StaticTable.from_metadata(str(metadata))
        snapshot = table.current_snapshot()
        if snapshot is None:
            continue
        found.add(Path(snapshot.manifest_list.removeprefix("file://")))
        for manifest in snapshot.manifests(table.io):
            found.add(Path(manifest.manifest_path.removeprefix("file://")))
            found.update(
                Path(one.data_file.file_path.removeprefix("file://"))
                for one in manifest.fetch_manifest_entry(table.io)
            )
    return found


def with_sync(place: Workplace, sync: object) -> Hall:
    return Hall(replace(place.hall.wiring, sync=sync), evaluator="duckdb")  # type: ignore[arg-type]


def test_all_that_becomes_reachable_is_synced_while_the_old_head_stands(place: Workplace) -> None:
    place.hall.run(place.pipeline(PIPELINE.replace("VALUE", "1")), target="main")
    known, head = reachable(place), place.head()
    recorder = Recorder(place)
    with_sync(place, recorder).run(place.pipeline(PIPELINE.replace("VALUE", "2")), target="main")
    fresh = {str(path) for path in reachable(place) - known}
    assert len(fresh) >= 9
    assert fresh <= recorder.files
    assert recorder.heads == {head}
    for path in fresh:
        parent = Path(path).parent
        while parent != place.lake.location:
            assert str(parent) in recorder.directories
            parent = parent.parent
    assert str(place.lake.location) in recorder.directories


def test_a_refused_sync_publishes_nothing(place: Workplace) -> None:
    place.hall.run(place.pipeline(PIPELINE.replace("VALUE", "1")), target="main")
    head = place.head()
    hall = with_sync(place, Refusing())
    with pytest.raises(Exception, match="No space left"):
        hall.run(place.pipeline(PIPELINE.replace("VALUE", "2")), target="main")
    assert place.head() == head
    assert place.hall.open_runs()[0].state == "failed"
