"""F7: nested JSON records become tables; the limit is DuckDB's read_json to one Parquet file.

Ours is a whole ``headgate run``, its start included: the file source, the shape of all records,
typed columns or child tables, one published commit. The limit infers its types from a sample of all
records, checks nothing and keeps structs. dlt makes child tables; peers run with ``--peers`` in
throw-away environments.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from benchmarks.measuring import WORK, process, report
from benchmarks.peers import environment

HERE = WORK / "nested"
SCRIPTS = Path(__file__).parent / "nested_peers"
MUST_DLT = 10
DLT_ROWS_A_SECOND = 3_100
PIPELINE = """
import headgate as hg

events = hg.files("{path}", format="ndjson"{options})
"""
CASES = {"structs": "", "child tables": ', key="id", nested={"items": "items", "tags": "tags"}'}
LIMIT = """
import sys
import duckdb

duckdb.sql(f"copy (from read_json('{sys.argv[1]}', sample_size = -1)) to '{sys.argv[2]}'")
"""


def main() -> None:
    """Measure, and print a line of figures each."""
    parser = argparse.ArgumentParser(prog="nested", description=__doc__)
    parser.add_argument("--records", type=int, default=500_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--peers", action="store_true")
    given = parser.parse_args()
    path = generated(given.records)
    dlt = _dlt(given.records) if given.peers else None
    for case, options in CASES.items():
        ours, limits = [], []
        for _ in range(given.repeat):
            limits.append(_limit(path))
            ours.append(_ours(path, options))
        wall = median(one["s"] for one in ours)
        limit = median(one["s"] for one in limits)
        speed, peer = given.records / wall, dlt or DLT_ROWS_A_SECOND
        report(
            "F7",
            f"{given.records:,} records, {path.stat().st_size / 1e6:,.0f} MB, as {case}",
            unit="records/s",
            ours=round(speed),
            limit=round(given.records / limit),
            ratio=round(limit / wall, 3),
            cpu=median(one["cpu_s"] for one in ours),
            limit_cpu=median(one["cpu_s"] for one in limits),
            peak_mb=max(one["peak_mb"] for one in ours),
            limit_peak_mb=max(one["peak_mb"] for one in limits),
            peer={"dlt": round(dlt)} if dlt else {},
            must=f">= {MUST_DLT}x dlt",
            reached=speed >= MUST_DLT * peer,
        )


def generated(records: int) -> Path:
    """Write the records once: new keys half way, a type that changes once in 100,000."""
    HERE.mkdir(parents=True, exist_ok=True)
    path = HERE / f"events-{records}.ndjson"
    if not path.exists():
        part = path.with_suffix(".part")
        with part.open("w") as file:
            for number in range(records):
                file.write(json.dumps(_record(number, records), separators=(",", ":")) + "\n")
        part.rename(path)
    return path


def _record(i: int, records: int) -> dict[str, object]:
    customer: dict[str, object] = {
        "id": i % 50_000,
        "name": f"Customer {i % 50_000}",
        "address": {
            "city": f"City{i % 500}",
            "zip": f"{i % 99_999:05d}",
            "geo": {"lat": (i % 180) - 90 + 0.5, "lon": (i % 360) - 180 + 0.25},
        },
    }
    if i > records * 3 // 4:
        customer["loyalty"] = {"tier": i % 4, "since": "2020-01-01"}
    record: dict[str, object] = {
        "id": i,
        "ts": f"2026-01-{1 + i % 28:02d}T{i % 24:02d}:{i % 60:02d}:{i * 7 % 60:02d}Z",
        "type": ("order", "refund", "visit")[i % 3],
        "customer": customer,
        "items": [
            {
                "sku": f"SKU-{(i * 31 + k) % 10_000}",
                "qty": 1 + (i + k) % 5,
                "price": (i * 17 + k * 13) % 10_000 / 100,
                "attrs": {"color": ("red", "green", "blue")[(i + k) % 3], "size": (i + k) % 50},
            }
            for k in range(i % 5)
        ],
        "tags": [f"t{(i + k) % 100}" for k in range(i % 4)],
        "total": f"{i} EUR" if i % 100_000 == 99_999 else i * 37 % 100_000 / 100,
        "memo": "lorem ipsum dolor sit amet " * (i % 4),
    }
    if i > records // 2:
        record["channel"] = ("web", "app", "pos")[i % 3]
    return record


def _ours(path: Path, options: str) -> dict[str, float]:
    project = HERE / "project"
    shutil.rmtree(project, ignore_errors=True)
    project.mkdir(parents=True)
    (project / "headgate.toml").write_text("")
    (project / "nested.py").write_text(PIPELINE.format(path=path, options=options))
    root = str(Path(__file__).parents[1])
    return _timed([sys.executable, "-m", "headgate", "run"], project, {"PYTHONPATH": root})


def _limit(path: Path) -> dict[str, float]:
    out = HERE / "limit.parquet"
    out.unlink(missing_ok=True)
    return _timed([sys.executable, "-c", LIMIT, str(path), str(out)], HERE, {})


def _timed(command: list[str], directory: Path, variables: dict[str, str]) -> dict[str, float]:
    """Run a command and give what it took; its own peak, not that of the ones before."""
    code = (
        "import json, resource, subprocess, sys, time\n"
        "began = time.perf_counter()\n"
        "done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print(json.dumps({'s': time.perf_counter() - began, 'code': done.returncode,\n"
        "  'cpu_s': used.ru_utime + used.ru_stime, 'peak_mb': used.ru_maxrss // 1024}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *command],
        cwd=directory,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    if figures["code"]:
        sys.stderr.write(done.stderr)
        raise SystemExit(1)
    return figures


def _dlt(records: int) -> float | None:
    """Give how many records a second dlt does, of a tenth: it takes minutes for all."""
    programs = environment("dlt")
    if programs is None:
        return None
    few = max(records // 10, 1_000)
    out = HERE / "out-dlt"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    began = time.perf_counter()
    try:
        process(
            [programs / "python", SCRIPTS / "dlt_nested.py", generated(few), out],
            repeat=1,
            timeout_s=900,
        )
    except RuntimeError as error:
        sys.stderr.write(f"  dlt: {error}\n")
        return None
    return few / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
