"""The entry of ``headgate`` and ``python -m headgate``.

Nothing but the interpreter is loaded until it is known that a command has to be understood.
"""

import os
import sys
from collections.abc import Sequence

from headgate import __version__

_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and give its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words in (["--version"], ["-V"]):
        sys.stdout.write(f"headgate {__version__}\n")
        return 0
    try:
        from headgate.cli.commands import answer  # noqa: PLC0415 - click alone costs 25 ms

        code = answer(words)
    except KeyboardInterrupt:  # before anything could be said, or again while it is tidied up
        code = _INTERRUPTED
    return _left(code)


def _left(code: int) -> int:
    """Leave at once where a step still computes: nothing can stop a thread, and none is waited for.

    The interpreter would take such a thread's ground away at its end; some libraries abort then.
    """
    threading = sys.modules.get("threading")
    threads = threading.enumerate() if threading is not None else []
    if any(each.daemon and each.name.startswith("step-") for each in threads):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code
