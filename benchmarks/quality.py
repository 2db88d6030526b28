"""F9: 12 checks with keys and references over 10M rows of 12 columns; bad rows split off.

Ours: contract, mask, one masked write by the engine, and the questions about the table as a whole.
    The limit is hand-written SQL in bare DuckDB that splits the same rows by the same rules.
    ``verify`` is the same checks of a table that is written already: nothing is written again.
    Peers run with ``--peers`` in environments of their own; what each leaves out is said in its
    script.
"""

import argparse
import json
import resource
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated

from benchmarks.measuring import process, report
from benchmarks.peers import environment
from benchmarks.quality_data import EMAIL, STATUSES, directory

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from headgate.contracts import ContractSpec
    from headgate.engines import DuckDB, Session
    from headgate.filesets import Scan

PEERS = ("dataframely", "pandera", "pointblank", "pydantic")
MUST = 1.3
THREADS = 2
SCRIPTS = Path(__file__).parent / "quality_peers"


def main() -> None:
    parser = argparse.ArgumentParser(prog="quality", description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--memory", default="8GB", help="DuckDB's limit, for ours and the limit")
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--work", choices=sorted(_WORKS), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        _measured(_WORKS[given.work], given.rows, given.memory)
        return
    directory(given.rows)
    peers: dict[str, Mapping[str, float]] = {}
    for peer in PEERS if given.peers else ():
        if (figures := _peer(peer, given.rows)) is not None:
            peers[peer] = figures
    for case in ("split", "verify"):
        ours, limits = [], []
        for _ in range(given.repeat):
            limits.append(_own(f"limit-{case}", given.rows, given.memory))
            ours.append(_own(f"ours-{case}", given.rows, given.memory))
        _compare(case, ours[0], limits[0])
        wall, limit = median(each["s"] for each in ours), median(each["s"] for each in limits)
        report(
            "F9",
            f"{given.rows / 1e6:g}M rows, {case}, {given.memory}",
            unit="s",
            ours=wall,
            limit=limit,
            ratio=round(wall / limit, 3),
            cpu=median(each["cpu_s"] for each in ours),
            limit_cpu=median(each["cpu_s"] for each in limits),
            peak_mb=max(each["peak_mb"] for each in ours),
            limit_peak_mb=max(each["peak_mb"] for each in limits),
            peer={name: each["s"] for name, each in peers.items()} if case == "split" else {},
            peer_detail=peers if case == "split" else {},
            violations=ours[0]["violations"],
            must=f"<= {MUST}x",
            reached=wall <= MUST * limit,
        )


def _own(work: str, rows: int, memory: str) -> dict[str, float]:
    """Run one of our works in a process of its own, so that memory is its own."""
    command = [sys.executable, "-m", "benchmarks.quality", "--work", work]
    done = process([*command, "--rows", str(rows), "--memory", memory], repeat=1)
    figures: dict[str, float] = json.loads(done.output.splitlines()[-1])
    return figures


def _peer(name: str, rows: int) -> Mapping[str, float] | None:
    programs = environment(name)
    if programs is None:
        return None
    if name == "pydantic":
        rows = min(rows, 1_000_000)
        directory(rows)
    command = [programs / "python", SCRIPTS / f"{name}_split.py", directory(rows)]
    try:
        done = process(command, repeat=1, timeout_s=300)
    except RuntimeError as error:
        sys.stderr.write(f"  {name}: {error}\n")
        return None
    figures: dict[str, float] = json.loads(done.output.splitlines()[-1])
    return {**figures, "rows": rows}


def _compare(case: str, ours: Mapping[str, object], limit: Mapping[str, object]) -> None:
    """Refuse to compare works that found different things."""
    if ours["violations"] != limit["violations"]:
        raise RuntimeError(f"{case}: ours {ours['violations']}, limit {limit['violations']}")


def _measured(work: Callable[[Path, str], object], rows: int, memory: str) -> None:
    home = directory(rows)
    _load_libraries()
    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    began, cpu = time.perf_counter(), time.process_time()
    violations = work(home, memory)
    figures = {
        "s": round(time.perf_counter() - began, 3),
        "cpu_s": round(time.process_time() - cpu, 3),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "base_mb": base,
        "violations": violations,
    }
    print(json.dumps(figures))


def _load_libraries() -> None:
    """Import what any work needs: a process does that once, whatever it does then."""
    for name in (
        "duckdb",
        "pyarrow.parquet",
        "sqlglot",
        "headgate.contracts.casts",
        "headgate.contracts.parsing",
        "headgate.contracts.table_checks",
        "headgate.engines.duckdb",
        "headgate.engines.writing",
    ):
        import_module(name)


# -- ours


def _spec() -> "ContractSpec":
    import headgate as hg

    class Order(
        hg.Contract,
        rules=(
            hg.unique("order_id", name="order_id unique"),
            hg.unique("country", "ext_id", name="pair unique"),
            hg.expression("abs(amount - qty * price) <= 0.01", name="amount"),
            hg.expression("updated_at >= created_at", name="updated after created"),
            hg.rows(at_least=1),
            hg.freshness("updated_at", timedelta(days=365)),
        ),
        severity="quarantine",
    ):
        order_id: int
        country: str | None
        ext_id: int | None
        customer_id: Annotated[int, hg.references("customers.customer_id", name="customer")]
        email: Annotated[str | None, hg.pattern(EMAIL, name="email")]
        status: Annotated[str | None, hg.one_of(*STATUSES, name="status")]
        qty: Annotated[hg.Int32 | None, hg.between(1, 1000, name="qty")]
        price: float | None
        amount: float | None
        created_at: hg.LocalTimestamp | None
        updated_at: hg.LocalTimestamp | None
        note: Annotated[str | None, hg.length(at_most=64, name="note")]

    from headgate.contracts import contract_spec

    return contract_spec(Order)


def _scan(path: Path) -> "Scan":
    import pyarrow.parquet as pq

    from headgate.filesets import Scan, ScanGroup

    footer = pq.ParquetFile(path)
    group = ScanGroup(paths=(str(path),), columns={}, exact=True)
    return Scan(
        schema=footer.schema_arrow,
        groups=(group,),
        rows=footer.metadata.num_rows,
        size_bytes=path.stat().st_size,
    )


def _session(home: Path, memory: str) -> "tuple[DuckDB, Session]":
    from headgate.engines import DuckDB

    engine = DuckDB(threads=THREADS, memory_limit=memory, temp_directory=home / "spill")
    session = engine.session()
    tables = {name: _scan(home / f"{name}.parquet") for name in ("orders", "customers")}
    session.bind(tables)
    return engine, session


CUSTOMERS = {"customer_id": "long", "name": "string"}


def _ours_split(home: Path, memory: str) -> dict[str, int]:
    from headgate.contracts import arrow_schema, ingest_mask, questions, type_texts
    from headgate.filesets import WriteTarget

    spec = _spec()
    engine, session = _session(home, memory)
    out = _emptied(home / "out")
    rows = _scan(home / "orders.parquet")
    mask = ingest_mask(spec, rows.schema.names, parents={"customers": CUSTOMERS})
    target = WriteTarget(directory=str(out), prefix="good", schema=arrow_schema(spec))
    written = session.write(rows, target, mask=mask.query)
    _write_rejected(written.rejected, mask.query.names, out / "bad.parquet")
    session.bind({"written": _scans([Path(path) for path in written.paths])})
    asked = questions(
        spec,
        "written",
        schema=type_texts(target.schema),
        tables={"customers": CUSTOMERS},
        only=mask.left,
    )
    for question in asked:
        question.read(session.scalars(question.sql))
    session.close()
    engine.close()
    return {**dict(sorted(written.violations.items())), "good": written.rows}


def _scans(paths: list[Path]) -> "Scan":
    from dataclasses import replace

    first = _scan(paths[0])
    scans = [_scan(path) for path in paths]
    group = replace(first.groups[0], paths=tuple(str(path) for path in paths))
    return replace(first, groups=(group,), rows=sum(scan.rows for scan in scans))


def _write_rejected(rejected: "pa.Table | None", names: tuple[str, ...], path: Path) -> None:
    """Write bad rows with their reasons, as a run writes its quarantine."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if rejected is None:
        return
    masks = rejected.column("_mask").to_pylist()
    known = {m: [n for bit, n in enumerate(names) if m >> bit & 1] for m in set(masks)}
    reasons = pa.array([known[mask] for mask in masks], pa.list_(pa.string()))
    pq.write_table(rejected.drop_columns(["_mask"]).append_column("reasons", reasons), path)


def _ours_verify(home: Path, memory: str) -> dict[str, int]:
    from headgate.clock import SystemClock
    from headgate.contracts import arrow_schema, judge, questions, type_texts

    spec = _spec()
    engine, session = _session(home, memory)
    schema = type_texts(arrow_schema(spec))
    tables = {"customers": CUSTOMERS}
    measures = {}
    for question in questions(spec, "orders", schema=schema, tables=tables):
        measures |= question.read(session.scalars(question.sql))
    verdict = judge(
        spec, "orders", measures, contents={}, now=SystemClock().now(), schema=schema, tables=tables
    )
    session.close()
    engine.close()
    rows_only = {result.check: result.violations for result in verdict.results[:10]}
    return dict(sorted((n, rows_only.get(n, measures[n].violations)) for n in _ROW_CHECKS))


_ROW_CHECKS = (
    "amount", "customer", "customer_id is not null", "email", "note", "order_id is not null",
    "order_id unique", "pair unique", "qty", "status", "updated after created",
)  # fmt: skip

# -- the limit

ROW_SQL = (
    ("order_id is not null", "order_id is null"),
    ("customer_id is not null", "customer_id is null"),
    ("qty", "qty not between 1 and 1000"),
    ("email", f"not regexp_matches(email, '{EMAIL}')"),
    ("status", f"status not in ({', '.join(map(repr, STATUSES))})"),
    ("note", "length(note) > 64"),
    ("amount", "abs(amount - qty * price) > 0.01"),
    ("updated after created", "updated_at < created_at"),
    ("order_id unique", "order_id in (from doubled)"),
    ("pair unique", "(country, ext_id) in (select (country, ext_id) from doubled_pairs)"),
    ("customer", "customer_id in (from unknown)"),
)
NAMES = tuple(name for name, _ in ROW_SQL)
AS_WE_WRITE = "format parquet, compression zstd, compression_level 1, write_bloom_filter false"


def _limit_open(home: Path, memory: str) -> "tuple[duckdb.DuckDBPyConnection, str, str]":
    import duckdb

    connection = duckdb.connect()
    connection.execute(
        f"set threads = {THREADS}; set memory_limit = '{memory}'; "
        f"set preserve_insertion_order = false; set temp_directory = '{home}/spill'"
    )
    source = f"read_parquet('{home}/orders.parquet')"
    connection.execute(
        f"create temp table doubled as select order_id from {source} "
        "where order_id is not null group by 1 having count(*) > 1"
    )
    connection.execute(
        f"create temp table doubled_pairs as select country, ext_id from {source} "
        "where country is not null and ext_id is not null group by all having count(*) > 1"
    )
    connection.execute(
        f"create temp table unknown as select distinct o.customer_id from {source} o anti join "
        f"read_parquet('{home}/customers.parquet') c on o.customer_id = c.customer_id "
        "where o.customer_id is not null"
    )
    mask = " | ".join(
        f"case when {sql} then {1 << bit} else 0 end" for bit, (_, sql) in enumerate(ROW_SQL)
    )
    return connection, source, f"({mask})"


def _limit_bad(connection: "duckdb.DuckDBPyConnection", source: str, mask: str) -> dict[str, int]:
    connection.execute(
        f"create temp table found as "
        f"select * from (select *, {mask} as m from {source}) where m > 0"
    )
    reasons = ", ".join(f"case when m & {1 << b} > 0 then '{n}' end" for b, n in enumerate(NAMES))
    connection.execute(
        f"create temp table bad as select * exclude m, "
        f"list_filter([{reasons}], lambda r: r is not null) as reasons from found"
    )
    counted = connection.execute(
        "select r, count(*) from (select unnest(reasons) as r from bad) group by 1"
    ).fetchall()
    return dict(sorted({**dict.fromkeys(NAMES, 0), **dict(counted)}.items()))


def _limit_split(home: Path, memory: str) -> dict[str, int]:
    connection, source, mask = _limit_open(home, memory)
    out = _emptied(home / "out")
    found = _limit_bad(connection, source, mask)
    connection.execute(
        f"copy (select * exclude m from (select *, {mask} as m from {source}) where m = 0) "
        f"to '{out}/good.parquet' ({AS_WE_WRITE})"
    )
    connection.execute(f"copy bad to '{out}/bad.parquet'")
    totals = f"select count(*), max(updated_at) from read_parquet('{out}/good.parquet')"
    row = connection.execute(totals).fetchone()
    return {**found, "good": row[0] if row else 0}


def _limit_verify(home: Path, memory: str) -> dict[str, int]:
    connection, source, mask = _limit_open(home, memory)
    found = _limit_bad(connection, source, mask)
    connection.execute(f"select count(*), max(updated_at) from {source}").fetchone()
    return found


def _emptied(out: Path) -> Path:
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    return out


_WORKS: Mapping[str, Callable[[Path, str], object]] = {
    "ours-split": _ours_split,
    "ours-verify": _ours_verify,
    "limit-split": _limit_split,
    "limit-verify": _limit_verify,
}

if __name__ == "__main__":
    main()
