"""OBJECTS: a table written to and scanned from an object store, beside a disk and the bare client.

The server is the barest there is, on the same machine: what is measured is the client's side.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median

import obstore
import polars as pl
import pyarrow as pa
from obstore.store import S3Store

from benchmarks.measuring import WORK, report
from headgate.clock import SystemClock
from headgate.engines import DuckDB, Sql
from headgate.engines.polars import lazy_frame
from headgate.lake import Append, Entry, Lake, ObjectStorage
from headgate.names import RandomIds
from headgate.stores import Bucket, Credentials, StoreOptions, open_bucket

ROWS = 20_000_000
TABLE = f"""
    select range as id, (hash(range) % 1000000)::bigint as a, (hash(range) % 7919) / 7.0 as f,
           md5((range % 4000000)::varchar) as s, (range % 1000)::int as g
    from range({ROWS})
"""
QUERIES = {
    "scan, all columns": "select sum(id), sum(a), sum(f), max(s), max(g) from t",
    "scan, one of five columns": "select sum(a) from t",
    "100 rows of 20 million": "select count(*) from t where id between 15000000 and 15000099",
}
SMALL = pa.table({f"n{number}": pa.array(range(1_000)) for number in range(10)})
FAR_MS = 20
REPEAT = 3


def main() -> None:
    directory = WORK / "object_store"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    try:
        with served(directory, 0) as bucket:
            _throughput(directory, bucket)
        with served(directory, FAR_MS) as bucket:
            _small_tables(directory, bucket)
    finally:
        shutil.rmtree(directory)


def _throughput(directory: Path, bucket: Bucket) -> None:
    disk = Lake.create(directory / "disk", clock=SystemClock(), ids=RandomIds())
    store = _lake(directory, bucket, "near")
    with DuckDB() as engine, closing(disk), closing(store):
        local, on_disk = _timed(lambda: written(disk, engine), 1)
        ours, in_store = _timed(lambda: written(store, engine), 1)
        files = [Path(disk.tables.absolute(f.path)) for f in disk.tables.files(on_disk)]
        size = sum(file.stat().st_size for file in files)
        put, _ = _timed(lambda: _put_all(bucket, files), 1)
        report(
            "OBJECTS",
            f"write {size / 1e6:,.0f} MB",
            unit="s",
            ours=ours,
            limit=local,
            peer={"bare upload of the files": put},
            must="<= local + bare upload",
            reached=ours <= (local + put) * 1.1,
        )
        get, _ = _timed(lambda: _get_all(bucket, files), REPEAT)
        for case, query in QUERIES.items():
            local, _ = _timed(lambda query=query: asked(disk, engine, on_disk, query), REPEAT)
            ours, _ = _timed(lambda query=query: asked(store, engine, in_store, query), REPEAT)
            lazy, _ = _timed(lambda case=case: _by_polars(store, in_store, case), REPEAT)
            peers = {"Polars on the store": lazy}
            must, most = "<= 2x local", 2 * local
            if case == next(iter(QUERIES)):
                peers["bare download of the files"] = get
                must, most = "<= local + bare download", local + get
            report(
                "OBJECTS",
                case,
                unit="s",
                ours=ours,
                limit=local,
                peer=peers,
                must=must,
                reached=ours <= most * 1.1,
            )


def _small_tables(directory: Path, bucket: Bucket) -> None:
    """Append small tables to a store that is some milliseconds away: round trips decide."""
    store = _lake(directory, bucket, "far")
    with DuckDB() as engine, closing(store):
        entry = appended(store, engine, None)
        walls = []
        for _ in range(20):
            wall, entry = _timed(lambda entry=entry: appended(store, engine, entry), 1)
            walls.append(wall * 1000)
        bare, _ = _timed(lambda: bucket.create(f"x/{RandomIds().unique()}", b"x" * 50_000), 20)
        report(
            "OBJECTS",
            f"append 1,000 rows, the store {FAR_MS} ms away",
            unit="ms",
            ours=median(walls),
            limit=bare * 1000,
            must="<= 3 round trips",
            reached=median(walls) <= 3 * bare * 1000,
        )


def written(lake: Lake, engine: DuckDB) -> Entry:
    with closing(engine.session()) as session:
        schema = session.schema(Sql(text=TABLE))
        plan = lake.tables.plan_write(None, schema, table="t", mode="append", prefix="p")
        paths = session.write(Sql(text=TABLE), plan.target).paths
    files = lake.tables.collect(paths, plan.columns)
    return lake.tables.apply(None, (*plan.operations, Append(files=files)), table="t")


def appended(lake: Lake, engine: DuckDB, before: Entry | None) -> Entry:
    plan = lake.tables.plan_write(before, SMALL.schema, table="t", mode="append", prefix="p")
    with closing(engine.session()) as session:
        paths = session.write(SMALL, plan.target).paths
    files = lake.tables.collect(paths, plan.columns)
    return lake.tables.apply(before, (*plan.operations, Append(files=files)), table="t")


def asked(lake: Lake, engine: DuckDB, entry: Entry, query: str) -> object:
    with closing(engine.session()) as session:
        session.bind({"t": lake.tables.scan(entry)})
        return session.reader(Sql(text=query)).read_all().to_pylist()


def _by_polars(lake: Lake, entry: Entry, case: str) -> object:
    frame = lazy_frame(lake.tables.scan(entry))
    if case.startswith("scan, all"):
        asked_of = frame.select(
            pl.sum("id"), pl.sum("a"), pl.sum("f"), pl.col("s").max(), pl.max("g")
        )
    elif case.startswith("scan, one"):
        asked_of = frame.select(pl.sum("a"))
    else:
        asked_of = frame.filter(pl.col("id").is_between(15_000_000, 15_000_099)).select(pl.len())
    return asked_of.collect(engine="streaming").rows()


def _lake(directory: Path, bucket: Bucket, name: str) -> Lake:
    place = open_bucket(f"{bucket.url}/{name}", bucket.options)
    return Lake.create(
        ObjectStorage(place),
        clock=SystemClock(),
        ids=RandomIds(),
        metastore=directory / f"{name}.sqlite",
    )


def _bare(bucket: Bucket) -> S3Store:
    return S3Store(
        bucket.address.bucket,
        endpoint=bucket.options.endpoint,
        region=bucket.options.region,
        access_key_id="x",
        secret_access_key="x",
        client_options={"allow_http": True},
    )


def _put_all(bucket: Bucket, files: list[Path]) -> None:
    for file in files:
        key = f"bare/{file.name}"
        obstore.put(_bare(bucket), key, file, chunk_size=8 << 20, max_concurrency=4)


def _get_all(bucket: Bucket, files: list[Path]) -> int:
    found = (obstore.get(_bare(bucket), f"bare/{file.name}") for file in files)
    return sum(len(chunk) for each in found for chunk in each.stream(min_chunk_size=8 << 20))


def _timed(work: Callable[[], object], repeat: int) -> tuple[float, object]:
    walls = []
    for _ in range(repeat):
        began = time.perf_counter()
        result = work()
        walls.append(time.perf_counter() - began)
    return median(walls), result


@contextmanager
def served(directory: Path, latency_ms: int) -> Iterator[Bucket]:
    """Start a server in a process of its own; give its bucket."""
    objects = directory / f"objects-{latency_ms}"
    objects.mkdir()
    command = [sys.executable, "-m", "benchmarks.bare_store", str(objects), str(latency_ms)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    ) as server:
        try:
            endpoint = server.stdout.readline().strip()
            keys = Credentials(access_key_id="x", secret_access_key="x")
            options = StoreOptions(
                endpoint=endpoint, region="us-east-1", allow_http=True, credentials=keys
            )
            yield open_bucket("s3://lake", options)
        finally:
            server.kill()


if __name__ == "__main__":
    main()
