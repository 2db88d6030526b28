"""A process that runs a pipeline once, resuming what an earlier one left; made to be killed.

usage: killed.py ROOT. Prints ``ready`` when everything is imported, ``done`` at the end.
"""

import sys
from pathlib import Path

import polars as pl  # noqa: F401 - loaded before the clock starts
from workplaces import Workplace

import headgate.runs.computing
import headgate.runs.publish  # noqa: F401
from headgate.lake import RunState

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


def main() -> None:
    """Run, or take up the run that was killed."""
    place = Workplace(Path(sys.argv[1]))
    pipeline = place.pipeline(PIPELINE, name="killed")
    print("ready", flush=True)
    unfinished = [
        run
        for run in place.hall.open_runs()
        if run.state in {RunState.RUNNING, RunState.PUBLISHING, RunState.FAILED}
    ]
    if unfinished and len(sys.argv) > 2:
        place.hall.resume(unfinished[0].id, pipeline)
    else:
        place.hall.run(pipeline, target="main")
    print("done", flush=True)
    place.close()


if __name__ == "__main__":
    main()
