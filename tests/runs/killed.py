"""A process that runs a pipeline once, resuming what an earlier one left; made to be killed.

usage: killed.py ROOT. Prints ``ready`` when everything is imported, ``done`` at the end.
"""

import polars as pl  # noqa: F401 - loaded before the clock starts
from killable import run_once

import headgate.runs.computing
import headgate.runs.publish  # noqa: F401

PIPELINE = """
import headgate as hg
import polars as pl

rows = hg.files("data/*.csv", mode="append")
latest = hg.sql_step(
    "select key, max(value) as value from rows group by key", mode="upsert", key="key"
)

@hg.step
def total(rows: pl.LazyFrame, latest: pl.LazyFrame) -> pl.LazyFrame:
    both = rows.select(n=pl.len(), sum=pl.col("value").sum())
    return both.join(latest.select(keys=pl.len()), how="cross")
"""


if __name__ == "__main__":
    run_once(PIPELINE)
