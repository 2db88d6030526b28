"""Random histories on two real lakes, one of which never has a certain run: reverts agree with it.

Pipelines ingest, report and chart in any order; people append, upsert and delete beside them. Any
published run is reverted, by any policy; what the lake is then is what the other one is.
"""

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from twin_lakes import DAYS, Twin

from headgate.errors import Refused
from headgate.lake import RunState

NOTES = "notes"


@dataclass(frozen=True)
class Event:
    """Something that happens on a day: a pipeline's run, or what a person does to the notes."""

    kind: Literal["ingest", "report", "chart", "other", "append", "upsert", "delete"]
    number: int
    key: int = 0

    def happen(self, lake: Twin) -> str | None:
        """Let it happen; give the run, None where nothing was published."""
        if self.kind in ("append", "upsert", "delete"):
            with lake.place.hall.transaction("main", name=self.kind) as change:
                rows = [{"k": self.key, "v": self.number}]
                if self.kind == "delete":
                    change.delete(NOTES, f"k = {self.key}")
                else:
                    change.write(NOTES, rows, mode=self.kind, key="k")  # type: ignore[arg-type]
            result = change.result
        elif self.kind == "ingest":
            DAYS[self.number] = _rows(self.number)
            result = lake.day(self.number)
        else:
            result = lake.run(self.kind)
        return result.id if result and result.state is RunState.PUBLISHED else None


def _rows(day: int) -> list[tuple[str, int]]:
    rng = random.Random(day)
    return [(rng.choice(["ann", "bob", "eve", "zoe"]), rng.randrange(100)) for _ in range(3)]


def draw(rng: random.Random, length: int) -> list[Event]:
    """Draw a history that begins with everything once."""
    kinds = ["ingest", "report", "chart", "other", "append", "upsert", "delete"]
    weights = [4, 4, 3, 1, 2, 2, 1]
    first = [Event("ingest", 101), Event("append", 102, 9), Event("report", 103)]
    first.append(Event("chart", 104))
    later = rng.choices(kinds, weights, k=length)
    return first + [
        Event(kind, 105 + i, rng.randrange(3))  # type: ignore[arg-type]
        for i, kind in enumerate(later)
    ]


def everything(lake: Twin) -> dict[str, object]:
    """Give all that is compared."""
    notes = lake.place.rows(NOTES)
    return {**lake.rows(), NOTES: notes, "cursor": lake.cursor()}


def play(root: Path, seed: int, policy: str) -> str:
    """Play a history, revert a run of it, compare; say what came of it."""
    rng = random.Random(seed)
    events = draw(rng, 7)
    lake = Twin(root / f"{seed}-with")
    runs = [event.happen(lake) for event in events]
    published = [i for i, run in enumerate(runs) if run is not None and i >= 4]
    if not published:
        return "nothing to revert"
    wrong = rng.choice(published)
    gone = {wrong}
    before = everything(lake)
    try:
        plan = lake.place.hall.plan_revert(
            runs[wrong] or "",
            target="main",
            policy=policy,  # type: ignore[arg-type]
        )
        if policy == "cascade":
            gone = {i for i, run in enumerate(runs) if run in plan.gone}
        lake.revert(runs[wrong] or "", policy)
    except Refused as refused:
        assert everything(lake) == before
        lake.place.close()
        return refused.code
    without = Twin(root / f"{seed}-without")
    for i, event in enumerate(events):
        if i not in gone and runs[i] is not None:  # what found nothing to do leaves no trace
            event.happen(without)
    told = f"seed {seed}: {events} without {sorted(gone)}"
    assert everything(lake) == everything(without), told
    if policy == "rebuild":
        assert lake.stale() == {}, told
    for i in sorted(gone):  # what a source still holds comes again, once
        if events[i].kind == "ingest":
            without.file(events[i].number)
    for each in (lake, without):
        each.run("ingest", "report", "chart")
    now, never = everything(lake), everything(without)
    assert now == never, told
    lake.place.close()
    without.place.close()
    return "equal"


@pytest.mark.parametrize(("policy", "seed"), [("cascade", 1), ("rebuild", 3)])
def test_a_revert_gives_the_lake_without_the_run(tmp_path: Path, policy: str, seed: int) -> None:
    assert play(tmp_path, seed, policy) == "equal"


@pytest.mark.soak
@pytest.mark.parametrize("policy", ["cascade", "rebuild"])
def test_sixty_reverts_give_the_lake_without_the_run(tmp_path: Path, policy: str) -> None:
    found = [play(tmp_path, seed, policy) for seed in range(100, 160)]
    assert found.count("equal") > 30, found
