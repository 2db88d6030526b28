"""Random histories: pipelines, runs of them, and in which order everything happens.

A plan is a value: the same seed gives the same plan, and a plan with something taken out is a plan.
What the steps compute depends on what they read, so that a wrong read shows in what is written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

from headgate.lake.records import Isolation

TABLES = ("a", "b", "c")
NAMES = ("one", "two", "three")


class Look(NamedTuple):
    """A step reads a table: all of it, or the rows with ``column`` between ``low`` and ``high``."""

    table: str
    column: str = ""
    low: int = 0
    high: int = 0


class Do(NamedTuple):
    """A step does something to a table; ``kind`` is an operation's name, in lower case."""

    kind: str
    table: str
    salt: int = 0
    low: int = 0
    high: int = 0
    column: tuple[str, str] = ("c", "long")


class StepPlan(NamedTuple):
    """A step: what it reads, then what it does.

    ``incremental`` names a table whose new rows it gets, ``source`` says that it reads on from its
    cursor in an endless source; both append their rows to ``target``.
    """

    name: str
    looks: tuple[Look, ...] = ()
    does: tuple[Do, ...] = ()
    incremental: str = ""
    source: bool = False
    target: str = ""
    lists: bool = False


class RunPlan(NamedTuple):
    """A run of a pipeline. A ``person``'s run is a branch by hand: no step can run again."""

    pipeline: int
    isolation: Isolation = "serializable"
    person: bool = False


class Happening(NamedTuple):
    """Something happens to a run, in the order of the plan."""

    kind: str
    run: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A history to be played."""

    seed: int
    shape: str
    pipelines: tuple[tuple[StepPlan, ...], ...]
    runs: tuple[RunPlan, ...]
    happenings: tuple[Happening, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What a family of histories is rich in: ranges, weights, and probabilities."""

    runs: tuple[int, int] = (3, 5)
    steps: tuple[int, int] = (1, 3)
    does: Mapping[str, int] = field(
        default_factory=lambda: {
            "append": 5,
            "upsert": 3,
            "partial": 2,
            "replace": 3,
            "delete": 2,
            "delete-key": 1,
            "widen": 1,
        }
    )
    tables: int = 3
    salts: int = 1000
    columns: tuple[str, ...] = ("key", "value")
    same_pipeline: float = 0.25
    narrow: float = 0.4
    more_does: float = 0.3
    blind: float = 0.25
    incremental: float = 0.06
    source: float = 0.06
    take_over: float = 0.05
    lost_answer: float = 0.05
    revert: float = 0.05
    cascade: float = 0
    person: float = 0.05
    lists: float = 0.03
    rewrite: float = 0.03
    in_turn: float = 0.4
    isolations: Sequence[Isolation] = ("serializable",)


SHAPES: Mapping[str, Shape] = {
    "mixed": Shape(),
    "levels": Shape(
        isolations=("serializable", "serializable", "snapshot-isolation", "fresh"),
    ),
    "operations": Shape(
        tables=2,
        blind=0.6,
        more_does=0.7,
        steps=(1, 2),
        does={"append": 4, "upsert": 4, "partial": 2, "delete": 4, "delete-key": 1, "replace": 1},
    ),
    "graph": Shape(
        runs=(4, 5),
        steps=(1, 1),
        more_does=0.2,
        narrow=0.5,
        blind=0.1,
        in_turn=0.1,
        same_pipeline=0,
    ),
    "footprints": Shape(
        runs=(7, 7),
        steps=(1, 1),
        tables=2,
        columns=("key",),
        narrow=1,
        blind=0.3,
        more_does=0,
        in_turn=0.4,
        same_pipeline=0,
        does={"append": 6, "delete": 4},
        incremental=0,
        source=0,
        take_over=0,
        lost_answer=0,
        revert=0,
        person=0,
        lists=0,
        rewrite=0,
    ),
    "outputs": Shape(
        tables=2,
        salts=1,
        steps=(1, 2),
        blind=1,
        more_does=0.7,
        in_turn=0.1,
        same_pipeline=0,
        incremental=0,
        source=0,
        rewrite=0,
        person=0,
        does={"replace": 4, "append": 1, "upsert": 2, "delete": 3},
    ),
    "stale": Shape(
        runs=(4, 5),
        steps=(2, 2),
        tables=2,
        same_pipeline=0.8,
        in_turn=0.75,
        revert=0.4,
        narrow=0,
        incremental=0,
        source=0,
        rewrite=0,
        person=0,
        blind=0.6,
        more_does=0,
        does={"append": 4, "replace": 1},
    ),
    "appends": Shape(
        runs=(3, 5),
        steps=(1, 2),
        more_does=0.5,
        in_turn=0.1,
        same_pipeline=0,
        does={"append": 8, "upsert": 2, "delete": 1},
    ),
    "skips": Shape(
        runs=(3, 4),
        same_pipeline=0.85,
        in_turn=0.8,
        revert=0.25,
        person=0,
        does={"append": 4, "upsert": 3, "partial": 1, "delete": 2, "replace": 4},
    ),
    "incremental": Shape(
        runs=(3, 5),
        same_pipeline=0.6,
        in_turn=0.6,
        incremental=0.6,
        source=0.15,
        revert=0.15,
        rewrite=0.15,
        tables=2,
        person=0,
        does={"append": 8, "upsert": 1, "delete": 1},
    ),
    "reverts": Shape(
        runs=(3, 4),
        in_turn=0.85,
        revert=0.7,
        tables=2,
        same_pipeline=0.3,
        does={"append": 5, "upsert": 3, "replace": 2, "delete": 2},
    ),
    "compactions": Shape(
        runs=(3, 5),
        steps=(1, 2),
        tables=2,
        rewrite=0.5,
        in_turn=0.2,
        same_pipeline=0.3,
        incremental=0.15,
        source=0,
        revert=0.15,
        person=0.15,
        blind=0.6,
        does={"append": 5, "upsert": 2, "delete": 2, "replace": 1},
    ),
    "cascades": Shape(
        runs=(3, 4),
        steps=(1, 2),
        in_turn=0.9,
        revert=0.6,
        cascade=1,
        same_pipeline=0.3,
        narrow=0,
        blind=0.3,
        incremental=0.1,
        source=0.1,
        does={"append": 5, "upsert": 2, "replace": 4, "delete": 1},
    ),
    "columns": Shape(
        runs=(2, 4),
        in_turn=0.2,
        does={"widen": 6, "append": 2, "replace": 1, "upsert": 1},
        tables=2,
    ),
    "people": Shape(runs=(3, 4), person=0.6, in_turn=0.2, steps=(2, 3), blind=0.1, same_pipeline=0),
    "zombies": Shape(
        runs=(2, 3), take_over=0.9, lost_answer=0.4, steps=(1, 3), blind=0.5, person=0.3
    ),
    "skew": Shape(
        runs=(2, 4),
        steps=(1, 1),
        in_turn=0.1,
        blind=0,
        same_pipeline=0,
        isolations=("snapshot-isolation",),
        revert=0,
        person=0,
    ),
}
"""Families of histories; every one is played by the soak, and each rule is missed most in one."""


def plan(seed: int, shape: str = "mixed") -> Plan:
    """Give the plan of a seed."""
    maker = _Maker(seed, shape)
    return maker.plan()


class _Maker:
    def __init__(self, seed: int, shape: str) -> None:
        self.random = Random(f"{shape}-{seed}")  # noqa: S311 - histories, not secrets
        self.seed = seed
        self.name = shape
        self.shape = SHAPES[shape]
        self.tables = TABLES[: self.shape.tables]

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def plan(self) -> Plan:
        random, shape = self.random, self.shape
        pipelines: list[tuple[StepPlan, ...]] = []
        runs: list[RunPlan] = []
        for _ in range(random.randint(*shape.runs)):
            isolation = random.choice(shape.isolations)
            if pipelines and self.chance(shape.same_pipeline):
                runs.append(RunPlan(random.randrange(len(pipelines)), isolation))
                continue
            person = self.chance(shape.person)
            pipelines.append(self.pipeline(person=person))
            runs.append(
                RunPlan(len(pipelines) - 1, "serializable" if person else isolation, person=person)
            )
        return Plan(
            seed=self.seed,
            shape=self.name,
            pipelines=tuple(pipelines),
            runs=tuple(runs),
            happenings=tuple(self.happenings(pipelines, runs)),
        )

    def pipeline(self, *, person: bool) -> tuple[StepPlan, ...]:
        count = self.random.randint(*self.shape.steps)
        return tuple(self.step(NAMES[i], person=person) for i in range(count))

    def step(self, name: str, *, person: bool) -> StepPlan:
        random, shape = self.random, self.shape
        if not person:
            kind = random.random()
            if kind < shape.incremental:
                return StepPlan(name, incremental=random.choice(self.tables), target=f"out-{name}")
            kind -= shape.incremental
            if kind < shape.source:
                return StepPlan(name, source=True, target=random.choice(self.tables))
            if kind - shape.source < shape.rewrite:
                return StepPlan(name, does=(Do("rewrite", random.choice(self.tables)),))
        looks = () if self.chance(shape.blind) else tuple(self.look() for _ in range(self.count()))
        table = random.choice(self.tables)
        does = [self.do(table)]
        while self.chance(shape.more_does) and len(does) < 3:  # noqa: PLR2004
            does.append(self.do(table if self.chance(0.7) else random.choice(self.tables)))
        return StepPlan(name, looks, tuple(does), lists=self.chance(shape.lists))

    def count(self) -> int:
        return 1 if self.chance(0.7) else 2

    def look(self) -> Look:
        random = self.random
        table = random.choice(self.tables)
        if not self.chance(self.shape.narrow):
            return Look(table)
        column = random.choice(self.shape.columns)
        low = random.randrange(4)
        return Look(table, column, low, low + random.randrange(2))

    def do(self, table: str) -> Do:
        random = self.random
        kind = random.choices(list(self.shape.does), list(self.shape.does.values()))[0]
        low = random.randrange(4)
        column = (random.choice("cd"), "long" if self.chance(0.8) else "string")
        return Do(
            kind, table, random.randrange(self.shape.salts), low, low + random.randrange(2), column
        )

    def happenings(
        self, pipelines: Sequence[tuple[StepPlan, ...]], runs: Sequence[RunPlan]
    ) -> list[Happening]:
        random, shape = self.random, self.shape
        queues = [self.life(i, run, len(pipelines[run.pipeline])) for i, run in enumerate(runs)]
        found: list[Happening] = []
        current = 0
        keep = shape.in_turn if self.chance(0.7) else random.random()
        while any(queues):
            if not queues[current] or not self.chance(keep):
                current = random.choice([i for i, queue in enumerate(queues) if queue])
            found.append(queues[current].pop(0))
        return found

    def life(self, index: int, run: RunPlan, steps: int) -> list[Happening]:
        random, shape = self.random, self.shape
        kinds = ["begin", *["step"] * steps]
        if run.person:
            for _ in range(random.randint(0, 2)):
                kinds.insert(random.randint(1, len(kinds)), "sync")
        last = "publish-lost" if self.chance(shape.lost_answer) else "publish"
        kinds += [last, "publish"] if last == "publish-lost" else [last]
        if not run.person and self.chance(shape.take_over):
            at = random.randint(1, len(kinds) - 1)
            kinds.insert(at, "take-over")
            for _ in range(random.randint(1, 3)):
                kinds.insert(random.randint(at + 1, len(kinds)), "zombie")
        if self.chance(shape.revert):
            cascades = shape.cascade and self.chance(shape.cascade)
            kinds.append("cascade" if cascades else "revert")
        return [Happening(kind, index) for kind in kinds]
