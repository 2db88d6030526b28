"""DuckDB, but whoever judges with it waits a second first: a stranger's engine, as a plug-in."""

import os
import time
from collections.abc import Mapping
from pathlib import Path

from headgate.engines import DuckDB, Session

CHECK_S = 1.0
LOG = "SLOW_CHECKS_LOG"


class SlowChecks(DuckDB):
    """Answers a session's first question (a judgement) a second late, and notes it in a file."""

    name = "slow-checks"

    def session(self) -> Session:
        """Open a unit of work."""
        session = super().session()
        answer = session.scalars
        waited = False

        def scalars(sql: str) -> Mapping[str, object]:
            nonlocal waited
            if not waited:
                waited = True
                time.sleep(CHECK_S)
                with Path(os.environ[LOG]).open("ab") as log:
                    log.write(b".")
            return answer(sql)

        session.scalars = scalars
        return session
