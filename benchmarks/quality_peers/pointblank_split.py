"""pointblank on Polars: the row rules and both keys, sundered; it has no references."""

import pointblank as pb
import polars as pl
from measuring import EMAIL, HOME, ORDERS, STATUSES, measured


def split():
    rows = pl.read_parquet(ORDERS)
    note = pl.col("note").is_null() | (pl.col("note").str.len_chars() <= 64)
    amount = (pl.col("amount") - pl.col("qty") * pl.col("price")).abs() <= 0.01
    validation = (
        pb.Validate(rows)
        .col_vals_not_null(["order_id", "customer_id"])
        .col_vals_between("qty", 1, 1000)
        .col_vals_regex("email", EMAIL)
        .col_vals_in_set("status", STATUSES)
        .rows_distinct(["order_id"])
        .rows_distinct(["country", "ext_id"])
        .col_vals_expr(expr=amount)
        .col_vals_expr(expr=pl.col("updated_at") >= pl.col("created_at"))
        .col_vals_expr(expr=note)
        .interrogate()
    )
    good = validation.get_sundered_data(type="pass")
    bad = validation.get_sundered_data(type="fail")
    good.write_parquet(HOME / "peer.parquet")
    return good.height, bad.height


measured(split)
