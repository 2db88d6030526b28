"""A process that reads files once, resuming what an earlier one left; made to be killed.

usage: killed_files.py ROOT [resume]. Prints ``ready`` when all is imported, ``done`` at the end.
"""

import sys
from pathlib import Path

from workplaces import Workplace

import headgate.runs.computing
import headgate.runs.normalising
import headgate.runs.publish
import headgate.sources.archives
import headgate.sources.formats.csv
import headgate.sources.formats.json_records
import headgate.sources.formats.xml  # noqa: F401
from headgate.lake import RunState

PIPELINE = """
import headgate as hg

lines = hg.files("data/lines*.jsonl.gz", mode="append")
commas = hg.files("data/commas*.csv", mode="append")
packed = hg.files("data/packed*.zip", member="*.xml", mode="append")
latest = hg.files("data/latest*.json", mode="upsert", key="id")
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
