"""A process that erases a person's rows; made to be killed.

usage: killed_erasure.py ROOT. Prints ``ready`` when everything is imported, ``done`` at the end.
"""

import sys
from pathlib import Path

from workplaces import Workplace

import headgate.lake.manifests
import headgate.runs.erasing  # noqa: F401 - loaded before the clock starts
from headgate.runs import Request


def main() -> None:
    """Erase, or do what an erasure left to do."""
    place = Workplace(Path(sys.argv[1]))
    request = Request(
        tables=("customers", "people"), where="id = 42", reason="ticket 7", target="main"
    )
    print("ready", flush=True)
    place.hall.erase(request, drop_caches=lambda: None)
    print("done", flush=True)
    place.close()


if __name__ == "__main__":
    main()
