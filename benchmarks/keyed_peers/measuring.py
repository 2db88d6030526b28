"""What every peer's script does: time one function, print one line. Needs nothing but Python.

usage: SCRIPT HOME INPUT REPEAT. HOME holds the table's files under ``table``, INPUT the rows.
"""

import json
import resource
import shutil
import sys
import time
from pathlib import Path

HOME, INPUT, REPEAT = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
FILES = sorted((HOME / "table").glob("*.parquet"))


def measured(name, build, upsert):
    """Build a table, upsert into it, several times; neither imports nor building are counted."""
    walls, cpus, rows = [], [], 0
    for number in range(REPEAT):
        place = HOME / f"{name}-{number}"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        table = build(place)
        began, cpu = time.perf_counter(), time.process_time()
        rows = upsert(table)
        walls.append(time.perf_counter() - began)
        cpus.append(time.process_time() - cpu)
        shutil.rmtree(place)
    figures = {
        "s": round(sorted(walls)[len(walls) // 2], 3),
        "cpu_s": round(sorted(cpus)[len(cpus) // 2], 3),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "rows": rows,
    }
    print(json.dumps(figures))
