"""What another process does to a lake: one hand-made transaction, or a loop of them.

usage: writers.py ROOT append|upsert FIRST COUNT [TIMES]
"""

import sys
from pathlib import Path

from workplaces import Workplace


def main() -> None:
    """Write as the arguments say; prints how many transactions were published."""
    root, what, first, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    times = int(sys.argv[5]) if len(sys.argv) > 5 else 1
    place = Workplace(root)
    for turn in range(times):
        start = first + turn * count
        rows = [{"k": k, "who": f"{what}-{first}"} for k in range(start, start + count)]
        with place.hall.transaction("main", name=f"{what}_{first}") as transaction:
            if what == "append":
                transaction.write("numbers", rows, mode="append")
            else:
                transaction.write("numbers", rows, mode="upsert", key="k")
    print(times)
    place.close()


if __name__ == "__main__":
    main()
