"""A process that reads a join of three tables in a loop; fails when they are of different commits.

usage: reader.py ROOT READS. Prints how many reads it made and how many versions it saw.
"""

import sys
from pathlib import Path

from workplaces import Workplace

from headgate.engines import Sql

QUERY = """
select a.version as a, b.version as b, c.version as c, b.n as n, c.m as m, count(*) as rows
from a, b, c group by all
"""


def main() -> None:
    """Read, and compare what was read with itself."""
    place = Workplace(Path(sys.argv[1]))
    reads = int(sys.argv[2])
    seen: set[object] = set()
    for _ in range(reads):
        tree = place.lake.tree(place.lake.resolve("main"))
        entries = tree.get_many([f"table/{name}" for name in "abc"])
        session = place.engine.session()
        session.bind(
            {
                key.removeprefix("table/"): place.lake.tables.scan(entry)
                for key, entry in entries.items()
                if entry is not None
            }
        )
        rows = session.reader(Sql(text=QUERY)).read_all().to_pylist()
        session.close()
        if len(rows) != 1:
            raise SystemExit(f"{len(rows)} rows: {rows}")
        row = rows[0]
        if not row["a"] == row["b"] == row["c"] or (row["n"], row["m"]) != (10, 20):
            raise SystemExit(f"a mixture: {row}")
        seen.add(row["a"])
    print(reads, len(seen))
    place.close()


if __name__ == "__main__":
    main()
