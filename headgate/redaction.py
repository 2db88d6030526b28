"""Redaction: the values of secrets, once revealed, are taken out of every text that leaves.

A value comes back in other shapes than it went out: a driver percent-encodes it in a URL, a server
repeats a header in base64, an error shows it as Python would write it. Each is looked for.
"""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from threading import Lock
from typing import Final
from urllib.parse import quote, quote_plus

from headgate.errors import HeadgateError
from headgate.secrets import Secret, is_sensitive

SHORT: Final = 4
"""A value of fewer characters is taken out only where it stands by itself after ``:``, ``=`` or a
quote: it would be found in every other word."""

HIDDEN: Final = "***"
"""What stands for a value that has no name."""

_UNUSUAL = 8
_HEAD = 8
_SHORTEST_LINE = 12
_SHORTEST_CORE = 6
_WORD = re.compile(r"[a-z]{1,12}\Z")
"""A value like ``postgres`` is not looked for in words that begin with it."""
_MARKUP = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"})
_PERCENT = re.compile(r"%[0-9A-Fa-f]{2}")


class Redaction:
    """The values that must not be said, and how they are taken out. Safe between threads.

    Belongs to a project: what one has revealed, another does not look for.
    """

    def __init__(self) -> None:
        self._known: set[tuple[str | None, str]] = set()
        self._shown: dict[str, str] = {}
        self._forms: tuple[tuple[str, str], ...] = ()
        self._words: re.Pattern[str] | None = None
        self._screen: str | None = None
        self._lock = Lock()

    @property
    def screen(self) -> str | None:
        """A regular expression, for RE2 too, that finds every text with a value, and a few others.

        It has the beginnings only: a key's forms are too long to be looked for in a million texts.
        None: there is nothing to find.
        """
        return self._screen

    def remember(self, value: str, name: str | None = None) -> None:
        """Take a value out of texts from now on; in its place stands the secret of that name."""
        if not value.strip() or (name, value) in self._known:
            return
        shown = HIDDEN if name is None or value in repr(Secret(name)) else repr(Secret(name))
        with self._lock:
            self._known.add((name, value))
            for form in forms(value):
                self._shown.setdefault(form, shown)
            long = [form for form in self._shown if not _is_word(form)]
            words = [_of_word(form) for form in self._shown if _is_word(form)]
            self._words = re.compile("|".join(words)) if words else None
            heads = {re.escape(form[:_HEAD]) for form in long}
            self._screen = "|".join((*sorted(heads), *words))
            self._forms = tuple(
                (form, self._shown[form]) for form in sorted(long, key=len, reverse=True)
            )

    def text(self, text: str) -> str:
        """Give a text without the values."""
        for form, shown in self._forms:
            if form in text:
                text = text.replace(form, shown)
        return text if self._words is None else self._words.sub(self._replacement, text)

    def holds(self, text: str) -> bool:
        """Whether a value stands in a text."""
        if any(form in text for form, _ in self._forms):
            return True
        return self._words is not None and self._words.search(text) is not None

    def is_given_away(self, text: str) -> bool:
        """Whether a text holds a named secret's value, which no text holds by chance."""
        return self.holds(text) and any(
            form in text
            for name, value in self._known
            if name is not None and len(value) >= _UNUSUAL and not _WORD.match(value)
            for form in forms(value)
        )

    def value(self, value: object) -> object:
        """Give a value with every text in it cleaned: mappings, lists and tuples are gone through.

        What holds no value of a secret stays the very object.
        """
        if self._screen is None:
            return value
        if isinstance(value, str):
            return self.text(value) if type(value) is str else value
        if isinstance(value, bytes):
            text = value.decode("utf-8", "surrogateescape")
            return self.text(text).encode("utf-8", "surrogateescape")
        if isinstance(value, Mapping):
            clean = {self.value(name): self.value(inner) for name, inner in value.items()}
            return value if clean == value else clean
        if type(value) in (list, tuple, set, frozenset):
            inner = [self.value(each) for each in value]  # type: ignore[attr-defined]
            return type(value)(inner)  # type: ignore[call-arg]
        return value

    def error(self, error: BaseException) -> BaseException:
        """Take the values out of an error, its notes and all that led to it; give it back.

        It is changed where it stands. One that shows a value whatever is done to it is replaced by
        one of the same name with the cleaned text.
        """
        return error if self._screen is None else self._cleaned(error, set())

    # -- inside

    def _replacement(self, found: re.Match[str]) -> str:
        text = found[0]
        shown = self._shown.get(text)
        if shown is not None:
            return shown
        return text[0] + self._shown.get(text[1:], HIDDEN)

    def _cleaned(self, error: BaseException, seen: set[int]) -> BaseException:
        if id(error) in seen:
            return error
        seen.add(id(error))
        for link in ("__cause__", "__context__"):
            before = getattr(error, link)
            if before is not None and (after := self._cleaned(before, seen)) is not before:
                suppressed = error.__suppress_context__
                setattr(error, link, after)
                error.__suppress_context__ = suppressed
        inner = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
        for each in inner:
            self._cleaned(each, seen)
        self._clean_parts(error)
        said = _said(error)
        if not self.holds(said):
            return error
        kind = type(type(error).__name__, (Exception,), {"__module__": type(error).__module__})
        stand_in: BaseException = kind(self.text(said)).with_traceback(error.__traceback__)
        stand_in.__cause__, stand_in.__context__ = error.__cause__, error.__context__
        stand_in.__suppress_context__ = error.__suppress_context__
        for note in getattr(error, "__notes__", ()):
            stand_in.add_note(note)
        return stand_in

    def _clean_parts(self, error: BaseException) -> None:
        error.args = tuple(self.value(each) for each in error.args)
        if isinstance(error, HeadgateError):
            error.message = self.text(error.message)
            error.readers = self.text(error.readers) if error.readers else error.readers
            error.hint = self.text(error.hint) if error.hint else error.hint
            error.facts = {name: self.value(fact) for name, fact in error.facts.items()}
            if notes := getattr(error, "__notes__", None):
                error.__notes__ = [self.text(str(note)) for note in notes]
            return
        own = list(getattr(error, "__dict__", {}))
        for name in (*own, *(_SYSTEM if isinstance(error, OSError | SyntaxError) else ())):
            before = getattr(error, name, None)
            if isinstance(before, str | bytes | list | tuple | dict):
                after = self.value(before)
                if after != before:
                    try:
                        setattr(error, name, after)
                    except AttributeError:  # what cannot be set is seen in the text, if it is shown
                        continue


def _is_word(form: str) -> bool:
    """Whether a form is looked for by what stands around it."""
    return len(form) < SHORT or _WORD.match(form) is not None


def _of_word(form: str) -> str:
    if len(form) < SHORT:
        return rf"[:='\"]{re.escape(form)}" + r"\b" * form[-1].isalnum()
    return re.escape(form) + r"\b"


_SYSTEM = ("filename", "filename2", "strerror", "msg", "text")


def _said(error: BaseException) -> str:
    """Give all that a traceback prints of an error itself, whatever its ``__str__`` does."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - strangers' code; what cannot be shown shows nothing
        return ""


def forms(value: str) -> frozenset[str]:
    """Give the texts by which a value is known, in the encodings in which it may come back."""
    found: set[str] = set()
    for part in _parts(value):
        found.update(_written(part))
        if len(part) >= SHORT:
            found.update(_encoded(part))
    return frozenset(form for form in found if form.strip())


def _parts(value: str) -> Iterator[str]:
    """Give the value, and what of it says enough: lines of a key, what a JSON text keeps."""
    yield value
    yield value.strip()
    lines = [line.strip() for line in value.splitlines()]
    if len(lines) > 1:
        yield from (
            line for line in lines if len(line) >= _SHORTEST_LINE and not line.startswith("-----")
        )
    if value.lstrip().startswith("{"):
        try:
            document = json.loads(value)
        except ValueError:
            return
        if isinstance(document, dict):
            for name, inner in document.items():
                if isinstance(inner, str) and len(inner) >= SHORT and is_sensitive(str(name)):
                    yield from _parts(inner)


def _written(part: str) -> Iterator[str]:
    """Give the ways a text is quoted."""
    yield part
    yield json.dumps(part)[1:-1]
    yield json.dumps(part, ensure_ascii=False)[1:-1]
    yield json.dumps(json.dumps(part)[1:-1])[1:-1]
    yield repr(part)[1:-1]
    yield repr(part.encode("utf-8", "surrogatepass"))[2:-1]
    yield part.replace("'", "''")
    yield part.replace("\\", "\\\\").replace("'", "\\'")
    yield part.replace("\\", "\\\\").replace('"', '\\"')
    yield part.translate(_MARKUP)
    for encoded in (
        quote(part, safe="", errors="replace"),
        quote(part, errors="replace"),
        quote(part, safe=":@!$&'()*+,;=~", errors="replace"),
        quote_plus(part, errors="replace"),
        quote(quote(part, safe="", errors="replace"), safe=""),
    ):
        yield encoded
        yield _PERCENT.sub(lambda found: found[0].lower(), encoded)


def _encoded(part: str) -> Iterator[str]:
    """Give a text in base64, alone and amid others, and in hexadecimal."""
    raw = part.encode("utf-8", "surrogatepass")
    yield raw.hex()
    yield raw.hex().upper()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        whole = encode(raw).decode()
        yield whole
        if len(whole.rstrip("=")) >= _SHORTEST_CORE:
            yield whole.rstrip("=")
        for before in range(3):
            amid = encode(b"\0" * before + raw).decode()
            core = amid[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6]
            if len(core) >= _SHORTEST_CORE:
                yield core
