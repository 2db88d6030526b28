"""Random histories of real runs on a real lake, interleaved step by step, and their serial orders.

Runs are threads, and exactly one of them moves at a time: a step waits until the schedule names its
run. The same runs are then executed one after another on plain dicts, in every order; at
``serializable`` one of these must give the very tables the lake has.
"""

import random
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Literal

from workplaces import Workplace

from headgate.errors import Conflict
from headgate.lake import Isolation, RunState

SHARED = ("s0", "s1")
KEYS = 4

Table = Counter[tuple[int, int]]


@dataclass(frozen=True)
class PlannedStep:
    """Writes one row, made of the sum of what it reads, to a table."""

    table: str
    mode: Literal["replace", "append", "upsert"]
    reads: tuple[str, ...]
    key: int

    def row(self, sums: Mapping[str, int]) -> tuple[int, int]:
        return self.key, (sum(sums[table] for table in self.reads) + self.key) % 9973


@dataclass(frozen=True)
class PlannedRun:
    """A run of one or two steps; the second may read what the first wrote."""

    number: int
    steps: tuple[PlannedStep, ...]

    @property
    def name(self) -> str:
        return f"run_{self.number}"

    def source(self) -> str:
        """Give the pipeline as Python text."""
        lines = ["import headgate as hg", "import polars as pl", ""]
        for index, step in enumerate(self.steps):
            arguments = ", ".join(f"{table}: pl.DataFrame" for table in step.reads)
            sums = ", ".join(f'"{table}": int({table}["v"].sum())' for table in step.reads)
            key = 'key="k", ' if step.mode == "upsert" else ""
            after = f'after=["step_{index - 1}"], ' if index else ""
            lines += [
                f'@hg.step(table="{step.table}", mode="{step.mode}", {key}{after})',
                f"def step_{index}({arguments}) -> pl.DataFrame:",
                f"    TURN({self.number})",
                f"    k, v = STEPS[{index}].row({{{sums}}})",
                '    return pl.DataFrame({"k": [k], "v": [v]})',
                "",
            ]
        return "\n".join(lines)


class Schedule:
    """Lets one run move at a time, in an order drawn by chance."""

    def __init__(self, runs: int, rng: random.Random) -> None:
        self._rng = rng
        self._waiting: set[int] = set()
        self._alive = runs
        self._current: int | None = None
        self._changed = threading.Condition()

    def turn(self, number: int) -> None:
        """Wait for the run's turn; everybody else stands still until the next call."""
        with self._changed:
            self._waiting.add(number)
            self._current = None if self._current == number else self._current
            self._pick()
            self._changed.wait_for(lambda: self._current == number, timeout=60)

    def leave(self, number: int) -> None:
        """End a run."""
        with self._changed:
            self._alive -= 1
            self._waiting.discard(number)
            self._current = None if self._current == number else self._current
            self._pick()

    def _pick(self) -> None:
        if self._current is None and self._waiting and len(self._waiting) == self._alive:
            self._current = self._rng.choice(sorted(self._waiting))
            self._waiting.discard(self._current)
            self._changed.notify_all()


def draw(rng: random.Random) -> tuple[PlannedRun, ...]:
    """Draw two to four runs."""
    runs = []
    count = rng.randint(2, 4)
    for number in range(count):
        steps: list[PlannedStep] = []
        for _ in range(rng.randint(1, 2)):
            free = [t for t in (*SHARED, f"own_{number}") if t not in {s.table for s in steps}]
            table = rng.choice(free)
            mode = "replace" if table.startswith("own") else rng.choice(["append", "upsert"])
            known = [*SHARED, *(f"own_{n}" for n in range(count))]
            reads = [t for t in rng.sample(known, rng.randint(0, 2)) if t != table]
            steps.append(
                PlannedStep(
                    table=table, mode=mode, reads=tuple(sorted(reads)), key=rng.randrange(KEYS)
                )
            )
        later = {step.table for step in steps[1:]}  # a step reads no table made after it
        first = replace(steps[0], reads=tuple(t for t in steps[0].reads if t not in later))
        runs.append(PlannedRun(number, (first, *steps[1:])))
    return tuple(runs)


def serially(runs: tuple[PlannedRun, ...], tables: Mapping[str, Table]) -> dict[str, Table]:
    """Execute runs one after another on dicts."""
    state = {name: Counter(rows) for name, rows in tables.items()}
    for run in runs:
        for step in run.steps:
            sums = {t: sum(v * n for (_, v), n in state[t].items()) for t in step.reads}
            row = step.row(sums)
            if step.mode == "replace":
                state[step.table] = Counter([row])
            elif step.mode == "append":
                state[step.table][row] += 1
            else:
                kept = {r: n for r, n in state[step.table].items() if r[0] != row[0]}
                state[step.table] = Counter({**kept, row: 1})
    return state


@dataclass(frozen=True)
class Played:
    """What a history came to: the runs published, the tables before and after, the losses."""

    published: tuple[PlannedRun, ...]
    before: Mapping[str, Table]
    after: Mapping[str, Table]
    losses: int

    @property
    def is_serializable(self) -> bool:
        """Whether some serial order gives exactly these tables."""
        return any(
            serially(order, self.before) == self.after for order in permutations(self.published)
        )


def play(place: Workplace, seed: int, isolation: Isolation) -> Played:
    """Run a random history on a lake's main branch."""
    rng = random.Random(seed)
    runs = draw(rng)
    names = [*SHARED, *(f"own_{run.number}" for run in runs)]
    with place.hall.transaction("main", name="reset") as transaction:
        for name in names:
            transaction.write(name, [{"k": rng.randrange(KEYS), "v": 1}], mode="replace")
    for run in runs:  # each owns its own table
        entry = place.lake.tree(place.lake.resolve("main")).get(f"table/own_{run.number}")
        assert entry is not None
    before = {name: _rows(place, name) for name in names}
    schedule = Schedule(len(runs), rng)
    ended: dict[int, object] = {}

    def one(run: PlannedRun) -> None:
        schedule.turn(run.number)
        try:
            pipeline = replace(place.pipeline(run.source(), name=run.name), isolation=isolation)
            for step in pipeline.steps:
                values = step.function.__globals__  # type: ignore[union-attr]
                values["TURN"], values["STEPS"] = schedule.turn, run.steps
            ended[run.number] = place.hall.run(pipeline, target="main")
        except Conflict as conflict:
            ended[run.number] = conflict
        except BaseException as error:  # noqa: BLE001 - told by the test's own thread
            ended[run.number] = error
        finally:
            schedule.leave(run.number)

    threads = [threading.Thread(target=one, args=(run,)) for run in runs]
    _together(threads)
    for end in ended.values():
        if isinstance(end, BaseException) and not isinstance(end, Conflict):
            raise end
    published = tuple(
        run for run in runs if getattr(ended[run.number], "state", None) is RunState.PUBLISHED
    )
    losses = sum(getattr(end, "losses", 0) for end in ended.values())
    after = {name: _rows(place, name) for name in names}
    return Played(published=published, before=before, after=after, losses=losses)


def _together(threads: list[threading.Thread]) -> None:
    start: Callable[[threading.Thread], None] = threading.Thread.start
    for thread in threads:
        start(thread)
    for thread in threads:
        thread.join(timeout=120)
        assert not thread.is_alive(), "a run hangs"


def _rows(place: Workplace, table: str) -> Table:
    return Counter((int(str(row["k"])), int(str(row["v"]))) for row in place.rows(table))
