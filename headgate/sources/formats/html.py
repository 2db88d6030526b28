"""HTML pages: rows of their tables, or records chosen by CSS selectors.

Readers of pages fetched elsewhere take ``html_records``: from bytes to records, no input or output.
"""

import codecs
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from cssselect import SelectorError
from lxml import etree
from lxml.cssselect import CSSSelector
from lxml.html import HtmlElement, HTMLParser, document_fromstring

from headgate.errors import Invalid, NotFound
from headgate.sources.formats.limits import too_large
from headgate.sources.formats.options import largest_record
from headgate.sources.formats.packing import opened
from headgate.sources.formats.pieces import Gathering, Piece, record_text
from headgate.sources.formats.raw_file import RawFile

_ATTRIBUTE = re.compile(r"@(?P<name>[\w:-]+)\Z")
_META = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)
_META_BYTES = 4096
_SPAN_LIMIT = 1000  # of the HTML standard: larger colspans are 1000
_UNSEEN = frozenset({"head", "script", "style", "template"})
_INLINE = frozenset(
    [
        "a",
        "abbr",
        "b",
        "bdi",
        "bdo",
        "cite",
        "code",
        "data",
        "del",
        "dfn",
        "em",
        "font",
        "i",
        "ins",
        "kbd",
        "label",
        "mark",
        "q",
        "s",
        "samp",
        "small",
        "span",
        "strong",
        "sub",
        "sup",
        "time",
        "tt",
        "u",
        "var",
        "wbr",
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HtmlQuery:
    """Which records of a page are meant.

    Either the rows of a table: its number on the page, from 1, or its caption or id; the only one
    where None is said. Or each element that ``select`` finds, with ``fields``: a name and a CSS
    selector below the element, perhaps with an attribute (``a.more@href``; ``@id`` is the element's
    own); in a list, all that it finds instead of the first. ``header`` says whether a table's first
    row names the columns; where it is None, the table's own headings do (``thead``, ``th``).
    """

    table: int | str | None = None
    select: str | None = None
    fields: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    header: bool | None = None

    @classmethod
    def parse(cls, options: Mapping[str, object]) -> Self:
        """Read it from a source's options.

        Raises:
            Invalid: ``bad-option``.
        """
        table, select = options.get("html_table"), options.get("select")
        fields, header = options.get("fields") or {}, options.get("header")
        if table is not None and (isinstance(table, bool) or not isinstance(table, (int, str))):
            raise _bad("html_table", f"html_table is a number from 1 or a caption, not {table!r}.")
        if isinstance(table, int) and table < 1:
            raise _bad("html_table", f"Tables are counted from 1; there is no table {table}.")
        if select is not None and not isinstance(select, str):
            raise _bad("select", f"select is a CSS selector, not {select!r}.")
        if not isinstance(fields, Mapping) or not all(map(_is_path, fields.values())):
            raise _bad("fields", "fields maps names to CSS selectors, or lists of one.")
        if (select is None) != (not fields):
            raise _bad("fields", "select= says which elements are records, fields= what of them.")
        if select is not None and table is not None:
            raise _bad("html_table", "Say html_table= or select=, not both.")
        if header is not None and not isinstance(header, bool):
            raise _bad("header", f"header is True or False, not {header!r}.")
        named = {str(name): path for name, path in fields.items()}
        return cls(table=table, select=select, fields=named, header=header)

    def check(self) -> None:
        """Refuse selectors that are none.

        Raises:
            Invalid: ``bad-option``.
        """
        if self.select is not None:
            _selector("select", self.select)
        for name, path in self.fields.items():
            _compiled(f"fields.{name}", path)


def html_records(
    content: bytes, query: HtmlQuery, *, shown: str, encoding: str | None = None
) -> Iterator[tuple[int, dict[str, object]]]:
    """Give a page's records in order, each with the line it begins on.

    Texts are as a reader sees them: runs of white space are one space. A header cell's text is the
    field's name, cells that span are repeated, cells without one are ``columnN``.

    Args:
        content: the page as it was sent.
        query: which records.
        shown: what messages call the page.
        encoding: of the page, where its headers told; else its own declaration, else UTF-8.

    Raises:
        Invalid: ``bad-option``, ``encoding-unknown``, ``encoding-wrong``, ``html-table-unsaid``.
        NotFound: ``html-table-missing``.
    """
    root = _parsed(content, shown, encoding)
    if query.select is not None:
        if root is not None:
            yield from _selected(root, query)
        return
    table = _table(root, query.table, shown)
    yield from _table_rows(table, header=query.header)


# -- parsing


def _parsed(content: bytes, shown: str, encoding: str | None) -> HtmlElement | None:
    text = _decoded(content, shown, encoding)
    if not text.strip():
        return None
    parser = HTMLParser(encoding="utf-8", no_network=True, huge_tree=True)
    try:
        return document_fromstring(text.encode("utf-8", "replace"), parser=parser)
    except etree.ParserError:
        return None  # nothing but comments


def _decoded(content: bytes, shown: str, encoding: str | None) -> str:
    """Decode strictly: a parser would go on with whatever it takes the bytes for."""
    name, declared = _encoding(content, encoding)
    try:
        return content.decode(name)
    except LookupError as error:
        raise _bad("encoding", f"There is no encoding {name!r}.") from error
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = content[error.start]
        raise Invalid(
            "encoding-wrong" if declared else "encoding-unknown",
            f"{shown} is not {'' if declared else 'UTF-8, and does not say what it is: not '}"
            f"{name}: byte {byte:#04x} on line {line}.",
            hint='Say what it is: encoding="cp1252", "latin-1", ...',
            path=shown,
            line=line,
        ) from error


def _encoding(content: bytes, said: str | None) -> tuple[str, bool]:
    """Give the encoding's name, and whether anybody declared it."""
    for mark, name in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if content.startswith(mark):
            return name, True
    if said is not None:
        return said, True
    found = _META.search(content[:_META_BYTES])
    if found is None:
        return "utf-8", False
    name = found[1].decode("ascii", "replace").lower()
    # What the WHATWG's encoding standard reads under these names.
    return {"iso-8859-1": "cp1252", "latin1": "cp1252", "utf-16": "utf-8"}.get(name, name), True


# -- tables


def _table(root: HtmlElement | None, wanted: int | str | None, shown: str) -> HtmlElement:
    tables: list[HtmlElement] = [] if root is None else list(root.iter("table"))
    if isinstance(wanted, int) and wanted <= len(tables):
        return tables[wanted - 1]
    if isinstance(wanted, str):
        found = [t for t in tables if wanted in {_caption(t), t.get("id")}]
        if len(found) == 1:
            return found[0]
    if wanted is None and len(tables) == 1:
        return tables[0]
    captions = [_caption(t) or t.get("id") or str(n) for n, t in enumerate(tables, 1)]
    if wanted is None and tables:
        raise Invalid(
            "html-table-unsaid",
            f"{shown} has {len(tables)} tables: {', '.join(captions[:10])}.",
            hint="Say which: html_table=1, or its caption; or select= and fields=.",
            tables=captions,
        )
    raise NotFound(
        "html-table-missing",
        f"{shown} has no table{'' if wanted is None else f' {wanted!r}'}; "
        + (f"there are: {', '.join(captions[:10])}." if tables else "there is none."),
        hint="Name another, or choose elements: select=, fields=." if tables else None,
        path=shown,
    )


def _caption(table: HtmlElement) -> str | None:
    caption = table.find("caption")
    return None if caption is None else _text(caption)


def _table_rows(
    table: HtmlElement, *, header: bool | None
) -> Iterator[tuple[int, dict[str, object]]]:
    rows = [tr for tr in table.iter("tr") if next(tr.iterancestors("table")) is table]
    grid = _grid(rows)
    headers = _header_rows(rows) if header is None else int(header and bool(rows))
    names = _names([grid[n] for n in range(headers)])
    for tr, cells in zip(rows[headers:], grid[headers:], strict=True):
        if not cells:
            continue
        for at in range(len(names), len(cells)):
            names.append(_unused(f"column{at}", names))
        yield tr.sourceline or 0, dict(zip(names, cells, strict=False))


def _header_rows(rows: Sequence[HtmlElement]) -> int:
    """Give how many rows are the header: a thead's, else the first if it holds headings only."""
    heads = len([row for row in rows if row.getparent().tag == "thead"])
    if heads:
        return heads
    cells = list(rows[0].iterchildren("td", "th")) if rows else []
    return int(bool(cells) and all(cell.tag == "th" for cell in cells))


def _grid(rows: Sequence[HtmlElement]) -> list[list[str | None]]:
    """Lay the cells out as they are seen: those that span stand in each place they cover."""
    grid: list[list[str | None]] = []
    hanging: dict[int, tuple[str | None, int]] = {}  # column -> text, rows that are left
    for tr in rows:
        line: list[str | None] = []
        cells = iter(tr.iterchildren("td", "th"))
        cell = next(cells, None)
        while cell is not None or any(at >= len(line) for at in hanging):
            at = len(line)
            if at in hanging:
                text, left = hanging.pop(at)
                if left > 1:
                    hanging[at] = (text, left - 1)
                line.append(text)
                continue
            if cell is None:
                line.append(None)
                continue
            text = _text(cell) or None
            below = _span(cell, "rowspan") - 1
            for _ in range(_span(cell, "colspan")):
                if below:
                    hanging[len(line)] = (text, below)
                line.append(text)
            cell = next(cells, None)
        grid.append(line)
    return grid


def _span(cell: HtmlElement, name: str) -> int:
    said = (cell.get(name) or "1").strip()
    return min(max(int(said), 1), _SPAN_LIMIT) if said.isascii() and said.isdigit() else 1


def _names(headers: Sequence[Sequence[str | None]]) -> list[str]:
    names: list[str] = []
    for at in range(max(map(len, headers), default=0)):
        parts = [line[at] for line in headers if at < len(line)]
        name = " ".join(dict.fromkeys(part for part in parts if part))
        names.append(_unused(name or f"column{at}", names))
    return names


def _unused(name: str, names: Sequence[str]) -> str:
    taken = {each.lower() for each in names}
    number, chosen = 2, name
    while chosen.lower() in taken:
        chosen, number = f"{name}_{number}", number + 1
    return chosen


# -- selectors


def _selected(root: HtmlElement, query: HtmlQuery) -> Iterator[tuple[int, dict[str, object]]]:
    paths = {name: _compiled(name, path) for name, path in query.fields.items()}
    for element in _selector("select", query.select or "")(root):
        yield (
            element.sourceline or 0,
            {
                name: values if every else next(iter(values), None)
                for name, (selector, attribute, every) in paths.items()
                for values in (_values(element, selector, attribute),)
            },
        )


def _compiled(name: str, path: str | Sequence[str]) -> tuple[CSSSelector | None, str | None, bool]:
    text = path if isinstance(path, str) else path[0]
    found = _ATTRIBUTE.search(text)
    css = (text[: found.start()] if found else text).strip()
    selector = _selector(name, css) if css else None
    return selector, found["name"] if found else None, not isinstance(path, str)


def _values(element: HtmlElement, selector: CSSSelector | None, attribute: str | None) -> list[str]:
    found = [element] if selector is None else selector(element)
    if attribute is None:
        return [_text(each) for each in found]
    return [value for each in found if (value := each.get(attribute)) is not None]


def _selector(option: str, css: str) -> CSSSelector:
    try:
        return CSSSelector(css, translator="html")
    except SelectorError as error:
        raise _bad(option, f"{option}: {css!r} is no CSS selector: {error}.") from error


def _is_path(path: object) -> bool:
    if isinstance(path, str):
        return True
    return isinstance(path, (list, tuple)) and len(path) == 1 and isinstance(path[0], str)


def _text(element: HtmlElement) -> str:
    """Give an element's text without scripts and styles; what is not inline stands apart."""
    parts: list[str] = []
    for event, each in etree.iterwalk(element, events=("start", "end", "comment", "pi")):
        shown = isinstance(each.tag, str) and each.tag not in _UNSEEN
        parts.append("" if each.tag in _INLINE or not shown else " ")
        if event == "start" and shown:
            parts.append(each.text or "")
        if event != "start" and each is not element:
            parts.append(each.tail or "")
    return " ".join("".join(parts).split())


def _bad(option: str, message: str) -> Invalid:
    return Invalid("bad-option", message, option=option)


def read(file: RawFile, options: Mapping[str, object], after: int) -> Iterator[Piece]:
    """Give the records of a page that is a file; the page is in memory whole.

    Raises:
        Corrupt: ``file-damaged``.
        Invalid: what ``html_records`` raises; ``record-too-large``.
        NotFound: ``html-table-missing``.
    """
    query, largest = HtmlQuery.parse(options), largest_record(options)
    encoding = options.get("encoding")
    with opened(file) as stream:
        content = stream.read(largest + 1)
    if len(content) > largest:
        raise too_large(file.shown, largest)
    gathering = Gathering(file.shown, after)
    said = None if encoding is None else str(encoding)
    for line, record in html_records(content, query, shown=file.shown, encoding=said):
        if not gathering.skips():
            gathering.add(record_text(record), line)
            yield from gathering.full()
    yield gathering.rest()
