"""Lines that move at the bottom of a terminal while others stay above; rich does the drawing."""

import contextlib
from collections.abc import Callable

from rich.console import Console
from rich.live import Live
from rich.text import Text

from headgate.cli.terminal import Terminal

_REDRAWS_A_SECOND = 8


class MovingLines:
    """A few lines that are drawn again and again, below everything that was written."""

    def __init__(self, terminal: Terminal, lines: Callable[[], list[str]]) -> None:
        self._console = Console(
            file=terminal.err,
            no_color=not terminal.coloured,
            highlight=False,
            markup=False,
            emoji=False,
            soft_wrap=True,
        )
        self._lines = lines
        self._live = Live(
            get_renderable=self._drawn,
            console=self._console,
            transient=True,
            refresh_per_second=_REDRAWS_A_SECOND,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()

    def _drawn(self) -> Text:
        return Text.from_ansi("\n".join(self._lines()), overflow="ellipsis", no_wrap=True)

    def above(self, line: str) -> None:
        """Write a line that stays, above."""
        self._live.console.print(Text.from_ansi(line))
        self._live.refresh()

    def close(self) -> None:
        """Take the moving lines away."""
        with contextlib.suppress(BrokenPipeError):
            self._live.stop()
