"""F6: five million rows of ten mixed columns go from PostgreSQL into a lake table.

Ours is a whole run: the catalog is read, the rows come by several connections on one snapshot, are
written as Parquet, synced, judged and published. The limit streams the same table through ADBC
(``select *``) and throws the batches away. Each work runs in a process of its own, beside the
server on the same machine, whose CPU is in the wall time of both. Peers run with ``--peers``: dlt
by its default backend and by its fastest, into Parquet files.
"""

import argparse
import json
import resource
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from statistics import median

from benchmarks.measuring import WORK, process, report
from benchmarks.peers import environment
from headgate.testing.postgres_servers import PostgresServer

MUST, MUST_PEER = 0.9, 3
SCRIPTS = Path(__file__).parent / "postgres_peers"
BACKENDS = ("sqlalchemy", "pyarrow")
MAKE = """
create table orders as select
    i as id,
    (hashint8(i)::bigint & 2147483647) % 200000 as customer_id,
    timestamp '2024-01-01'
        + ((hashint8(i * 7)::bigint & 2147483647) % 63072000) * interval '1 second' as created_at,
    date '2024-01-01' + ((hashint8(i * 3)::bigint & 2147483647) % 730)::int as ship_date,
    (((hashint8(i * 11)::bigint & 2147483647) % 10000000) / 100.0)::numeric(12, 2) as amount,
    ((hashint8(i * 13)::bigint & 2147483647) % 1000000) / 1e6::float8 as score,
    (hashint8(i * 17) & 1) = 0 as is_paid,
    (array['new', 'paid', 'shipped', 'returned'])[1 + (hashint8(i * 19) & 3)] as status,
    'cust_' || (hashint8(i * 23)::bigint & 2147483647) % 200000 || '@example.com' as email,
    case when hashint8(i * 29) % 10 = 0 then null else 'note, with "quotes" ' || md5(i::text) end
        as note
from generate_series(1, {rows}::bigint) as i
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="postgres_load", description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument(
        "--peer-rows", type=int, default=500_000, help="dlt's own are a part of them"
    )
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--work", choices=sorted(_WORKS), help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        _measured(_WORKS[given.work], given.url)
        return
    with PostgresServer(shared_buffers="1GB", max_wal_size="4GB", jit="off") as server:
        server.execute(MAKE.format(rows=given.rows))
        server.execute(
            f"create table orders_part as select * from orders where id <= {given.peer_rows}"
        )
        for table in ("orders", "orders_part"):
            server.execute(f"vacuum analyze {table}")
        url = server.url("any").partition("?")[0]
        ours, limits = [], []
        for _ in range(given.repeat):
            limits.append(_own("limit", url))
            ours.append(_own("ours", url))
        peers = {}
        for backend in BACKENDS if given.peers else ():
            if (rate := _peer(backend, url, given.peer_rows)) is not None:
                peers[f"dlt, {backend}"] = rate
    wall, limit = median(one["s"] for one in ours), median(one["s"] for one in limits)
    default = peers.get("dlt, sqlalchemy")
    report(
        "F6",
        f"{given.rows:,} rows",
        unit="rows/s",
        ours=round(given.rows / wall),
        limit=round(given.rows / limit),
        ratio=round(limit / wall, 3),
        cpu=median(one["cpu_s"] for one in ours),
        limit_cpu=median(one["cpu_s"] for one in limits),
        peak_mb=max(one["peak_mb"] for one in ours),
        peer=peers,
        must=f">= {MUST}x the limit, >= {MUST_PEER}x dlt's default",
        reached=wall * MUST <= limit
        and (default is None or given.rows / wall >= MUST_PEER * default),
    )


def _own(work: str, url: str) -> dict[str, float]:
    """Run one of our works in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.postgres_load", "--work", work, "--url", url]
    figures: dict[str, float] = json.loads(process(command, repeat=1).output.splitlines()[-1])
    return figures


def _peer(backend: str, url: str, rows: int) -> int | None:
    programs = environment("dlt-sql")
    if programs is None:
        return None
    out = _emptied(WORK / "postgres" / f"out-{backend}")
    command = [programs / "python", SCRIPTS / "dlt_load.py", url, "orders_part", backend, out]
    try:
        done = process(command, repeat=1, timeout_s=900)
    except RuntimeError as error:
        sys.stderr.write(f"  dlt, {backend}: {error}\n")
        return None
    return round(rows / float(done.output.splitlines()[-1]))


def _measured(work: Callable[[str, Path], None], url: str) -> None:
    out = _emptied(WORK / "postgres" / "out")
    for name in (
        "adbc_driver_postgresql.dbapi",
        "headgate.engines.duckdb",
        "headgate.lake.table_writing",
        "headgate.project.project",
        "headgate.runs.computing",
        "headgate.runs.publish",
        "headgate.sources.databases.postgresql",
    ):
        import_module(name)
    began, cpu = time.perf_counter(), time.process_time()
    work(url, out)
    figures = {
        "s": round(time.perf_counter() - began, 3),
        "cpu_s": round(time.process_time() - cpu, 3),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    print(json.dumps(figures))


def _emptied(directory: Path) -> Path:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    return directory


# -- works


def _limit(url: str, out: Path) -> None:
    import adbc_driver_postgresql.dbapi as adbc

    del out
    with adbc.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("select * from orders")
        rows = sum(batch.num_rows for batch in cursor.fetch_record_batch())
    if not rows:
        raise RuntimeError("no rows came")


def _ours(url: str, out: Path) -> None:
    from headgate.project import open_project

    (out / "headgate.toml").write_text('[project]\nname = "load"\npipelines = ["load.py"]\n')
    (out / "load.py").write_text(
        f'import headgate as hg\norders = hg.database({url!r}, "orders")\n'
    )
    with open_project(out) as project:
        project.run()


_WORKS: Mapping[str, Callable[[str, Path], None]] = {"limit": _limit, "ours": _ours}


if __name__ == "__main__":
    main()
