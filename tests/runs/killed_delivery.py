"""Processes that deliver to every sink of a project; made to be killed.

usage: killed_delivery.py PROJECT. Prints ``ready`` when all is loaded. For each line it reads, a
child delivers: its id is printed as it begins, and how it ended.
"""

import os
import sys

import psycopg  # noqa: F401 - loaded before the clock starts

import headgate.engines.duckdb
import headgate.lake
import headgate.runs.delivering
import headgate.runs.rows_for_sinks
import headgate.sinks.mysql
import headgate.sinks.postgresql  # noqa: F401
from headgate.project import open_project


def main() -> None:
    """Fork a child for each line."""
    print("ready", flush=True)
    for _ in sys.stdin:
        child = os.fork()
        if not child:
            with open_project(sys.argv[1], environment={}) as project:
                project.deliver()
            os._exit(0)
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
