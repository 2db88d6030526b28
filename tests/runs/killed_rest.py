"""A process that reads an API once, resuming what an earlier one left; made to be killed.

usage: killed_rest.py ROOT URL [resume]. Prints ``ready`` when all is imported, ``done`` at the end.
"""

import sys
from pathlib import Path

from workplaces import Workplace

import headgate.runs.computing
import headgate.runs.normalising
import headgate.runs.publish  # noqa: F401
from headgate.lake import RunState
from headgate.sources.rest.source import RestSource

PIPELINE = """
import headgate as hg

retry = {"first": "10ms", "longest": "50ms", "attempts": 12}
api = dict(records="data", retry=retry, batch_rows=7)

new = hg.rest("{url}", path="page", pages={"by": "page"},
              since={"field": "at", "parameter": "since"}, **api)
grown = hg.rest("{url}", path="cursor", pages={"by": "cursor", "next": "next"}, grows=True, **api)
latest = hg.rest("{url}", path="offset", pages={"by": "offset", "size": 10, "total": "total"},
                 since={"field": "at", "parameter": "since"}, key="id", **api)
"""


def main() -> None:
    """Run, or take up the run that was killed."""
    place = Workplace(Path(sys.argv[1]))
    place.sources["rest"] = RestSource
    pipeline = place.pipeline(PIPELINE.replace("{url}", sys.argv[2]), name="killed")
    print("ready", flush=True)
    unfinished = [
        run
        for run in place.hall.open_runs()
        if run.state in {RunState.RUNNING, RunState.PUBLISHING, RunState.FAILED}
    ]
    if unfinished and len(sys.argv) > 3:
        place.hall.resume(unfinished[0].id, pipeline)
    else:
        place.hall.run(pipeline, target="main")
    print("done", flush=True)
    place.close()


if __name__ == "__main__":
    main()
