"""Processes that deliver to every sink of a project; made to be killed.

usage: killed_delivery.py PROJECT. Prints ``ready`` when all is loaded. For each line it reads, a
child delivers: its id is printed as it begins, and how it ended.
"""

import os
import sys
from importlib import import_module

from headgate.project import open_project

LOADED = (  # before the clock starts
    "headgate.engines.duckdb",
    "headgate.lake.scanning",
    "headgate.lake.table_metadata",
    "headgate.lake.tables",
    "headgate.project.deliveries",
    "headgate.runs.rows_for_sinks",
    "headgate.sinks.mysql",
    "headgate.sinks.postgresql",
    "headgate.sinks.kinds",
    "pandas",
    "pyiceberg.table",
    "sqlglot",
)


def main() -> None:
    """Fork a child for each line."""
    for module in LOADED:
        import_module(module)
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
