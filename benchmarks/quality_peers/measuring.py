"""What every peer's script does: time one function, print one line. Needs nothing but Python."""

import json
import resource
import sys
import time
from pathlib import Path

EMAIL = r"^[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}$"
STATUSES = ["new", "paid", "shipped", "done", "refunded"]
HOME = Path(sys.argv[1])
ORDERS = HOME / "orders.parquet"
CUSTOMERS = HOME / "customers.parquet"


def measured(work):
    """Run a function that returns how many rows were good and bad; imports are not counted."""
    began, cpu = time.perf_counter(), time.process_time()
    good, bad = work()
    figures = {
        "s": round(time.perf_counter() - began, 3),
        "cpu_s": round(time.process_time() - cpu, 3),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "good": good,
        "bad": bad,
    }
    print(json.dumps(figures))
