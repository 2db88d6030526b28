"""A process that reads files once, resuming what an earlier one left; made to be killed.

usage: killed_files.py ROOT [resume]. Prints ``ready`` when all is imported, ``done`` at the end.
"""

from killable import run_once

import headgate.runs.computing
import headgate.runs.normalising
import headgate.runs.publish
import headgate.sources.archives
import headgate.sources.formats.csv
import headgate.sources.formats.json_records
import headgate.sources.formats.xml  # noqa: F401

PIPELINE = """
import headgate as hg

lines = hg.files("data/lines*.jsonl.gz", mode="append")
commas = hg.files("data/commas*.csv", mode="append")
packed = hg.files("data/packed*.zip", member="*.xml", mode="append")
latest = hg.files("data/latest*.json", mode="upsert", key="id")
"""


if __name__ == "__main__":
    run_once(PIPELINE)
