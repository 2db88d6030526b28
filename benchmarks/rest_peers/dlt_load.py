"""dlt: the API's pages by its REST source into Parquet, as its documentation has it."""

import json
import os
import sys
import time

os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"

import dlt
from dlt.sources.rest_api import rest_api_resources

url, out = sys.argv[1:3]
os.chdir(out)
config = {
    "client": {
        "base_url": url,
        "paginator": {"type": "page_number", "base_page": 1, "total_path": "total_pages"},
    },
    "resources": [
        {
            "name": "records",
            "endpoint": {"path": "page", "params": {"run": "dlt"}, "data_selector": "data"},
        }
    ],
}
began = time.perf_counter()
pipeline = dlt.pipeline(
    "rest",
    pipelines_dir="state",
    destination=dlt.destinations.filesystem(f"file://{out}/data"),
    dataset_name="records",
)
pipeline.run(rest_api_resources(config)[0], loader_file_format="parquet")
rows = pipeline.last_trace.last_normalize_info.row_counts["records"]
print(json.dumps({"s": round(time.perf_counter() - began, 3), "rows": rows}))
