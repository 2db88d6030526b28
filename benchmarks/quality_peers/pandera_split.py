"""pandera on Polars, dropping invalid rows: the row rules and both keys; it has no references.

It leaves rows of duplicate keys among the good ones; their number shows in ``good``.
"""

import warnings

import pandera.polars as pa
import polars as pl
from measuring import EMAIL, HOME, ORDERS, STATUSES, measured

warnings.filterwarnings("ignore")


def amount_fits(data):
    return data.lazyframe.select((pl.col("amount") - pl.col("qty") * pl.col("price")).abs() <= 0.01)


def updated_after_created(data):
    return data.lazyframe.select(pl.col("updated_at") >= pl.col("created_at"))


SCHEMA = pa.DataFrameSchema(
    {
        "order_id": pa.Column(pl.Int64, unique=True),
        "customer_id": pa.Column(pl.Int64),
        "email": pa.Column(pl.String, pa.Check.str_matches(EMAIL), nullable=True),
        "status": pa.Column(pl.String, pa.Check.isin(STATUSES), nullable=True),
        "qty": pa.Column(pl.Int32, pa.Check.in_range(1, 1000), nullable=True),
        "note": pa.Column(pl.String, pa.Check.str_length(max_value=64), nullable=True),
    },
    checks=[pa.Check(amount_fits), pa.Check(updated_after_created)],
    unique=["country", "ext_id"],
    drop_invalid_rows=True,
)


def split():
    rows = pl.read_parquet(ORDERS)
    good = SCHEMA.validate(rows, lazy=True)
    good.write_parquet(HOME / "peer.parquet")
    return good.height, rows.height - good.height


measured(split)
