"""Another process at work: lake_writer.py PROJECT COUNT; a line per published commit."""

import sys

import pyarrow as pa

import headgate as hg


def main() -> None:
    directory, count = sys.argv[1], int(sys.argv[2])
    with hg.open(directory) as project:
        for number in range(count):
            with project.transaction("main", name="pairs") as tx:
                rows = pa.table({"n": [number], "text": [str(number) * 50]})
                tx.write("left", rows, mode="append")
                tx.write("right", rows, mode="append")
            print(project.lake.branch("main").head, flush=True)


if __name__ == "__main__":
    main()
