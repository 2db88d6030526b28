"""F4: the 22 queries of TPC-H as SQL steps, from lake tables to lake tables.

The limit is the same SQL in bare DuckDB, from its own Parquet to Parquet, on one connection.
"""

import shutil
import sys
import time
from pathlib import Path
from statistics import median

import duckdb

import headgate
from benchmarks.measuring import WORK, process, report
from benchmarks.peers import environment

QUERIES = sorted((Path(__file__).parent / "tpch").glob("q*.sql"))
TABLES = (
    "customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier",
)  # fmt: skip
MUST = {1: 1.3, 5: 1.15}
REPEAT = 3


def main() -> None:
    for scale in [int(word) for word in sys.argv[1:]] or list(MUST):
        generated = _generate(scale)
        if generated is None:
            continue
        limits, ours = [], []
        project = _loaded(scale, generated)
        relations = _copied(scale, generated)
        for _ in range(REPEAT):
            limits.append(_bare(relations, WORK / f"tpch-{scale}" / "out"))
            ours.append(_piped(project))
        project.close()
        wall, cpu = median(each[0] for each in ours), median(each[1] for each in ours)
        limit, limit_cpu = median(each[0] for each in limits), median(each[1] for each in limits)
        report(
            "F4",
            f"SF{scale}, 22 queries",
            unit="s",
            ours=wall,
            cpu=cpu,
            limit=limit,
            limit_cpu=limit_cpu,
            must=f"<= {MUST.get(scale, 1.15)}x",
            reached=wall <= MUST.get(scale, 1.15) * limit,
        )


def _generate(scale: int) -> Path | None:
    programs = environment("tpch")
    if programs is None:
        return None
    directory = WORK / f"tpch-{scale}" / "generated"
    if not all((directory / f"{table}.parquet").exists() for table in TABLES):
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        command = [programs / "tpchgen-cli", "parquet", "-q", "-s", str(scale), "-o", directory]
        process(command, repeat=1)
    return directory


def _copied(scale: int, generated: Path) -> dict[str, Path]:
    """Give each table as DuckDB itself writes it, so that both sides read their own Parquet."""
    directory = WORK / f"tpch-{scale}" / "copied"
    directory.mkdir(parents=True, exist_ok=True)
    copies = {table: directory / f"{table}.parquet" for table in TABLES}
    with duckdb.connect() as connection:
        for table, path in copies.items():
            if not path.exists():
                source = generated / f"{table}.parquet"
                connection.execute(f"copy (from '{source}') to '{path}' (format parquet)")
    return copies


def _bare(tables: dict[str, Path], out: Path) -> tuple[float, float]:
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    with duckdb.connect() as connection:
        began, cpu = time.perf_counter(), time.process_time()
        for table, path in tables.items():
            connection.execute(f"create view {table} as from read_parquet('{path}')")
        for query in QUERIES:
            target = out / f"{query.stem}.parquet"
            connection.execute(f"copy ({query.read_text()}) to '{target}' (format parquet)")
        return time.perf_counter() - began, time.process_time() - cpu


def _loaded(scale: int, generated: Path) -> "headgate.Project":
    """Give a project whose lake holds the eight tables, loaded by a pipeline of their own."""
    directory = WORK / f"tpch-{scale}" / "project"
    shutil.rmtree(directory, ignore_errors=True)
    (directory / "queries").mkdir(parents=True)
    (directory / "headgate.toml").write_text('[project]\npipelines = ["load.py", "queries.py"]\n')
    loads = [f'{table} = hg.files("{generated}/{table}.parquet")' for table in TABLES]
    (directory / "load.py").write_text(
        "\n".join(["import headgate as hg", "", "load = hg.pipeline()", *loads, ""])
    )
    steps = []
    for query in QUERIES:
        shutil.copy(query, directory / "queries" / query.name)
        steps.append(f'{query.stem} = hg.sql_step(file="queries/{query.name}")')
    (directory / "queries.py").write_text(
        "\n".join(["import headgate as hg", "", "queries = hg.pipeline()", *steps, ""])
    )
    project = headgate.open(directory)
    project.run("load")
    return project


def _piped(project: "headgate.Project") -> tuple[float, float]:
    """Time one run of the 22 steps on a new branch, where none of them has been published."""
    branch = f"attempt-{time.monotonic_ns()}"
    began, cpu = time.perf_counter(), time.process_time()
    run = project.run("queries", branch=branch)
    took = time.perf_counter() - began, time.process_time() - cpu
    if run.state != "published":
        raise RuntimeError(f"the run ended {run.state}")
    return took


if __name__ == "__main__":
    main()
