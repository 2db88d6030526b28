"""dlt: nested records through its normaliser into Parquet files, child tables as it makes them."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import dlt

path, out = Path(sys.argv[1]), Path(sys.argv[2])


@dlt.resource(name="events")
def events() -> Iterator[list[dict[str, object]]]:
    """Give the records in pages of a thousand."""
    page: list[dict[str, object]] = []
    with path.open() as file:
        for line in file:
            page.append(json.loads(line))
            if len(page) == 1_000:
                yield page
                page = []
    yield page


pipeline = dlt.pipeline(
    pipeline_name="events",
    pipelines_dir=str(out / "state"),
    destination=dlt.destinations.filesystem(f"file://{out / 'lake'}"),
    dataset_name="raw",
)
pipeline.run(events(), loader_file_format="parquet")
