"""SPILL: a pipeline that loads three tables and joins them, of 3x the memory it may take.

The cap is a cgroup's: whoever takes more is killed. Ours is ``headgate run`` with its defaults but
for ``engine.memory = "100%"`` of the cap. The limit is bare DuckDB that joins the same files into
one, under the same cap: with a limit of its own that leaves room for the process, and as it comes.
"""

import argparse
import shutil
import sys
from pathlib import Path

from benchmarks.capped import Ended, run_capped
from benchmarks.measuring import WORK, report

HERE = WORK / "spill"
ROW_BYTES = 95  # of a line with its share of an order and a customer, as Arrow has them
MUST = "finishes under the cap"
PIPELINE = '''
import headgate as hg

orders = hg.files("../data/orders.parquet")
lines = hg.files("../data/lines.parquet")
customers = hg.files("../data/customers.parquet")
joined = hg.sql_step("""
    select lines.order_id, lines.line, lines.item, orders.amount, orders.note, customers.name
    from lines join orders on orders.id = lines.order_id
    join customers on customers.customer = orders.customer
""")
'''
BARE = """
import sys
import duckdb
limit = sys.argv[1]
database = duckdb.connect(config={"temp_directory": "spill"})
if limit:
    database.execute(f"set memory_limit = '{limit}'")
database.execute('''copy (
    select lines.order_id, lines.line, lines.item, orders.amount, orders.note, customers.name
    from '../data/lines.parquet' lines join '../data/orders.parquet' orders
    on orders.id = lines.order_id
    join '../data/customers.parquet' customers on customers.customer = orders.customer
) to 'joined.parquet' (compression zstd, compression_level 1)''')
"""


def main() -> None:
    """Measure, and print a line of figures each."""
    parser = argparse.ArgumentParser(prog="spill", description=__doc__)
    parser.add_argument("--cap-mb", type=int, default=512)
    parser.add_argument("--times", type=float, default=3.0, help="how often the cap the tables are")
    given = parser.parse_args()
    cap = given.cap_mb << 20
    lines = int(1.02 * given.times * cap / ROW_BYTES)
    size = _data(lines)
    ours = _ours(cap)
    bare = _bare(cap, limit=f"{given.cap_mb // 2}MB")
    plain = _bare(cap, limit="")
    what = f"join of {size / 1e6:,.0f} MB in {given.cap_mb} MB, {lines:,} rows"
    report(
        "SPILL",
        what,
        unit="s",
        ours=ours.wall_s,
        limit=bare.wall_s if bare.status == 0 else None,
        peer={"DuckDB as it comes": plain.wall_s} if plain.status == 0 else {},
        must=MUST,
        reached=ours.status == 0 and ours.is_capped and size >= given.times * cap,
        note=f"DuckDB as it comes: {_said(plain)}" if plain.status else "",
    )
    report(
        "SPILL",
        "peak resident memory, code of libraries included (the cap counts it once for all)",
        unit="MB",
        ours=ours.peak_bytes / 1e6,
        limit=bare.peak_bytes / 1e6,
        must="",
    )
    if ours.status:
        sys.stderr.write(ours.errors)
        raise SystemExit(1)


def _ours(cap: int) -> Ended:
    project = HERE / "project"
    shutil.rmtree(project, ignore_errors=True)
    project.mkdir(parents=True)
    (project / "headgate.toml").write_text('[engine]\nmemory = "100%"\n')
    (project / "join.py").write_text(PIPELINE)
    return run_capped(
        [sys.executable, "-m", "headgate", "run"], cap, cwd=project, environment=_environment()
    )


def _bare(cap: int, *, limit: str) -> Ended:
    directory = HERE / "bare"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    return run_capped([sys.executable, "-c", BARE, limit], cap, cwd=directory, environment={})


def _environment() -> dict[str, str]:
    return {"PYTHONPATH": str(Path(__file__).parents[1])}


def _said(ended: Ended) -> str:
    if ended.is_killed:
        return "killed by the system"
    return ended.errors.strip().splitlines()[-1][:80] if ended.errors.strip() else "failed"


def _data(lines: int) -> int:
    """Make the three files, where they are not there; give their size as Arrow tables."""
    import duckdb
    import pyarrow.parquet as pq

    directory = HERE / "data"
    mark = directory / f"{lines}.made"
    orders, customers = lines // 2, lines // 8
    if not mark.exists():
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        queries = {
            "orders": f"""select i as id, (hash(i) % {customers})::bigint as customer,
                (hash(i + 1) % 1000000) / 100.0::double as amount, md5(i::text) as note
                from range({orders}) r(i)""",
            "lines": f"""select (hash(i * 3) % {orders})::bigint as order_id, i as line,
                md5((i * 7)::text) as item, (hash(i + 5) % 100)::int as n
                from range({lines}) r(i)""",
            "customers": f"""select i as customer,
                md5((i * 11)::text) || md5((i * 13)::text) as name from range({customers}) r(i)""",
        }
        for name, query in queries.items():
            duckdb.sql(f"copy ({query}) to '{directory / name}.parquet'")
        mark.touch()
    size = 0
    for name in ("orders", "lines", "customers"):
        with pq.ParquetFile(directory / f"{name}.parquet") as file:
            size += sum(batch.nbytes for batch in file.iter_batches())
    return size


if __name__ == "__main__":
    main()
