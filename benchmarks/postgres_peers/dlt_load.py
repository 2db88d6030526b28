"""dlt: a table of PostgreSQL into Parquet files, by one of its backends."""

import sys
import time
from pathlib import Path

import dlt
from dlt.sources.sql_database import sql_table

url, table, backend, out = sys.argv[1], sys.argv[2], sys.argv[3], Path(sys.argv[4])
began = time.perf_counter()
pipeline = dlt.pipeline(
    pipeline_name=f"orders_{backend}",
    pipelines_dir=str(out / "state"),
    destination=dlt.destinations.filesystem(f"file://{out / 'lake'}"),
    dataset_name="raw",
)
orders = sql_table(
    url.replace("postgresql://", "postgresql+psycopg2://"),
    table=table,
    backend=backend,
    reflection_level="full_with_precision",
)
pipeline.run(orders, loader_file_format="parquet")
print(time.perf_counter() - began)
