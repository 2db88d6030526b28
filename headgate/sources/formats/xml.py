"""XML files: each element at a path is a record; attributes and elements in it are its fields.

Read by expat, element by element. A document type declaration is refused where it begins: no entity
is ever defined, expanded or fetched.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TypeAlias
from xml.parsers import expat

from headgate.errors import HeadgateError, Invalid, NotFound, Refused
from headgate.sources.formats.limits import too_large
from headgate.sources.formats.options import largest_record, path_in_xml, text, words
from headgate.sources.formats.packing import opened
from headgate.sources.formats.pieces import Gathering, Piece, record_text
from headgate.sources.formats.raw_file import RawFile

TEXT = "_text"
"""The field of an element's own text, where it has attributes or elements beside it."""

_CHUNK_BYTES = 1 << 18
_NIL = "http://www.w3.org/2001/XMLSchema-instance nil"
_DEEPEST = 200
_NONE: frozenset[str] = frozenset()
_Value: TypeAlias = "str | dict[str, _Value] | list[_Value] | None"


def read(file: RawFile, options: Mapping[str, object], after: int) -> Iterator[Piece]:
    """Give a file's records.

    Raises:
        Corrupt: ``file-damaged``.
        Invalid: ``bad-option``, ``file-malformed``, ``record-too-large``, ``xml-record-unsaid``.
        NotFound: ``records-missing``.
        Refused: ``xml-doctype``.
    """
    gathering = Gathering(file.shown, after)
    reading = _Reading(
        gathering,
        shown=file.shown,
        path=path_in_xml(options, "record"),
        lists=words(options, "lists"),
        prefix=text(options, "attribute_prefix") or "",
        encoding=text(options, "encoding"),
        largest=largest_record(options),
    )
    with opened(file) as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            reading.feed(chunk)
            yield from gathering.full()
        reading.feed(b"", final=True)
    reading.finish()
    yield gathering.rest()


class _Element:
    """An element being read, inside a record."""

    __slots__ = ("attributes", "fields", "name", "nil", "repeated", "texts")

    def __init__(self, name: str) -> None:
        self.name = name
        self.fields: dict[str, _Value] = {}
        self.texts: list[str] = []
        self.attributes: frozenset[str] = _NONE
        self.repeated: frozenset[str] = _NONE
        self.nil = False

    def put(self, name: str, value: _Value, lists: Collection[str]) -> None:
        """Add a field; what is there a second time is a list."""
        fields = self.fields
        if name not in fields:
            if name in lists:
                self.repeated |= {name}
                fields[name] = [value]
            else:
                fields[name] = value
            return
        there = fields[name]
        if name in self.repeated and isinstance(there, list):
            there.append(value)
        else:
            self.repeated |= {name}
            fields[name] = [there, value]

    def value(self) -> _Value:
        """Give what the element is: its text, its fields, or both."""
        text = "".join(self.texts)
        if not self.fields:
            return None if self.nil or not text else text
        if text and not text.isspace():
            self.put(TEXT, text.strip(), _NONE)
        return self.fields


class _Reading:
    """Expat's calls, made into records."""

    def __init__(
        self,
        gathering: Gathering,
        *,
        shown: str,
        path: Sequence[str],
        lists: Collection[str],
        prefix: str,
        encoding: str | None,
        largest: int,
    ) -> None:
        self._gathering = gathering
        self._shown = shown
        self._path = tuple(path)
        self._lists = lists
        self._prefix = prefix
        self._largest = largest
        self._open: list[str] = []  # from the root down to the record
        self._stack: list[_Element] = []  # from the record on
        self._trouble: str | None = None
        self._line = 0
        self._begin = 0
        self._fed = 0
        self._name: str | None = None
        self._found = False
        self._parser = _parser(encoding)
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters

    def feed(self, chunk: bytes, *, final: bool = False) -> None:
        """Read on.

        Raises:
            Invalid: ``file-malformed``, ``record-too-large``, ``xml-record-unsaid``.
            Refused: ``xml-doctype``.
        """
        self._fed += len(chunk)
        try:
            self._parser.Parse(chunk, final)
        except expat.ExpatError as error:
            raise Invalid(
                "file-malformed",
                f"{self._shown}:{error.lineno}: it is no XML from column {error.offset + 1} on: "
                f"{expat.ErrorString(error.code)}. What follows cannot be told apart.",
                hint="Mend the file, or have it written anew.",
                path=self._shown,
                line=error.lineno,
            ) from error
        except HeadgateError:
            raise
        except (LookupError, ValueError) as error:  # an encoding Python does not know
            raise Invalid(
                "encoding-wrong",
                f"{self._shown} names an encoding that cannot be read: {error}.",
                hint="Say what it is: encoding=...",
                path=self._shown,
            ) from error
        at = max(self._parser.CurrentByteIndex, 0)
        if self._fed - at > self._largest:  # one name, value or comment that does not end
            raise too_large(f"{self._shown}:{self._parser.CurrentLineNumber}", self._largest)
        if self._stack:
            self._refuse_large(at)

    def finish(self) -> None:
        """Hear that the document is over.

        Raises:
            NotFound: ``records-missing``.
        """
        if self._path and not self._found:
            raise NotFound(
                "records-missing",
                f"{self._shown} has no element at {'/'.join(self._path)}.",
                hint="Mend record=: names of elements with / between; it may begin anywhere.",
                path=self._shown,
                record="/".join(self._path),
            )

    # -- what expat says

    def _doctype(self, name: str, *_: object) -> None:
        raise Refused(
            "xml-doctype",
            f"{self._shown}:{self._parser.CurrentLineNumber}: it declares a document type, {name}, "
            "through which it could have entities expanded and other files read.",
            hint="If you trust it, take the <!DOCTYPE ...> out.",
            path=self._shown,
            line=self._parser.CurrentLineNumber,
        )

    def _start(self, full_name: str, attributes: Mapping[str, str]) -> None:
        name = full_name.rpartition(" ")[2]
        if self._stack:
            if len(self._stack) > _DEEPEST:
                raise self._too_deep()
        else:
            self._open.append(name)
            if not self._is_record(name):
                return
            self._found = True
            self._line = self._parser.CurrentLineNumber
            self._begin = self._parser.CurrentByteIndex
            self._trouble = None
        element = _Element(name)
        if attributes:
            self._take(element, attributes)
        self._stack.append(element)

    def _take(self, element: _Element, attributes: Mapping[str, str]) -> None:
        for full, value in attributes.items():
            if full == _NIL:
                element.nil = value in {"true", "1"}
                continue
            name = self._prefix + full.rpartition(" ")[2]
            self._put(element, name, value)
            element.attributes |= {name}

    def _end(self, _: str) -> None:
        if not self._stack:
            self._open.pop()
            return
        element = self._stack.pop()
        value = element.value()
        if self._stack:
            self._put(self._stack[-1], element.name, value)
            return
        self._open.pop()
        self._refuse_large(self._parser.CurrentByteIndex)
        if self._gathering.skips():
            return
        record = value if isinstance(value, dict) else {TEXT: value}
        if self._trouble is None:
            self._gathering.add(record_text(record), self._line)
        else:
            self._gathering.reject(record_text(record), self._line, self._trouble)

    def _characters(self, text: str) -> None:
        if self._stack:
            self._stack[-1].texts.append(text)

    # -- records

    def _is_record(self, name: str) -> bool:
        """Say whether the element that was just opened is one; without a path, the root's are."""
        if self._path:
            begins_anywhere = bool(self._path[0])
            wanted = self._path if begins_anywhere else self._path[1:]
            there = tuple(self._open)
            return there[-len(wanted) :] == wanted if begins_anywhere else there == wanted
        if len(self._open) != len(("root", "record")):
            return False
        if self._name not in {None, name}:
            raise Invalid(
                "xml-record-unsaid",
                f"{self._shown}:{self._parser.CurrentLineNumber}: {self._open[0]} holds "
                f"elements of several kinds: {self._name} and {name}.",
                hint=f'Say which are records: record="{self._name}".',
                path=self._shown,
            )
        self._name = name
        return True

    def _put(self, element: _Element, name: str, value: _Value) -> None:
        if name in element.attributes:
            self._trouble = (
                f"{name!r} is an attribute of {element.name} and stands for something else there, "
                'too. Tell them apart: attribute_prefix="at_".'
            )
        element.put(name, value, self._lists)

    def _too_deep(self) -> Invalid:
        return Invalid(
            "record-too-deep",
            f"{self._shown}:{self._line}: the record that begins here is nested more than "
            f"{_DEEPEST} elements deep.",
            hint="Name a deeper element: record=...",
            path=self._shown,
            line=self._line,
        )

    def _refuse_large(self, at: int) -> None:
        if at - self._begin > self._largest:
            raise too_large(f"{self._shown}:{self._line}", self._largest)


def _parser(encoding: str | None) -> expat.XMLParserType:
    parser = expat.ParserCreate(encoding, " ")
    parser.buffer_text = True
    parser.ordered_attributes = False
    return parser
