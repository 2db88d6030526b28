"""A process that upserts and is killed by itself right after its files were rewritten.

usage: killed_rewrite.py ROOT
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from workplaces import Workplace

from headgate.engines import duckdb


def main() -> None:
    """Begin an upsert that never ends."""
    place = Workplace(Path(sys.argv[1]))
    write_several = duckdb.DuckDBSession.write_several

    def killed(session: duckdb.DuckDBSession, *given: Any, **named: Any) -> Any:
        write_several(session, *given, **named)
        os.kill(os.getpid(), signal.SIGKILL)

    duckdb.DuckDBSession.write_several = killed  # type: ignore[method-assign]
    with place.hall.transaction("main") as transaction:
        transaction.write("t", [{"k": 1, "v": 1}, {"k": 9, "v": 1}], mode="upsert", key="k")


if __name__ == "__main__":
    main()
