"""The terminal: data on stdout, words on stderr, colour and marks only where they can be seen."""

import os
import shutil
from collections.abc import Mapping
from typing import BinaryIO, Literal, TextIO, TypeAlias

import msgspec

Style: TypeAlias = Literal["good", "bad", "notice", "quiet", "strong"]
_CODES: Mapping[Style, str] = {
    "good": "32",
    "bad": "31",
    "notice": "33",
    "quiet": "2",
    "strong": "1",
}
_ENOUGH_COLUMNS = 40


class Terminal:
    """Where a command writes. ``headgate ... > file`` holds data only, never words."""

    def __init__(self, *, out: TextIO, err: TextIO, environment: Mapping[str, str]) -> None:
        self.out = out
        self.err = err
        plain = bool(environment.get("NO_COLOR")) or environment.get("TERM") == "dumb"
        self.out_is_live = _is_terminal(out)
        self.err_is_live = _is_terminal(err)
        self._out_colour = self.out_is_live and not plain
        self._err_colour = self.err_is_live and not plain
        self.moves = self.err_is_live and environment.get("TERM") != "dumb"
        self.marks = _marks(err)

    @property
    def width(self) -> int:
        """Columns of the terminal; plenty where there is none, so that nothing is cut in a file."""
        if not self.out_is_live:
            return 10_000
        return max(shutil.get_terminal_size().columns, _ENOUGH_COLUMNS)

    @property
    def coloured(self) -> bool:
        """Whether words may be coloured."""
        return self._err_colour

    def data(self, text: str) -> None:
        """Write a line of the answer."""
        self.out.write(text + "\n")

    def bytes(self) -> BinaryIO:
        """Give stdout for bytes, after everything written so far."""
        self.out.flush()
        return self.out.buffer

    def document(self, value: object) -> None:
        """Write the answer as one JSON document."""
        self.data(msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2).decode())

    def words(self, text: str = "") -> None:
        """Write a line about the work, beside the answer."""
        self.err.write(text + "\n")
        self.err.flush()

    def style(self, text: str, style: Style) -> str:
        """Colour words, where words may be coloured."""
        return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if self._err_colour else text

    def style_data(self, text: str, style: Style) -> str:
        """Colour part of the answer, where the answer goes to a terminal."""
        return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if self._out_colour else text

    def silence(self) -> None:
        """Send what is still unwritten nowhere: the reader of the pipe has gone."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.out.fileno())
        os.close(nowhere)


class Marks(msgspec.Struct, frozen=True):
    """The signs in front of lines; plain letters where the stream cannot write the signs."""

    done: str = "✓"
    failed: str = "✗"
    skipped: str = "="
    again: str = "↻"
    more: str = "…"


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:
        return False


def _marks(stream: TextIO) -> Marks:
    marks = Marks()
    try:
        "".join(msgspec.structs.astuple(marks)).encode(getattr(stream, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return Marks(done="+", failed="x", skipped="=", again="@", more="...")
    return marks
