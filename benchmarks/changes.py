"""F14: changes of a PostgreSQL table as typed rows, read, and published in whole runs.

A table of ten mixed columns. Its changes are one large transaction of inserts, and transactions of
ten inserts, updates and deletions. The limit is ``pg_recvlogical``, which writes the same messages
to nowhere, of a copy of the slot. Whole runs read, fold, write and publish.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import headgate
from benchmarks.measuring import WORK, report
from headgate.sources import Setting
from headgate.sources.postgres_changes.source import PostgresChanges
from headgate.testing.postgres_servers import PostgresServer, find_program

MUST = 75_000
CHANGES = 500_000
REPEAT = 3

TABLE = """
create table orders (id bigint primary key, customer text, amount numeric(12,2), at timestamptz,
paid boolean, n int, f double precision, note text, d date, u uuid)
"""
ROW = (
    "{0}, 'customer ' || {0}, {0} * 1.01, now(), {0} % 2 = 0, {0} % 1000, {0} / 7.0, "
    "'some note about ' || md5(({0})::text), date '2020-01-01' + ({0} % 1000)::int, "
    "gen_random_uuid()"
)
MIX = f"""
do $$ begin
for t in 0..{{transactions}} - 1 loop
  insert into orders select {ROW.format("i")} from generate_series(t * 6 + 1, t * 6 + 6) i;
  update orders set note = 'changed', n = n + 1 where id in (t * 6 + 1, t * 6 + 2, t * 3 + 1);
  delete from orders where id = t * 6 + 3;
  commit;
end loop; end $$
"""


def main() -> None:
    changes = int(sys.argv[1]) if len(sys.argv) > 1 else CHANGES
    inserts = f"insert into orders select {ROW.format('i')} from generate_series(1, {changes}) i"
    mix = MIX.format(transactions=changes // 10)
    for case, statement in (("one transaction", inserts), ("transactions of ten", mix)):
        _measure(case, statement)


def _measure(case: str, statement: str) -> None:
    with PostgresServer(wal_level="logical", max_wal_size="8GB", shared_buffers="256MB") as server:
        server.execute(TABLE)
        url = f"postgresql://owner:{server.password}@127.0.0.1:{server.port}/metastore"
        runs = {keep: _project(url, keep) for keep in ("table", "log")}
        for project in runs.values():
            project.run()
        setting = Setting(root=WORK, cache=WORK / "cache", owner=("bench", "changes", case))
        source = PostgresChanges({"url": url, "relation": "orders"}, setting)
        cursor = list(source.read(None))[-1].cursor
        server.execute(statement)
        server.execute("checkpoint")
        slot = source.describe().facts["slot"]
        counts: list[int] = []

        def ours() -> None:
            counts.append(sum(batch.rows.num_rows for batch in source.read(cursor)))

        limit = min(_recvlogical(server, slot) for _ in range(REPEAT))
        cpu = time.process_time()
        took = sorted(_taken(ours) for _ in range(REPEAT))[REPEAT // 2]
        cpu = (time.process_time() - cpu) / REPEAT
        _report(f"{case}: read as typed rows", counts[0], took, limit, cpu)
        for keep, project in runs.items():
            cpu = time.process_time()
            took = _taken(project.run)
            _report(
                f"{case}: a run, keep={keep!r}",
                counts[0],
                took,
                limit,
                time.process_time() - cpu,
            )
            project.close()


def _report(case: str, changes: int, took: float, limit: float, cpu: float) -> None:
    report(
        "F14",
        case,
        unit="changes/s",
        ours=changes / took,
        limit=changes / limit,
        cpu=cpu,
        changes=changes,
        must=f">= {MUST:,} changes/s",
        reached=changes / took >= MUST,
    )


def _taken(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _recvlogical(server: PostgresServer, slot: str) -> float:
    """Give how long it takes to receive the log of a copy of a slot: it acknowledges."""
    server.execute(f"select pg_copy_logical_replication_slot('{slot}', 'copied')")
    [(end,)] = server.execute("select pg_current_wal_flush_lsn()::text")
    program = find_program("pg_recvlogical")
    if program is None:
        raise RuntimeError("pg_recvlogical is not installed")
    where = ["-h", "127.0.0.1", "-p", str(server.port), "-U", "owner", "-d", "metastore"]
    options = ["-o", "proto_version=1", "-o", "publication_names=headgate_public_orders"]
    began = time.perf_counter()
    subprocess.run(
        [program, *where, "-S", "copied", "--start", *options, "-f", "/dev/null", "-E", end],
        env={**os.environ, "PGPASSWORD": server.password},
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        timeout=600,
    )
    took = time.perf_counter() - began
    server.execute("select pg_drop_replication_slot('copied')")
    return took


def _project(url: str, keep: str) -> headgate.Project:
    directory = WORK / f"changes-{keep}"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    (directory / "headgate.toml").write_text('[project]\nname = "bench"\npipelines = ["b.py"]\n')
    key = ', key="id"' if keep == "table" else ""
    text = f'import headgate as hg\norders = hg.changes({url!r}, "orders", keep={keep!r}{key})\n'
    Path(directory / "b.py").write_text(text)
    return headgate.open(directory)


if __name__ == "__main__":
    main()
