"""A process that reverts a run and rebuilds what followed; kills itself in the middle of it.

usage: killed_rebuild.py ROOT RUN. The third step that is executed again ends the process.
"""

import os
import signal
import sys
from pathlib import Path

from twin_lakes import Twin

from headgate.events import Event, StepStarted


def main() -> None:
    """Revert, and die."""
    lake = Twin(Path(sys.argv[1]))
    started: list[str] = []

    def hear(event: Event) -> None:
        if isinstance(event, StepStarted):
            started.append(event.step)
            if len(started) > 3:
                print("dying", flush=True)
                os.kill(os.getpid(), signal.SIGKILL)

    wiring = lake.place.hall.wiring
    lake.place.hall.wiring = type(wiring)(
        **{name: getattr(wiring, name) for name in wiring.__dataclass_fields__}
        | {"listeners": (hear,), "parallel": 1}
    )
    lake.revert(sys.argv[2], "rebuild")
    print("done", flush=True)


if __name__ == "__main__":
    main()
