"""Tables to compact, and compactions during which something else happens."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from workplaces import Workplace

from headgate.events import Event, StepProgressed
from headgate.lake import Commit, Entry, Rewrite
from headgate.runs.compaction import Compaction, compact
from headgate.runs.rewriting import rewrite

PARTITIONED = """
import headgate as hg
import polars as pl

@hg.step(mode="append", partition_by="part", key="k")
def numbers() -> pl.DataFrame:
    return pl.DataFrame({"part": ["a", "b"], "k": [1_001, 1_002], "v": [0, 0]})
"""


class Interlude:
    """A listener: something happens when a compaction has rewritten its first files."""

    def __init__(self, happens: Callable[[], None]) -> None:
        self._happens: Callable[[], None] | None = happens
        self._wrong: Exception | None = None

    def __call__(self, event: Event) -> None:
        """Let it happen, once."""
        happens = self._happens
        if happens is None or not isinstance(event, StepProgressed):
            return
        self._happens = None
        try:
            happens()
        except Exception as error:  # noqa: BLE001 - listeners stop nobody
            self._wrong = error

    def check(self) -> None:
        """Raise what went wrong in it."""
        assert self._happens is None, "it never happened"
        if self._wrong is not None:
            raise self._wrong


def rewritten_during(
    place: Workplace, happens: Callable[[], None], table: str = "numbers"
) -> tuple[Commit | None, tuple[Rewrite, ...]]:
    """Rewrite all that is planned of a table, in one commit; meanwhile something happens."""
    [plan] = place.hall.plan_compaction("main", (table,))
    interlude = Interlude(happens)
    found = rewrite(
        replace(place.hall.wiring, listeners=(*place.hall.wiring.listeners, interlude)),
        last(place),
        "main",
        table,
        entry(place, table),
        plan.groups,
    )
    interlude.check()
    return found


def compacted_during(
    place: Workplace, happens: Callable[[], None], table: str = "numbers"
) -> Compaction:
    """Compact a table; when its first files are written, something happens."""
    interlude = Interlude(happens)
    wiring = replace(place.hall.wiring, listeners=(*place.hall.wiring.listeners, interlude))
    [done] = compact(wiring, "main", (table,))
    interlude.check()
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


def stored(place: Workplace) -> set[str]:
    """Give the paths of every data file there is."""
    return {each.path for each in place.lake.storage.list("data")}
