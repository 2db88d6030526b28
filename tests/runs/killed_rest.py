"""A process that reads an API once, resuming what an earlier one left; made to be killed.

usage: killed_rest.py ROOT URL [resume]. Prints ``ready`` when all is imported, ``done`` at the end.
"""

import sys

from killable import run_once

import headgate.runs.computing
import headgate.runs.normalising
import headgate.runs.publish  # noqa: F401
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


if __name__ == "__main__":
    run_once(PIPELINE.replace("{url}", sys.argv[2]), rest=RestSource)
