"""Judging by delta against judging in full, and against hand-written DuckDB SQL, at 5M rows.

A table of 5M orders in 20 files refers to 1M customers. Its contract asks for not-null, a range, a
pattern, a unique key and the reference. Judged is what one publication did: rows appended,
customers deleted before orders of theirs came (merge skew), customers deleted under orders, recent
and random keys upserted. The hand-written limit knows what was done: it asks of the new rows only,
with the old keys in plain Parquet files.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import duckdb

from benchmarks.measuring import report, timed
from headgate.clock import SystemClock
from headgate.contracts import ContractSpec
from headgate.engines import DuckDB, Sql
from headgate.lake import Append, Delete, Entry, Lake, Operation, Upsert, table_key
from headgate.names import RandomIds
from headgate.runs import Wiring, owner_name
from headgate.runs.applying import apply_operations
from headgate.runs.rejudging import measured_by_delta
from headgate.runs.row_changes import changes_of
from headgate.runs.verify import Case, judge_case
from headgate.verdicts import State, Verdict

ORDERS = 5_000_000
CUSTOMERS = 1_000_000
FILES = 20
MUST_MS = 50.0
SPEC = ContractSpec.from_dict(
    {
        "name": "Order",
        "columns": [
            {"name": "id", "type": "long"},
            {"name": "customer", "type": "long"},
            {"name": "amount", "type": "double"},
            {"name": "code", "type": "string"},
        ],
        "checks": [
            {"check": "not-null", "column": "id"},
            {"check": "between", "column": "amount", "low": 0, "high": 1000},
            {"check": "pattern", "column": "code", "pattern": "^[a-z]-[0-9]+$"},
            {"check": "unique", "columns": ["id"]},
            {
                "check": "references",
                "columns": ["customer"],
                "table": "customers",
                "parent_columns": ["id"],
            },
            {"check": "rows", "at_least": 1},
        ],
    }
)
Entries = Mapping[str, Entry]


class Bench:
    """A lake with both tables, and the verdict they were published with."""

    def __init__(self, root: Path) -> None:
        self.engine = DuckDB(temp_directory=root / "spill")
        self.lake = Lake.create(root / "lake", clock=SystemClock(), ids=RandomIds())
        self.wiring = Wiring(
            lake=self.lake,
            engine=lambda: self.engine,
            clock=SystemClock(),
            ids=RandomIds(),
            root=root,
            cache=root / "cache",
            owner=owner_name(),
            source=lambda *_: None,  # type: ignore[arg-type, return-value]
        )
        self.number = 0
        orders = customers = None
        step = ORDERS // FILES
        for at in range(FILES):
            orders = self.appended(orders, "orders", _orders(at * step, (at + 1) * step))
        for at in range(4):
            step = CUSTOMERS // 4
            query = f"select range as id from range({at * step}, {(at + 1) * step})"
            customers = self.appended(customers, "customers", query)
        assert orders is not None
        assert customers is not None
        self.before: Entries = {"orders": orders, "customers": customers}
        self.baseline = self.verdict(self.before)
        assert self.baseline.state is State.PASSED

    def appended(self, entry: Entry | None, table: str, query: str) -> Entry | None:
        return self.applied(entry, table, self.append(entry, table, query))

    def append(
        self, entry: Entry | None, table: str, query: str, key: tuple[str, ...] = ()
    ) -> tuple[Operation, ...]:
        self.number += 1
        tables = self.lake.tables
        with closing(self.engine.session()) as session:
            rows = Sql(text=query)
            plan = tables.plan_write(
                entry,
                session.schema(rows),
                table=table,
                mode="upsert" if key else "append",
                prefix=f"b{self.number}",
                key_columns=key,
                staged_input=bool(key),
            )
            written = session.write(rows, plan.target)
        files = tables.collect(written.paths, plan.columns, key_columns=key)
        if key:
            return (*plan.operations, Upsert(files=files, key_columns=key))
        return (*plan.operations, Append(files=files))

    def applied(
        self, entry: Entry | None, table: str, operations: Sequence[Operation]
    ) -> Entry | None:
        self.number += 1
        return apply_operations(
            self.wiring, entry, operations, key=table_key(table), prefix=f"a{self.number}"
        ).entry

    def verdict(self, entries: Entries, measured: object = None) -> Verdict:
        contents = {table_key(name): entry.content for name, entry in entries.items()}
        case = Case(table="orders", spec=SPEC, contents=contents)
        return judge_case(self.wiring, _Tree(entries), case, measured=measured)  # type: ignore[arg-type]

    def by_delta(
        self, after: Entries, done: Mapping[str, Sequence[Operation]], *, of: "Baseline"
    ) -> Verdict:
        entries, baseline = of
        changes = changes_of(self.lake.tables, entries, after, done)
        measured = measured_by_delta(
            self.wiring, SPEC, "orders", baseline=baseline, changes=changes
        )
        return self.verdict(after, measured)

    def paths(self, entry: Entry) -> list[str]:
        return [self.lake.tables.absolute(file.path) for file in self.lake.tables.files(entry)]


Baseline = tuple[Entries, Verdict]


class _Tree:
    def __init__(self, entries: Entries) -> None:
        self._entries = entries

    def get(self, key: str) -> Entry | None:
        return self._entries.get(key.removeprefix("table/"))


def _orders(first: int, last: int, customer: str | None = None, id: str = "range") -> str:
    customer = customer or f"(hash(range) % {CUSTOMERS})::bigint"
    return (
        f"select {id}::bigint as id, {customer} as customer, (range % 1000)::double as amount, "
        f"'a-' || (range % 977) as code from range({first}, {last})"
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        bench = Bench(Path(directory))
        orders, customers = bench.before["orders"], bench.before["customers"]
        start = (bench.before, bench.baseline)
        gone = {"customers": (Delete(predicate="id between 500000 and 500999"),)}
        few = bench.append(orders, "orders", _orders(ORDERS, ORDERS + 1_000))
        recent = bench.append(
            orders, "orders", _orders(ORDERS - 50_000, ORDERS, customer="1::bigint"), key=("id",)
        )
        anywhere = _orders(0, 50_000, id="range * 97 % 5000000")
        spread = bench.append(orders, "orders", anywhere, key=("id",))

        # A run deletes 1,000 customers without orders; another appends 50,000 orders, some theirs.
        lonely = f"(case when hash(range) % {CUSTOMERS} between 500000 and 500999 then 1 else "
        lonely += f"hash(range) % {CUSTOMERS} end)::bigint"
        without = None
        step = ORDERS // FILES
        for at in range(FILES):
            query = _orders(at * step, (at + 1) * step, customer=lonely)
            without = bench.appended(without, "orders", query)
        assert without is not None
        fewer = bench.applied(customers, "customers", gone["customers"])
        assert fewer is not None
        head: Entries = {"orders": without, "customers": fewer}
        skewed = (head, bench.verdict(head))
        assert skewed[1].state is State.PASSED
        many = bench.append(
            without,
            "orders",
            _orders(ORDERS, ORDERS + 50_000, customer="(470000 + range % 50000)::bigint"),
        )
        other: Entries = {"orders": without, "customers": customers}
        lonely_start = (other, bench.verdict(other))

        def changed(start: Baseline, done: Sequence[Operation]) -> Entries:
            entry = bench.applied(start[0]["orders"], "orders", done)
            assert entry is not None
            return {**start[0], "orders": entry}

        for name, where, done, keys, must in (
            ("1,000 rows appended", start, few, True, None),
            (
                "50,000 orders appended, 1,000 customers deleted before (merge skew)",
                skewed,
                many,
                True,
                MUST_MS,
            ),
            ("50,000 recent keys upserted", start, recent, False, None),
            ("50,000 random keys upserted", start, spread, False, None),
        ):
            there = where[0]
            limit = _limit(bench, there["orders"], there["customers"], done, keys=keys)
            _case(bench, name, where, changed(where, done), {"orders": done}, limit, must=must)
        _case(
            bench,
            "1,000 customers deleted that have no orders",
            lonely_start,
            {**other, "customers": fewer},
            gone,
            _orphans(bench, without),
            must=MUST_MS,
        )
        bench.engine.close()
        bench.lake.close()


def _case(
    bench: Bench,
    name: str,
    start: Baseline,
    after: Entries,
    done: Mapping[str, Sequence[Operation]],
    limit: Callable[[], object],
    *,
    must: float | None = None,
) -> None:
    """Time one change, and compare both verdicts."""
    by_delta, in_full = bench.by_delta(after, done, of=start), bench.verdict(after)
    counts = [{r.check: (r.violations, r.measured) for r in v.results} for v in (by_delta, in_full)]
    if counts[0] != counts[1]:
        raise AssertionError((name, counts))
    ours = timed(lambda: bench.by_delta(after, done, of=start), repeat=9)
    full = timed(lambda: bench.verdict(after), repeat=3)
    limited = timed(limit, repeat=9)
    report(
        row="DELTA",
        case=name,
        ours=ours.wall_s * 1000,
        limit=limited.wall_s * 1000,
        peer={"judged in full": full.wall_s * 1000},
        unit="ms",
        cpu_ms=ours.cpu_s * 1000,
        state=by_delta.state.value,
        violations=sum(r.violations for r in by_delta.failures),
        must=f"<= {must:g} ms" if must else None,
        reached=ours.wall_s * 1000 <= must if must else None,
    )


def _limit(
    bench: Bench,
    orders: Entry,
    customers: Entry,
    done: Sequence[Operation],
    *,
    keys: bool = True,
) -> Callable[[], object]:
    """Ask by hand of the new rows only; ``keys``: they may meet those that are there."""
    connection = duckdb.connect()
    files = [
        bench.lake.tables.absolute(f.path) for each in done for f in getattr(each, "files", ())
    ]
    new, old, parents = (
        f"read_parquet({paths})" for paths in (files, bench.paths(orders), bench.paths(customers))
    )
    rows = (
        "count(*) filter (id is null), count(*) filter (not (amount between 0 and 1000)), "
        "count(*) filter (not regexp_matches(code, '^[a-z]-[0-9]+$'))"
    )
    orphans = f"not exists (select 1 from {parents} p where p.id = n.customer)"
    asked = [
        f"select {rows} from {new}",
        f"select count(*) from (select id from {new} group by id having count(*) > 1)",
        f"select count(*) from {new} n where customer is not null and {orphans}",
    ]
    if keys:
        asked.append(f"select count(*) from {old} o semi join {new} n using (id)")
    return lambda: [connection.sql(text).fetchall() for text in asked]


def _orphans(bench: Bench, orders: Entry) -> Callable[[], object]:
    connection = duckdb.connect()
    text = (
        f"select count(*) from read_parquet({bench.paths(orders)}) "
        "where customer between 500000 and 500999"
    )
    return lambda: connection.sql(text).fetchall()


if __name__ == "__main__":
    main()
