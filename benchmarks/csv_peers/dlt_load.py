"""dlt: its own DuckDB-backed CSV reader into Parquet files, no checks."""

import sys
from pathlib import Path

import dlt
from dlt.sources.filesystem import filesystem, read_csv_duckdb

path, out = Path(sys.argv[1]), Path(sys.argv[2])
pipeline = dlt.pipeline(
    pipeline_name="orders",
    pipelines_dir=str(out / "state"),
    destination=dlt.destinations.filesystem(f"file://{out / 'lake'}"),
    dataset_name="raw",
)
files = filesystem(bucket_url=f"file://{path.parent}", file_glob=path.name)
orders = (files | read_csv_duckdb(chunk_size=100_000, use_pyarrow=True)).with_name("orders")
pipeline.run(orders, loader_file_format="parquet")
