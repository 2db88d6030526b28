"""The entry of ``headgate`` and ``python -m headgate``.

Nothing but the interpreter is loaded until it is known that a command has to be understood.
"""

import sys
from collections.abc import Sequence

from headgate import __version__


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and give its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words in (["--version"], ["-V"]):
        sys.stdout.write(f"headgate {__version__}\n")
        return 0
    from headgate.cli.commands import answer  # noqa: PLC0415 - click alone costs 25 ms

    return answer(words)
