# ruff: noqa: N805 - dataframely calls a rule with the class
"""dataframely: 12 columns, the row rules, both keys and the reference; bad rows split off."""

import dataframely as dy
import polars as pl
from measuring import CUSTOMERS, EMAIL, HOME, ORDERS, STATUSES, measured

KNOWN = pl.scan_parquet(CUSTOMERS)


class Order(dy.Schema):
    order_id = dy.Int64(nullable=False)
    country = dy.String(nullable=True)
    ext_id = dy.Int64(nullable=True)
    customer_id = dy.Int64(nullable=False)
    email = dy.String(nullable=True, regex=EMAIL)
    status = dy.String(nullable=True, check=lambda column: column.is_in(STATUSES))
    qty = dy.Int32(nullable=True, min=1, max=1000)
    price = dy.Float64(nullable=True)
    amount = dy.Float64(nullable=True)
    created_at = dy.Datetime(nullable=True)
    updated_at = dy.Datetime(nullable=True)
    note = dy.String(nullable=True, max_length=64)
    unknown = dy.Bool(nullable=True, check=lambda column: ~column)

    @dy.rule()
    def amount_fits(cls):
        return (pl.col("amount") - pl.col("qty") * pl.col("price")).abs() <= 0.01

    @dy.rule()
    def updated_after_created(cls):
        return pl.col("updated_at") >= pl.col("created_at")

    @dy.rule()
    def order_id_unique(cls):
        return pl.col("order_id").is_null() | ~pl.col("order_id").is_duplicated()

    @dy.rule()
    def pair_unique(cls):
        return ~pl.struct("country", "ext_id").is_duplicated()


def split():
    known = KNOWN.select("customer_id", unknown=pl.lit(value=False))
    rows = pl.read_parquet(ORDERS).lazy().join(known, on="customer_id", how="left")
    good, failures = Order.filter(
        rows.with_columns(pl.col("unknown").fill_null(value=True)).collect()
    )
    good.drop("unknown").write_parquet(HOME / "peer.parquet")
    return good.height, len(failures)


measured(split)
