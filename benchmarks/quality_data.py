"""The data of F9: orders of 12 columns, one row in a thousand bad, and customers."""

from pathlib import Path

import duckdb

from benchmarks.measuring import WORK

COUNTRIES = ["US", "DE", "FR", "GB", "IN", "BR", "JP", "CN"]
STATUSES = ["new", "paid", "shipped", "done", "refunded"]
EMAIL = r"^[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}$"
WAYS = (
    "order_id missing", "order_id doubled", "pair doubled", "no such customer", "no address",
    "no such status", "amount and quantity below", "sum wrong", "note too long",
)  # fmt: skip


def directory(rows: int) -> Path:
    """Give where the data of so many rows lies, made on first use."""
    home = WORK / "quality" / str(rows)
    if not (home / "done").exists():
        home.mkdir(parents=True, exist_ok=True)
        with duckdb.connect() as connection:
            _make(connection, rows, home)
        (home / "done").touch()
    return home


def _make(connection: duckdb.DuckDBPyConnection, rows: int, home: Path) -> None:
    customers = max(1000, rows // 10)
    names = f"select range as customer_id, 'customer ' || range as name from range({customers})"
    connection.execute(f"copy ({names}) to '{home}/customers.parquet'")
    connection.execute("set preserve_insertion_order = false")
    connection.execute(
        f"""
        copy (
          with numbered as (
            select range as n, hash(range * 2654435761) as a, hash(range * 40503 + 7) as b,
                   if(hash(range + 1) % {1000 * len(WAYS)} < {len(WAYS)},
                      (hash(range + 1) % {1000 * len(WAYS)})::int, -1) as way
            from range({rows}))
          select
            case way when 0 then null when 1 then (n + {rows // 2}) % {rows} else n end::bigint
              as order_id,
            if(way = 2, 'US', {COUNTRIES!r}[(a % 8)::int + 1]) as country,
            if(way = 2, 7, n)::bigint as ext_id,
            if(way = 3, {customers} + n, (a % {customers})::bigint)::bigint as customer_id,
            if(way = 4, 'not-an-address',
               'user' || (b % 1000000) || '@example' || (a % 50) || '.com')
              as email,
            if(way = 5, 'bogus', {STATUSES!r}[(b % 5)::int + 1]) as status,
            if(way = 6, -5, (a % 1000)::int + 1)::integer as qty,
            ((b % 10000) / 100.0)::double as price,
            if(way = 6, -5, (a % 1000)::int + 1) * ((b % 10000) / 100.0)::double
              + if(way = 7, 3.5, 0) as amount,
            (timestamp '2026-01-01' + to_seconds((n * 20000000.0 / {rows})::bigint)) as created_at,
            (timestamp '2026-01-01' + to_seconds((n * 20000000.0 / {rows})::bigint
              + (b % 3600)::bigint)) as updated_at,
            case when way = 8 then repeat('x', 80) when a % 3 = 0 then null
                 else 'note ' || (a % 100000) end as note
          from numbered
        ) to '{home}/orders.parquet' (row_group_size 122880)"""
    )
