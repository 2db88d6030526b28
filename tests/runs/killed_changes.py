"""A process that follows a table's changes once, resuming what an earlier one left; to be killed.

usage: killed_changes.py ROOT URL. Prints ``ready`` when all is imported, ``done`` at the end.
"""

import sys

from killable import run_once

import headgate.runs.changes
import headgate.runs.computing
import headgate.runs.publish  # noqa: F401
from headgate.sources.postgres_changes.source import PostgresChanges

PIPELINE = """
import headgate as hg

accounts = hg.changes("{url}", "accounts", key="id")
transfers = hg.changes("{url}", "transfers", keep="log")
"""


if __name__ == "__main__":
    run_once(PIPELINE.replace("{url}", sys.argv[2]), postgres_changes=PostgresChanges)
