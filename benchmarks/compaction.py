"""Compaction: what small files cost, how fast they are rewritten, and whom it holds up.

Appends are transactions of one row, as people make them. The limit of the rewriting is DuckDB's
bare ``COPY`` of the same files with the same Parquet options, sorted where ours sorts; beside it
ours checks every byte it reads, digests and syncs what it writes, and commits.
"""

import gc
import shutil
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from benchmarks.measuring import WORK, report
from headgate.lake import table_key
from headgate.project import Project, open_project

APPENDS = (10, 1_000, 10_000)
AROUND = 40
FILES, ROWS = 40, 400_000
OPTIONS = "format parquet, compression zstd, compression_level 1, parquet_version 'V1'"


def main() -> None:
    appends()
    throughput()
    beside()


# -- a table of one-row files


def appends() -> None:
    with made("compaction_appends") as project:
        first: dict[str, float] = {}
        for at in APPENDS:
            while files(project) < at - AROUND // 2:
                append(project, "t", files(project))
            gc.collect()
            before = metadata_bytes(project)
            walls = [seconds(lambda: append(project, "t", files(project))) for _ in range(AROUND)]
            wall = statistics.median(walls) * 1000
            size = (metadata_bytes(project) - before) / AROUND / 1000
            first.setdefault("ms", wall)
            first.setdefault("kB", size)
            report(
                "COMPACTION",
                f"append of a row at {at:,} files",
                unit="ms",
                ours=wall,
                must="as the 10th",
                reached=wall <= 1.5 * first["ms"],
            )
            if at == APPENDS[1]:
                first["kB"] = size  # manifests are in all their tiers
            report(
                "COMPACTION",
                "metadata it writes",
                unit="kB",
                ours=size,
                must="at 10,000 as at 1,000",
                reached=size <= 1.5 * first["kB"],
            )
            scanned(project, f"scan of {files(project):,} files of a row")
            planned = seconds(lambda: project.plan_compaction("t"))
            report(
                "COMPACTION",
                f"plan at {files(project):,} files",
                unit="ms",
                ours=planned * 1e3,
                must="",
            )
        count = files(project)
        wall = seconds(lambda: project.compact("t"))
        report(
            "COMPACTION",
            f"compact {count:,} files of a row into {files(project)}",
            unit="s",
            ours=wall,
            must="",
        )
        scanned(project, f"scan of the {count:,} rows then")
        walls = [seconds(lambda: append(project, "t", 0)) for _ in range(AROUND)]
        report(
            "COMPACTION",
            "append of a row then",
            unit="ms",
            ours=statistics.median(walls) * 1000,
            must="as the 10th",
            reached=statistics.median(walls) * 1000 <= 1.5 * first["ms"],
        )


def scanned(project: Project, case: str) -> None:
    def scan() -> None:
        [row] = project.at("main").sql("select count(*) as n, sum(k) as k from t").to_rows()
        assert int(str(row["n"])) > 0

    scan()
    wall = statistics.median(seconds(scan) for _ in range(5))
    report("COMPACTION", case, unit="ms", ours=wall * 1000, must="")


# -- how fast files are rewritten


def throughput() -> None:
    for sort_by, case in (((), "in their order"), (("k",), "sorted by a key")):
        with made("compaction_throughput") as project:
            fill(project, sort_by)
            lake = project.lake
            entry = lake.tree(lake.resolve("main")).get(table_key("t"))
            assert entry is not None
            paths = [lake.tables.absolute(file.path) for file in lake.tables.files(entry)]
            megabytes = sum(Path(path).stat().st_size for path in paths) / 1e6
            began, cpu = time.perf_counter(), time.process_time()
            bare_copy(project, paths, sort_by)
            limit, limit_cpu = time.perf_counter() - began, time.process_time() - cpu
            began, cpu = time.perf_counter(), time.process_time()
            [done] = project.compact("t")
            wall, cpu = time.perf_counter() - began, time.process_time() - cpu
            report(
                "COMPACTION",
                f"rewrite {done.files_removed} files, {megabytes:,.0f} MB, into "
                f"{done.files_added}, {case}",
                unit="s",
                ours=wall,
                limit=limit,
                cpu=cpu,
                limit_cpu=limit_cpu,
                ratio=wall / limit,
                must="<= 1.3x the bare COPY",
                reached=wall <= 1.3 * limit,
            )
            report(
                "COMPACTION",
                f"the same as throughput, {case}",
                unit="MB/s",
                ours=megabytes / wall,
                limit=megabytes / limit,
                must="",
            )


def fill(project: Project, sort_by: tuple[str, ...]) -> None:
    connection = duckdb.connect()
    for number in range(FILES):
        rows = connection.sql(
            f"select hash(i, {number}) % 100000000 as k, i as n, random() as x, "
            f"'customer ' || (hash(i) % 10000) as customer, {number} as batch "
            f"from range({ROWS}) t(i)"
        ).to_arrow_table()
        with project.transaction() as transaction:
            transaction.write("t", rows, mode="append", sort_by=sort_by)


def bare_copy(project: Project, paths: list[str], sort_by: tuple[str, ...]) -> None:
    to = project.root / "bare"
    connection = duckdb.connect()
    order = f" order by {', '.join(sort_by)}" if sort_by else ""
    connection.execute(
        f"copy (select * from read_parquet({paths!r}){order}) to '{to}' "
        f"({OPTIONS}, file_size_bytes {256 << 20})"
    )
    connection.close()
    shutil.rmtree(to)


# -- who waits for it


def beside() -> None:
    """Append beside a compaction, on the same table: how long each publication takes."""
    with made("compaction_beside") as project:
        fill(project, ())
        alone = [seconds(lambda: append(project, "t", 0)) for _ in range(AROUND)]
        done = threading.Event()

        def compact() -> None:
            project.compact("t")
            done.set()

        thread = threading.Thread(target=compact)
        thread.start()
        walls = []
        while not done.is_set():
            walls.append(seconds(lambda: append(project, "t", 0)))
        thread.join()
        report(
            "COMPACTION",
            f"append of a row beside a compaction, median of {len(walls)}",
            unit="ms",
            ours=statistics.median(walls) * 1000,
            limit=statistics.median(alone) * 1000,
            must="",
        )
        report(
            "COMPACTION",
            "the longest of them",
            unit="ms",
            ours=max(walls) * 1000,
            limit=max(alone) * 1000,
            must="",
        )


# -- parts


@contextmanager
def made(name: str) -> Iterator[Project]:
    directory = WORK / name
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    (directory / "headgate.toml").write_text('[project]\nname = "bench"\n')
    with open_project(directory, environment={"HEADGATE_LAKE_COMPACT_AFTER": "0"}) as project:
        append(project, "other", 0)
        yield project
    shutil.rmtree(directory)


def append(project: Project, table: str, number: int) -> None:
    names = ("k", "n", "x", "customer", "batch")
    row: dict[str, object] = dict(zip(names, (number, number, 0.5, "one", 0), strict=True))
    with project.transaction() as transaction:
        transaction.write(table, [row], mode="append")


def files(project: Project) -> int:
    entry = project.lake.tree(project.lake.resolve("main")).get(table_key("t"))
    return entry.table.files if entry is not None and entry.table is not None else 0


def metadata_bytes(project: Project) -> int:
    directory = Path(project.lake.location) / "metadata"
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
