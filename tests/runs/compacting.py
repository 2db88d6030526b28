"""What other processes do to a table that is compacted.

usage: compacting.py ROOT append FIRST COUNT    transactions of a row each
       compacting.py ROOT read                  prints how often it read, until stdin ends
       compacting.py ROOT compact               until stdin ends
       compacting.py ROOT stop NUMBER           compacts; waits for its end at a file's sync
"""

import sys
from dataclasses import replace
from pathlib import Path
from select import select

from workplaces import Workplace

from headgate.runs.compaction import compact


class Stopping:
    """A disk that stops at the n-th file or directory."""

    def __init__(self, number: int) -> None:
        self._left = number

    def file(self, path: str) -> None:
        """Stop, if it is the one."""
        self._left -= 1
        if self._left == 0:
            print("stopped", flush=True)
            sys.stdin.read()

    directory = file


def goes_on() -> bool:
    """Whether stdin is open still."""
    ready, _, _ = select([sys.stdin], [], [], 0)
    return not ready


def append(place: Workplace, first: int, count: int) -> int:
    """Append rows, one a transaction; none is asked to try again."""
    for k in range(first, first + count):
        with place.hall.transaction("main", name=f"append_{first}") as transaction:
            transaction.write("numbers", [{"k": k, "v": k}], mode="append")
        assert transaction.result is not None
        assert transaction.result.losses == 0
    return count


def read(place: Workplace) -> int:
    """Read again and again; every reading is whole: rows only come, and each is there once."""
    times, most = 0, 0
    while goes_on():
        rows = place.rows("numbers")
        keys = {row["k"] for row in rows}
        assert len(keys) == len(rows), "a row was read twice"
        assert all(row["k"] == row["v"] for row in rows)
        assert len(rows) >= most, "rows went"
        times, most = times + 1, len(rows)
    return times


def compacts(place: Workplace) -> int:
    """Compact as often as there is something to do."""
    times = 0
    while goes_on():
        [done] = compact(place.hall.wiring, "main", ("numbers",), after=10)
        assert done.busy is None or "compacts it" in done.busy
        times += len(done.commits)
    return times


def main() -> None:
    """Do as the arguments say."""
    root, what, *numbers = sys.argv[1:]
    place = Workplace(Path(root))
    print("ready", flush=True)
    match what:
        case "append":
            print(append(place, int(numbers[0]), int(numbers[1])))
        case "read":
            print(read(place))
        case "compact":
            print(compacts(place))
        case _:
            wiring = replace(place.hall.wiring, sync=Stopping(int(numbers[0])))
            compact(wiring, "main", ("numbers",))
            print("done")
    place.close()


if __name__ == "__main__":
    main()
