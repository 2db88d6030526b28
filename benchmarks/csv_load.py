"""F5: a CSV of 1.2 GB becomes a table, with five row checks; the limit is DuckDB's own COPY.

Ours: the file source (digest, header, dialect), the contract's casts and mask, one masked write by
the engine, rejected rows with their lines. ``clean`` has no bad row; its limit copies the same file
with inferred types and checks nothing. ``bad`` has one in a thousand; its limit splits them off by
SQL written by hand, good rows into one file and bad ones into another, without lines. Each work
runs in a process of its own; peers run with ``--peers`` in throw-away environments.
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Annotated

from benchmarks.measuring import WORK, process, report
from benchmarks.peers import environment

MUST = 1.25
MUST_MB = 800
ROWS_A_GB = 10_500_000
PEERS = ("dlt", "pandas", "pyiceberg")
SCRIPTS = Path(__file__).parent / "csv_peers"


def main() -> None:
    parser = argparse.ArgumentParser(prog="csv_load", description=__doc__)
    parser.add_argument("--size", type=float, default=1.2, help="of the CSV, in GB")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--work", choices=sorted(_WORKS), help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        _measured(_WORKS[given.work], given.file)
        return
    for case in ("clean", "bad"):
        path = _generated(case, int(given.size * ROWS_A_GB))
        ours, limits = [], []
        for _ in range(given.repeat):
            limits.append(_own("limit" if case == "clean" else "limit-split", path))
            ours.append(_own("ours", path))
        peers = {}
        for peer in PEERS if given.peers and case == "clean" else ():
            if (figures := _peer(peer, path)) is not None:
                peers[peer] = figures
        if case == "bad" and ours[0]["rejected"] != limits[0]["rejected"]:
            raise RuntimeError("ours and the limit do not reject the same rows")
        wall, limit = median(one["s"] for one in ours), median(one["s"] for one in limits)
        peak = max(one["peak_mb"] for one in ours)
        report(
            "F5",
            f"{path.stat().st_size / 1e9:.2f} GB, {case}",
            unit="s",
            ours=wall,
            limit=limit,
            ratio=round(wall / limit, 3),
            cpu=median(one["cpu_s"] for one in ours),
            limit_cpu=median(one["cpu_s"] for one in limits),
            peak_mb=peak,
            limit_peak_mb=max(one["peak_mb"] for one in limits),
            rejected=ours[0]["rejected"],
            peer={name: each["s"] for name, each in peers.items()},
            peer_detail=peers,
            must=f"<= {MUST}x, < {MUST_MB} MB",
            reached=wall <= MUST * limit and peak < MUST_MB,
        )


def _generated(case: str, rows: int) -> Path:
    """Write the CSV once: ten columns of every common type."""
    import duckdb

    home = WORK / "csv"
    home.mkdir(parents=True, exist_ok=True)
    path = home / f"orders-{case}-{rows}.csv"
    if path.exists():
        return path
    amount = "case when i % 1000 = 7 then '-1' else amount end" if case == "bad" else "amount"
    with duckdb.connect() as connection:
        connection.execute(
            f'copy (select id, customer, channel, "at", {amount} as amount, quantity, note, '
            "express, due, weight from (select i, i as id, "
            "'C' || lpad((hash(i) % 900000)::varchar, 6, '0') "
            "as customer, "
            "(['web', 'store', 'phone', 'app'])[1 + (hash(i, 1) % 4)::int] as channel, "
            "timestamp '2024-01-01' + interval (hash(i, 2) % 31536000) second as \"at\", "
            "round((hash(i, 3) % 100000) / 100.0, 2)::varchar as amount, "
            "(hash(i, 4) % 50)::int as quantity, case when hash(i, 5) % 20 = 0 then null "
            "else 'note ' || (hash(i, 6) % 1000000)::varchar end as note, "
            "hash(i, 7) % 2 = 0 as express, date '2024-01-01' + (hash(i, 8) % 365)::int as due, "
            f"(hash(i, 9) % 10000) / 7.0 as weight from range({rows}) t(i))) to '{path}' (header)"
        )
    return path


def _own(work: str, path: Path) -> dict[str, float]:
    """Run one of our works in a process of its own, so that memory is its own."""
    command = [sys.executable, "-m", "benchmarks.csv_load", "--work", work, "--file", path]
    figures: dict[str, float] = json.loads(process(command, repeat=1).output.splitlines()[-1])
    return figures


def _peer(name: str, path: Path) -> Mapping[str, float] | None:
    programs = environment(name)
    if programs is None:
        return None
    out = _emptied(WORK / "csv" / f"out-{name}")
    began = time.perf_counter()
    command = [programs / "python", SCRIPTS / f"{name}_load.py", path, out]
    try:
        done = process(command, repeat=1, timeout_s=900)
    except RuntimeError as error:
        sys.stderr.write(f"  {name}: {error}\n")
        return None
    return {
        "s": round(time.perf_counter() - began, 2),
        "cpu_s": round(done.cpu_s, 2),
        "peak_mb": done.peak_bytes // 2**20,
    }


def _measured(work: Callable[[Path, Path], int], path: Path) -> None:
    out = _emptied(WORK / "csv" / "out")
    _import()
    subprocess.run(["cat", path], stdout=subprocess.DEVNULL, check=True)  # both read a warm file
    began, cpu = time.perf_counter(), time.process_time()
    rejected = work(path, out)
    figures = {
        "s": round(time.perf_counter() - began, 3),
        "cpu_s": round(time.process_time() - cpu, 3),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "rejected": rejected,
    }
    print(json.dumps(figures))


def _emptied(directory: Path) -> Path:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    return directory


def _import() -> None:
    """Load what both works need: how long that takes is another row's question."""
    for name in (
        "duckdb",
        "pyarrow.parquet",
        "headgate.contracts.casts",
        "headgate.contracts.row_masks",
        "headgate.engines.duckdb",
        "headgate.sources.files",
        "headgate.sources.formats.csv",
    ):
        import_module(name)


# -- works


def _limit(path: Path, out: Path) -> int:
    import duckdb

    with duckdb.connect() as connection:
        connection.execute(
            f"copy (select * from read_csv('{path}')) to '{out / 'limit.parquet'}' "
            "(format parquet, compression zstd)"
        )
    return 0


def _limit_split(path: Path, out: Path) -> int:
    import duckdb

    good = (
        "id is not null and regexp_matches(customer, 'C[0-9]{6}') "
        "and channel in ('web', 'store', 'phone', 'app') and \"at\" is not null "
        "and amount between 0 and 1000 and quantity between 0 and 100 "
        "and (note is null or length(note) <= 64) "
        "and express is not null and due is not null and weight is not null"
    )
    rejected = 0
    with duckdb.connect() as connection:
        for name, condition in (("good", good), ("bad", f"not coalesce({good}, false)")):
            done = connection.execute(
                f"copy (select * from read_csv('{path}') where {condition}) "
                f"to '{out / name}.parquet' (format parquet, compression zstd)"
            ).fetchone()
            rejected = int(done[0]) if done else 0
    return rejected


def _ours(path: Path, out: Path) -> int:
    import headgate as hg
    from headgate.contracts import cast_plan, contract_spec, ingest_mask
    from headgate.engines import DuckDB, Sql
    from headgate.filesets import WriteTarget
    from headgate.names import quote
    from headgate.sources import FileSource, Setting

    class Order(hg.Contract, severity="quarantine"):
        id: int
        customer: Annotated[str, hg.pattern("C[0-9]{6}")]
        channel: Annotated[str, hg.one_of("web", "store", "phone", "app")]
        at: hg.LocalTimestamp
        amount: Annotated[float, hg.between(0, 1000)]
        quantity: Annotated[int, hg.between(0, 100)]
        note: Annotated[str | None, hg.length(at_most=64)]
        express: bool
        due: hg.Date
        weight: float

    source = FileSource(
        {"paths": (path.name,)}, Setting(root=path.parent, cache=out / "cache", as_text=True)
    )
    source.fingerprint()
    files = source.native(None).files
    with DuckDB(temp_directory=out / "spill") as engine:
        session = engine.session()
        session.bind({"_hg_raw": files})
        spec = contract_spec(Order)
        plan = cast_plan(spec, session.schema(files))
        mask = ingest_mask(spec, plan.columns, casts=plan)
        target = WriteTarget(directory=str(out), prefix="ours", schema=plan.schema)
        rows = Sql(text=plan.select(quote("_hg_raw")), verbatim=plan.verbatim)
        written = session.write(rows, target, mask=mask.query)
        session.close()
    if written.rejected is None:
        return 0
    if any(place is None for place in written.rejected.column("_position").to_pylist()):
        raise RuntimeError("a rejected row has no position")
    return int(written.rejected.num_rows)


_WORKS: Mapping[str, Callable[[Path, Path], int]] = {
    "limit": _limit,
    "limit-split": _limit_split,
    "ours": _ours,
}


if __name__ == "__main__":
    main()
