"""A process that loads from a database, again and again, until it is killed.

usage: loading.py ROOT. Prints ``ready`` when everything is imported. ROOT holds a project.
"""

import sys

import adbc_driver_postgresql.dbapi  # noqa: F401 - loaded before the clock starts
import psycopg  # noqa: F401

import headgate.runs.computing
import headgate.runs.publish  # noqa: F401
from headgate.project import open_project


def main() -> None:
    with open_project(sys.argv[1]) as project:
        print("ready", flush=True)
        while True:
            project.run()


if __name__ == "__main__":
    main()
