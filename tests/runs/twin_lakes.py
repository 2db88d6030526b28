"""Lakes that live the same days, one of which never has a certain run: what a revert must give."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from workplaces import Workplace

from headgate.lake import RunRow
from headgate.pipelines import Pipeline
from headgate.runs import RunResult

INGEST = """
from typing import Annotated
import headgate as hg

class Order(hg.Contract):
    customer: Annotated[str, hg.one_of("ann", "bob", "eve", severity="quarantine")]
    amount: int

orders = hg.files("days/*.csv", mode="append", contract=Order)
"""

REPORT = """
from typing import Annotated
import headgate as hg
import polars as pl

totals = hg.sql_step("select customer, sum(amount)::bigint as total from orders group by customer")

@hg.step
def large(orders: Annotated[pl.DataFrame, hg.incremental]) -> pl.DataFrame:
    return orders.filter(pl.col("amount") >= 50)

@hg.step(mode="append")
def counts(orders: pl.DataFrame) -> pl.DataFrame:
    return pl.DataFrame({"rows": [orders.height]})
"""

CHART = """
import headgate as hg
best = hg.sql_step("select max(total)::bigint as best from totals")
"""

OTHER = """
import headgate as hg
aside = hg.sql_step("select 1 as one")
"""

SOURCES = {"ingest": INGEST, "report": REPORT, "chart": CHART, "other": OTHER}
DAYS: dict[int, Sequence[tuple[str, int]]] = {
    1: [("ann", 10), ("bob", 60)],
    2: [("ann", 900), ("eve", 70), ("zoe", 1)],
    3: [("bob", 55), ("ann", 5), ("kim", 2)],
}
TABLES = ("orders", "_quarantine.orders", "totals", "large", "counts", "best")


class Twin:
    """A lake with its pipelines, which lives days."""

    def __init__(self, root: Path) -> None:
        root.mkdir(exist_ok=True)
        self.place = Workplace(root)
        self.pipelines = {name: self.place.pipeline(text, name) for name, text in SOURCES.items()}

    def file(self, day: int) -> None:
        """Put a day's file there."""
        days = self.place.root / "days"
        days.mkdir(exist_ok=True)
        lines = "".join(f"{customer},{amount}\n" for customer, amount in DAYS[day])
        (days / f"{day}.csv").write_text(f"customer,amount\n{lines}")

    def run(self, *names: str) -> RunResult:
        """Run pipelines, one after another; give the last result."""
        for name in names:
            result = self.place.hall.run(self.pipelines[name], target="main")
        return result

    def day(self, day: int) -> RunResult:
        """Put a day's file there and ingest it."""
        self.file(day)
        return self.run("ingest")

    def remake(self, row: RunRow) -> tuple[Pipeline, Mapping[str, Mapping[str, object]]]:
        """Give a run's pipeline, as a project would."""
        return self.pipelines[row.pipeline], {}

    def revert(self, run: str, policy: str = "stale", *, keep_cursor: bool = False) -> RunResult:
        """Revert a run."""
        return self.place.hall.revert(
            run,
            target="main",
            policy=policy,  # type: ignore[arg-type]
            keep_cursor=keep_cursor,
            remake=self.remake,
        )

    def rows(self) -> dict[str, object]:
        """Give what readers see: rows that tell nothing of when they came."""
        found: dict[str, object] = {}
        for table in TABLES:
            try:
                rows = self.place.rows(table)
            except LookupError:
                found[table] = None
                continue
            told = [{k: v for k, v in row.items() if k not in HOW_IT_CAME} for row in rows]
            found[table] = sorted(map(str, told))
        return found

    def cursor(self) -> object:
        """Give the cursor of the source."""
        lake = self.place.lake
        entry = lake.tree(lake.resolve("main")).get("cursor/ingest/orders")
        return entry.data if entry else None

    def stale(self) -> dict[str, tuple[str, ...]]:
        """Give the tables that are marked stale, and by which runs."""
        tree = self.place.lake.tree(self.place.lake.resolve("main"))
        return {
            key.removeprefix("table/"): entry.stale
            for key, entry in tree.items("table/")
            if entry.stale
        }


HOW_IT_CAME = ("id", "run", "step", "attempt", "quarantined_at", "position")
