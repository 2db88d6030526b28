"""JSON texts cut into records: one record in memory, whatever the file's size.

Only brackets outside of strings are looked at. Whether a record is JSON is not decided here, but
where it begins and ends: a bad one is left out alone.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import IO

from headgate.errors import Invalid, NotFound
from headgate.sources.formats.limits import too_large

_CHUNK_BYTES = 1 << 20
_SPACE = re.compile(rb"[ \t\r\n]*+")
# Possessive groups are read wrongly before Python 3.11.5 (gh-106052); single characters rightly.
_TEXT = rb'"[^"\\]*+(?:\\.[^"\\]*+)*"'
_BETWEEN = re.compile(rb'[^"{}\[\]]*+(?:' + _TEXT + rb'[^"{}\[\]]*+)*', re.DOTALL)
_BRACKET = re.compile(_BETWEEN.pattern + rb"[{}\[\]]", re.DOTALL)
_STRING = re.compile(_TEXT, re.DOTALL)
_SCALAR = re.compile(rb"[^\s,\]}\[{\"]++")
_OPENING = b"{["
_WINDOW_BYTES = 1 << 18
"""How far is looked for a bracket at once: a group that may go back remembers each string."""
_DEEPEST = 200


class Scanner:
    """Finds the records of a JSON text.

    Args:
        stream: the text in UTF-8.
        shown: what messages call it.
        largest_bytes: of one record.
    """

    def __init__(self, stream: IO[bytes], shown: str, largest_bytes: int) -> None:
        self._stream = stream
        self._shown = shown
        self._largest = largest_bytes
        self._buffer = b""
        self._at = 0
        self._line = 1
        self._ended = False
        self._found = False
        self._seen: dict[str, None] = {}

    def records(self, path: Sequence[str]) -> Iterator[tuple[int, bytes]]:
        """Give each record at a path of names, and its line. Arrays on the way are gone through.

        Raises:
            Invalid: ``file-malformed``, ``record-too-large``.
            NotFound: ``records-missing``.
        """
        begun = False
        while self._peek():
            begun = True
            yield from self._under(tuple(path))
        if path and begun and not self._found:
            names = ", ".join(list(self._seen)[:10])
            raise NotFound(
                "records-missing",
                f"{self._shown} has nothing at {'.'.join(path)}; on the way there are: {names}.",
                hint="Mend records=; it names keys from the outermost on, with dots.",
                path=self._shown,
                records=".".join(path),
            )

    def _under(self, path: tuple[str, ...], depth: int = 0) -> Iterator[tuple[int, bytes]]:
        first = self._peek()
        if depth > _DEEPEST:
            raise Invalid(
                "record-too-deep",
                f"{self._shown}:{self._line}: lists within lists, more than {_DEEPEST} deep.",
                hint="Mend records=, or the file.",
                path=self._shown,
                line=self._line,
            )
        if first == b"[":
            self._found = self._found or not path
            for _ in self._elements():
                if path:
                    yield from self._under(path, depth + 1)
                else:
                    yield self._line, self._value()
        elif not path:
            self._found = True
            yield self._line, self._value()
        elif first == b"{":
            yield from self._members(path)
        else:
            self._skip()

    def _members(self, path: tuple[str, ...]) -> Iterator[tuple[int, bytes]]:
        self._at += 1
        if self._peek() == b"}":
            self._at += 1
            return
        seen: dict[str, None] = {}
        here = False
        while True:
            if self._peek() != b'"':
                raise self._broken("a name in quotes")
            name = _name(self._value())
            self._expect(b":")
            seen[name] = None
            if name == path[0]:
                here = True
                yield from self._under(path[1:])
            else:
                self._skip()
            if self._expect(b",}") == b"}":
                break
        if not here:
            self._seen.update(seen)

    def _elements(self) -> Iterator[None]:
        """Stand before each element of an array in turn."""
        self._at += 1
        if self._peek() == b"]":
            self._at += 1
            return
        while True:
            self._peek()
            yield
            if self._expect(b",]") == b"]":
                return

    # -- values

    def _value(self) -> bytes:
        """Give the text of the value that begins here."""
        end = self._end(keep=True)
        value = self._buffer[self._at : end]
        self._pass(end)
        return value

    def _skip(self) -> None:
        """Pass over the value that begins here, however large."""
        self._pass(self._end(keep=False))

    def _end(self, *, keep: bool) -> int:
        """Give where the value that begins here ends. Kept, it is in the buffer from here on."""
        first = self._peek()
        if first in (b"{", b"["):
            return self._end_of_brackets(keep=keep)
        pattern = _STRING if first == b'"' else _SCALAR
        while True:
            found = pattern.match(self._buffer, self._at)
            if found is not None and (found.end() < len(self._buffer) or self._ended):
                return found.end()
            if found is None and first != b'"' and len(self._buffer) > self._at:
                raise self._broken("a value")
            self._more()

    def _end_of_brackets(self, *, keep: bool) -> int:
        depth, at, window = 0, self._at, _WINDOW_BYTES
        while True:
            found = _BRACKET.match(self._buffer, at, at + window)
            if found is None:
                between = _BETWEEN.match(self._buffer, at, at + window)
                end = between.end() if between else at
                if at + window < len(self._buffer):
                    window = _WINDOW_BYTES if end > at else 2 * window  # one string fills it
                    at = end
                    continue
                at = end
                if not keep:
                    self._pass(at)
                offset = at - self._at
                self._more()
                at = self._at + offset
                continue
            at = found.end()
            depth += 1 if self._buffer[at - 1] in _OPENING else -1
            if depth == 0:
                return at

    # -- the buffer

    def _peek(self) -> bytes:
        """Give the next byte that is no white space; none at the end."""
        while True:
            found = _SPACE.match(self._buffer, self._at)
            self._pass(found.end() if found else self._at)
            if self._at < len(self._buffer):
                return self._buffer[self._at : self._at + 1]
            if self._ended or not self._fill():
                return b""

    def _expect(self, wanted: bytes) -> bytes:
        found = self._peek()
        if not found or found not in wanted:
            raise self._broken(" or ".join(chr(mark) for mark in wanted))
        self._at += 1
        return found

    def _pass(self, end: int) -> None:
        self._line += self._buffer.count(b"\n", self._at, end)
        self._at = end

    def _more(self) -> None:
        """Read on where the value that begins here goes on."""
        if len(self._buffer) - self._at > self._largest:
            raise too_large(f"{self._shown}:{self._line}", self._largest)
        if self._ended or not self._fill():
            raise self._broken("the end of a value that begins here")

    def _fill(self) -> bool:
        kept = self._buffer[self._at :]
        chunk = self._stream.read(max(_CHUNK_BYTES, len(kept)))
        self._buffer, self._at = kept + chunk, 0
        self._ended = not chunk
        return bool(chunk)

    def _broken(self, wanted: str) -> Invalid:
        there = self._buffer[self._at : self._at + 1]
        found = repr(there.decode("latin-1")) if there and not self._ended else "its end"
        return Invalid(
            "file-malformed",
            f"{self._shown}:{self._line}: expected {wanted}, found {found}. What follows cannot be "
            "told apart.",
            hint="Mend the file, or have it written anew, a record a line.",
            path=self._shown,
            line=self._line,
        )


def _name(text: bytes) -> str:
    """Give a key as text; one that is none is no key anybody asks for."""
    try:
        return str(json.loads(text))
    except ValueError:
        return text.decode("utf-8", "replace")
