"""Tables to compact, and compactions during which something else happens."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from workplaces import Workplace

from headgate.lake import Commit, Entry
from headgate.runs.compaction import Compaction, compact
from headgate.runs.wiring import Wiring

PARTITIONED = """
import headgate as hg
import polars as pl

@hg.step(mode="append", partition_by="part", key="k")
def numbers() -> pl.DataFrame:
    return pl.DataFrame({"part": ["a", "b"], "k": [1_001, 1_002], "v": [0, 0]})
"""


class Interlude:
    """A disk on which something happens when the first file of a compaction is synced."""

    def __init__(self, happens: Callable[[], None]) -> None:
        self._happens: Callable[[], None] | None = happens

    def file(self, path: str) -> None:
        happens, self._happens = self._happens, None
        if happens is not None:
            happens()

    def directory(self, path: str) -> None:
        pass


def wired(place: Workplace, happens: Callable[[], None]) -> Wiring:
    """Give a workplace's wiring, with something that happens while files are synced."""
    return replace(place.hall.wiring, sync=Interlude(happens))


def compacted_during(
    place: Workplace, happens: Callable[[], None], table: str = "numbers"
) -> Compaction:
    """Compact a table; its new files are written when something happens."""
    [done] = compact(wired(place, happens), "main", (table,))
    return done


def appended(place: Workplace, table: str, *batches: Sequence[dict[str, object]]) -> None:
    """Append rows, a transaction for each batch."""
    for batch in batches:
        with place.hall.transaction("main") as transaction:
            transaction.write(table, list(batch), mode="append")


def small_files(place: Workplace, count: int = 6, table: str = "numbers") -> None:
    """Make a table of so many files of a row."""
    appended(place, table, *([{"k": k, "v": k}] for k in range(count)))


def entry(place: Workplace, table: str = "numbers", branch: str = "main") -> Entry:
    """Give a table's entry at the head of a branch."""
    found = place.lake.tree(place.lake.resolve(branch)).get(f"table/{table}")
    assert found is not None
    return found


def files(place: Workplace, table: str = "numbers") -> list[str]:
    """Give the paths of a table's files."""
    return [file.path for file in place.lake.tables.files(entry(place, table))]


def last(place: Workplace, branch: str = "main") -> Commit:
    """Give the head of a branch."""
    return place.lake.resolve(branch)


def on_disk(place: Workplace) -> set[str]:
    """Give the paths of every data file there is."""
    location = place.lake.location
    return {str(path.relative_to(location)) for path in (location / "data").rglob("*.parquet")}
