"""A process that follows a table's changes once, resuming what an earlier one left; to be killed.

usage: killed_changes.py ROOT URL. Prints ``ready`` when all is imported, ``done`` at the end.
"""

import sys
from pathlib import Path

from workplaces import Workplace

import headgate.runs.changes
import headgate.runs.computing
import headgate.runs.publish  # noqa: F401
from headgate.lake import RunState
from headgate.sources.postgres_changes.source import PostgresChanges

PIPELINE = """
import headgate as hg

accounts = hg.changes("{url}", "accounts", key="id")
transfers = hg.changes("{url}", "transfers", keep="log")
"""


def main() -> None:
    """Run, or take up the run that was killed."""
    place = Workplace(Path(sys.argv[1]))
    place.sources["postgres_changes"] = PostgresChanges
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
