"""F10: a lake of 1k, 100k and 1M keys: branch, commit of 10, diff of 10, merge, look-up.

Every figure is of a handle opened anew on a lake in use: nothing decoded yet, the file in the
system's cache. "first branch" is the first write where nobody has the lake open: SQLite then makes
and syncs its log, whatever is written.
The peer is git's library, its tree laid out in a thousand directories, which suits it best.
"""

# ruff: noqa: B023 - what is timed is called at once

import argparse
import json
import random
import shutil
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measuring import WORK, report
from benchmarks.peers import environment
from headgate.clock import SystemClock
from headgate.lake import Commit, Entry, Lake, Record, RunRow, RunState, TableBody
from headgate.lake.commits import encode_commit
from headgate.lake.operations import Column
from headgate.names import RandomIds

PEER = Path(__file__).parent / "histories" / "run_pygit2.py"
SIZES = (1_000, 100_000, 1_000_000)
REPEAT = 25
CHANGED = 10
MUST_MS = {"branch": 1.0, "commit": 15.0, "merge": 15.0}
MUST_KB = 150.0
TIMES = 10.0

COLUMNS = tuple(Column(name=f"column_{n}", type="long", id=n) for n in range(1, 9))


@dataclass(slots=True)
class Subject:
    """A built lake, and the randomness that says what changes."""

    location: Path
    keys: list[str]
    chance: random.Random

    @contextmanager
    def opened(self) -> Iterator[Lake]:
        with Lake.open(self.location, clock=SystemClock(), ids=RandomIds()) as lake:
            lake.resolve("dev")
            yield lake

    def changes(self) -> dict[str, Entry | None]:
        return {key: entry(key, self.chance) for key in self.chance.sample(self.keys, CHANGED)}


def entry(key: str, chance: random.Random) -> Entry:
    """Give what a table of eight columns is stored as: some 500 bytes."""
    uuids = [str(uuid.UUID(int=chance.getrandbits(128))) for _ in range(2)]
    body = TableBody(
        uuid=uuids[0],
        metadata=f"tables/{key}/metadata/{chance.randrange(10**5):05d}-{uuids[1]}.metadata.json",
        schema=COLUMNS,
        rows=chance.randrange(10**7),
        size_bytes=chance.randrange(10**9),
        files=chance.randrange(20),
        owner="pipeline",
    )
    return Entry(kind="table", content=f"{chance.getrandbits(160):040x}", table=body)


def record(lake: Lake) -> Record:
    return Record(kind="transaction", at=lake.clock.now(), run=lake.ids.run_id())


def build(size: int) -> Subject:
    location = WORK / "lake_tree" / str(size)
    shutil.rmtree(location, ignore_errors=True)
    chance = random.Random(size)
    keys = [f"table/area{n % 997}.t{n:07d}" for n in range(size)]
    entries = {key: entry(key, chance) for key in keys}
    with Lake.create(location, clock=SystemClock(), ids=RandomIds()) as lake:
        lake.create_branch("dev", "main")
        began = time.perf_counter()
        lake.commit_to("dev", lake.compose(lake.resolve("main"), entries, record(lake)))
        built_s = time.perf_counter() - began
    line(size, "build", built_s * 1000, must=60_000.0)
    return Subject(location=location, keys=keys, chance=chance)


def measure(subject: Subject) -> tuple[dict[str, float], dict[str, float]]:
    """Give the medians of each piece of work: wall and CPU milliseconds; and KB a commit."""
    walls: dict[str, list[float]] = {}
    cpus: dict[str, list[float]] = {}
    stored_bytes: list[int] = []

    def timed(case: str, work: Callable[[], object]) -> None:
        began, cpu = time.perf_counter(), time.process_time()
        work()
        walls.setdefault(case, []).append((time.perf_counter() - began) * 1000)
        cpus.setdefault(case, []).append((time.process_time() - cpu) * 1000)

    for n in range(REPEAT):
        with subject.opened() as lake:
            timed("first branch", lambda: lake.create_branch(f"f{n}", "dev"))
    with subject.opened() as in_use:
        in_use.create_branch("in-use", "dev")
        _measure_in_use(subject, timed, stored_bytes)
    wall_ms = {case: statistics.median(times) for case, times in walls.items()}
    cpu_ms = {case: statistics.median(times) for case, times in cpus.items()}
    return {**wall_ms, "KB a commit": statistics.median(stored_bytes) / 1000}, cpu_ms


def _measure_in_use(
    subject: Subject,
    timed: Callable[[str, Callable[[], object]], None],
    stored_bytes: list[int],
) -> None:
    for n in range(REPEAT):
        with subject.opened() as lake:
            timed("branch", lambda: lake.create_branch(f"b{n}", "dev"))
        with subject.opened() as lake:
            tree = lake.tree(lake.resolve("dev"))
            timed("look-up", lambda: tree.get(subject.chance.choice(subject.keys)))
        ours = commit(subject, "dev", timed, stored_bytes)
        theirs = commit(subject, f"b{n}", timed, stored_bytes)
        with subject.opened() as lake:
            old, new = (lake.tree(at) for at in (lake.commit(ours.parent or ""), ours))
            timed("diff", lambda: list(old.diff(new)))
        with subject.opened() as lake:
            timed("merge", lambda: merge(lake, ours, theirs))
        with subject.opened() as lake:
            publish(lake, subject, timed)


def commit(
    subject: Subject,
    branch: str,
    timed: Callable[[str, Callable[[], object]], None],
    stored_bytes: list[int],
) -> Commit:
    changes = subject.changes()
    with subject.opened() as lake:
        done: list[Commit] = []

        def work() -> None:
            candidate = lake.compose(lake.resolve(branch), changes, record(lake))
            done.append(lake.commit_to(branch, candidate))
            nodes = sum(len(name) + len(node) for name, node in candidate.nodes.items())
            stored_bytes.append(nodes + len(encode_commit(candidate.commit)))

        timed("commit", work)
        return done[0]


def merge(lake: Lake, ours: Commit, theirs: Commit) -> Commit:
    """Bring what changed on one branch since the fork to the other; keys changed on both: ours."""
    base = lake.tree(lake.merge_base(ours, theirs))
    mine = {change.key for change in base.diff(lake.tree(ours))}
    changes = {
        change.key: change.after
        for change in base.diff(lake.tree(theirs))
        if change.key not in mine
    }
    return lake.commit_to("dev", lake.compose(ours, changes, record(lake)))


def publish(
    lake: Lake, subject: Subject, timed: Callable[[str, Callable[[], object]], None]
) -> None:
    """Publish ten changes to main, synced to the disk."""
    now, id = lake.clock.now(), lake.ids.run_id()
    head = lake.resolve("main")
    run = RunRow(
        id=id,
        pipeline="bench",
        target="main",
        branch=f"run/{id}",
        state=RunState.PUBLISHING,
        fence=1,
        base=head.id,
        began=now,
        owner="bench",
        lease_until=now,
    )
    lake.metastore.begin_run(run, fork_from=head.id)
    candidate = lake.compose(head, subject.changes(), record(lake))
    timed(
        "publish, synced",
        lambda: lake.metastore.publish(
            "main",
            head=head.id,
            commit=candidate.commit,
            nodes=candidate.nodes,
            run=id,
            fence=1,
        ),
    )


def peer(size: int) -> dict[str, float]:
    programs = environment("pygit2")
    if programs is None:
        return {}
    where = WORK / "lake_tree" / f"git-{size}"
    shutil.rmtree(where, ignore_errors=True)
    command = [str(programs / "python"), str(PEER), str(where), str(size), str(CHANGED)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=900)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def line(
    size: int,
    case: str,
    ours: float,
    *,
    unit: str = "ms",
    must: float | None = None,
    cpu_ms: float | None = None,
    peers: dict[str, float] | None = None,
) -> None:
    report(
        "F10",
        f"{case}, {size:,} keys",
        unit=unit,
        ours=ours,
        cpu_ms=cpu_ms,
        limit=None,
        peers=peers or {},
        must="" if must is None else f"<= {must:g} {unit}",
        reached=None if must is None else ours <= must,
    )


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    options.add_argument("--no-peer", action="store_true")
    asked = options.parse_args()
    smallest: dict[str, float] = {}
    for size in asked.sizes:
        subject = build(size)
        figures, cpu_ms = measure(subject)
        git = {} if asked.no_peer else peer(size)
        for case, ours in figures.items():
            unit = "KB" if case == "KB a commit" else "ms"
            must = MUST_KB if unit == "KB" else MUST_MS.get(case)
            if case in {"diff", "look-up"} and smallest:
                must = TIMES * smallest[case]
            peers = {"pygit2": git[case]} if case in git else {}
            cpu = cpu_ms.get(case)
            line(size, case, ours, unit=unit, must=must, cpu_ms=cpu, peers=peers)
        smallest = smallest or figures
        shutil.rmtree(subject.location, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
