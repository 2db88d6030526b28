"""F12: upsert 1 % and 10 % of 10M rows in 20 files, by random keys and by recent ones.

Ours: a transaction that upserts a Parquet file, from its beginning to its publication, syncs
included. The limit is DuckDB rewriting exactly the files hit, which it is told, in one COPY, and a
sync of what it wrote; the same encodings. Recent keys: nine in ten are the table's last ones, one
is new. Works run in turns, each in a process of its own, after a small one that loads libraries.
Peers run in throw-away environments; PyIceberg has a tenth of table and input, and is compared by
ten times its time. A row counts as reached where wall or CPU is: machines are shared.
"""

import argparse
import json
import os
import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.measuring import WORK, process, report
from benchmarks.peers import environment

if TYPE_CHECKING:
    from headgate.filesets import NativeFiles
    from headgate.project import Project

MUST = 1.5
FILES = 20
THREADS = 2
PEERS = ("deltalake", "pyiceberg")
CASES = ("random-1", "random-10", "recent-1", "recent-10")
SCRIPTS = Path(__file__).parent / "keyed_peers"
ROW = (
    "i::bigint as id, 'cust-' || (hash(i, {s}) % 500000) as customer, (hash(i, {s}, 1) % 1000)::int"
    " as quantity, (hash(i, {s}, 2) % 100000 / 100)::decimal(12, 2) as amount, "
    "(hash(i, {s}, 3) % 1000000) / 1000.0 as price, timestamp '2024-01-01' + to_seconds(i::bigint) "
    "as placed_at, date '2024-01-01' + (i // 86400)::int as placed_on, "
    "(['new', 'paid', 'sent', 'back'])[(1 + hash(i, {s}, 4) % 4)::bigint] as status, "
    "hash(i, {s}, 5) % 2 = 0 as active, 'note ' || hash(i, {s}, 6) % 1000000 as note"
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="keyed_writes", description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--memory", default="2GB", help="DuckDB's limit, for ours and the limit")
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--case", choices=CASES, action="append")
    parser.add_argument("--work", choices=sorted(_WORKS), help=argparse.SUPPRESS)
    given = parser.parse_args()
    home = _home(given.rows)
    cases = given.case or CASES
    if given.work:
        _measured(_WORKS[given.work], home, cases[0], given.memory)
        return
    _generate(home, given.rows)
    shutil.rmtree(home / "ours", ignore_errors=True)
    _build(home)
    for case in cases:
        ours, limits = [], []
        for _ in range(given.repeat):
            limits.append(_own("limit", given.rows, case, given.memory))
            ours.append(_own("ours", given.rows, case, given.memory))
        peers = {
            name: figures
            for name in (PEERS if given.peers else ())
            if (figures := _peer(name, given.rows, case)) is not None
        }
        wall, limit = (median(one["s"] for one in each) for each in (ours, limits))
        cpu, limit_cpu = (median(one["cpu_s"] for one in each) for each in (ours, limits))
        report(
            "F12",
            f"{case.replace('-', ' keys, ')} % of {given.rows / 1e6:g}M rows",
            unit="s",
            ours=wall,
            limit=limit,
            ratio=round(wall / limit, 3),
            cpu=cpu,
            limit_cpu=limit_cpu,
            peak_mb=max(one["peak_mb"] for one in ours),
            limit_peak_mb=max(one["peak_mb"] for one in limits),
            files_rewritten=ours[0]["files"],
            peer={f"{name}{each['of']}": each["s"] for name, each in peers.items()},
            peer_detail=peers,
            must=f"<= {MUST}x, ahead of all",
            reached=min(wall / limit, cpu / limit_cpu) <= MUST
            and all(wall < _scaled(each, given.rows) for each in peers.values()),
        )
    shutil.rmtree(home / "ours")


def _home(rows: int) -> Path:
    return WORK / "keyed_writes" / str(rows)


def _generate(home: Path, rows: int) -> None:
    """Write the table's files and the inputs once."""
    import duckdb

    if (home / "done").exists():
        return
    shutil.rmtree(home, ignore_errors=True)
    (home / "table").mkdir(parents=True)
    each = rows // FILES
    with duckdb.connect() as connection:

        def copy(select: str, path: Path) -> None:
            connection.execute(f"copy ({select}) to '{path}' (format parquet, compression zstd)")

        for number in range(FILES):
            keys = f"range({number * each}, {(number + 1) * each}) t(i)"
            copy(f"select {ROW.format(s=1)} from {keys}", home / f"table/{number:02}.parquet")
        for share in (1, 10):
            some = rows * share // 100
            random = f"(select distinct hash(x, 7) % {rows} as i from range({2 * some}) t(x))"
            random = f"(select i from {random} order by hash(i) limit {some})"
            copy(f"select {ROW.format(s=2)} from {random}", home / f"random-{share}.parquet")
            recent = f"range({rows - some * 9 // 10}, {rows + some // 10}) t(i)"
            copy(f"select {ROW.format(s=2)} from {recent}", home / f"recent-{share}.parquet")
        copy(f"select {ROW.format(s=3)} from range(100) t(i)", home / "small.parquet")
    (home / "done").touch()


def _own(work: str, rows: int, case: str, memory: str) -> dict[str, float]:
    """Run one of our works in a process of its own, so that memory is its own."""
    command = [sys.executable, "-m", "benchmarks.keyed_writes", "--work", work, "--case", case]
    done = process([*command, "--rows", str(rows), "--memory", memory], repeat=1)
    figures: dict[str, float] = json.loads(done.output.splitlines()[-1])
    return figures


def _peer(name: str, rows: int, case: str) -> Mapping[str, object] | None:
    programs = environment(name)
    if programs is None:
        return None
    of = ""
    if name == "pyiceberg":
        rows //= 10
        of = f" ({rows / 1e6:g}M rows)"
        _generate(_home(rows), rows)
    home = _home(rows)
    script = SCRIPTS / f"{name}_upsert.py"
    command = [programs / "python", script, home, home / f"{case}.parquet", "1"]
    try:
        done = process(command, repeat=1, timeout_s=300)
    except RuntimeError as error:
        sys.stderr.write(f"  {name}: {error}\n")
        return None
    return {**json.loads(done.output.splitlines()[-1]), "of": of, "of_rows": rows}


def _scaled(peer: Mapping[str, object], rows: int) -> float:
    """Give what a peer would take for a table of our size, were its time linear."""
    return float(str(peer["s"])) * rows / float(str(peer["of_rows"]))


def _measured(
    work: Callable[[Path, str, str], Iterator[object]], home: Path, case: str, memory: str
) -> None:
    steps = work(home, case, memory)
    next(steps)  # libraries are loaded, what is open stays open
    began, cpu = time.perf_counter(), time.process_time()
    files = next(steps)
    figures = {
        "s": round(time.perf_counter() - began, 3),
        "cpu_s": round(time.process_time() - cpu, 3),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "files": files,
    }
    print(json.dumps(figures))
    steps.close()


# -- ours


def _project(home: Path, memory: str) -> "Project":
    import headgate as hg

    place = home / "ours"
    place.mkdir(exist_ok=True)
    (place / "headgate.toml").write_text("[lake]\ncompact_after = 0\n")
    engine = {"HEADGATE_ENGINE_THREADS": str(THREADS), "HEADGATE_ENGINE_MEMORY_LIMIT": memory}
    return hg.open(place, environment=engine)


def _parquet(path: Path) -> "NativeFiles":
    from headgate.filesets import NativeFiles

    return NativeFiles(paths=(str(path),), format="parquet")


def _build(home: Path) -> None:
    with _project(home, "4GB") as project:
        for path in sorted((home / "table").glob("*.parquet")):
            with project.transaction() as transaction:
                transaction.write("orders", _parquet(path), key="id")


def _ours(home: Path, case: str, memory: str) -> Iterator[object]:
    with _project(home, memory) as project:
        for branch, path in (("small", home / "small.parquet"), ("work", home / f"{case}.parquet")):
            project.lake.create_branch(branch, "main")
            yield from () if branch == "small" else (None,)
            with project.transaction(branch) as transaction:
                done = transaction.write("orders", _parquet(path), mode="upsert", key="id")
            project.lake.delete_branch(branch)
        rows = done.writes[0].rows
        yield rows.files_rewritten if rows else 0


# -- the limit


def _limit(home: Path, case: str, memory: str) -> Iterator[object]:
    import duckdb

    paths = sorted((home / "table").glob("*.parquet"))
    last = {"recent-1": 1, "recent-10": 2}.get(case, len(paths))
    hit = ", ".join(f"'{path}'" for path in paths[-last:])
    given = f"read_parquet('{home / case}.parquet')"
    target = home / "limit.parquet"
    with duckdb.connect(config={"threads": THREADS, "memory_limit": memory}) as connection:
        connection.execute(f"select count(*) from read_parquet('{home / 'small.parquet'}')")
        yield None
        connection.execute(
            f"copy (select h.* from read_parquet([{hit}]) h where not exists "
            f"(select 1 from {given} i where i.id = h.id) union all from {given}) to '{target}' "
            "(format parquet, compression zstd, compression_level 1, parquet_version 'V1', "
            "write_bloom_filter false)"
        )
        with target.open("rb") as file:
            os.fsync(file.fileno())
        target.unlink()
        yield last


_WORKS = {"ours": _ours, "limit": _limit}

if __name__ == "__main__":
    main()
