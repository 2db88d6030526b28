"""CSV and TSV files: their encoding, dialect, header, and the types of their columns.

Nothing is guessed that could lose a row: the header is the first line unless ``header=False`` says
otherwise, every line after it is a record, and a record that does not fit is reported. Without a
contract, a column gets a narrower type than text only if every one of its values is written in
that type's usual way: ``007`` stays text.
"""

import codecs
import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import PurePath

from headgate.errors import Invalid
from headgate.filesets import NativeFiles
from headgate.sources.formats.encodings import SAMPLE_BYTES, in_utf8
from headgate.sources.formats.inference import column_types, columns_of
from headgate.sources.formats.options import count, flag, words
from headgate.sources.formats.options import names as columns_said
from headgate.sources.formats.packing import opened, prove_whole, unpacked
from headgate.sources.formats.raw_file import RawFile

_SAMPLE_ROWS = 200
_PASSED_ON = ("comment", "date_format", "decimal_separator", "timestamp_format")


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a file is written; files of one dialect and one header are read together."""

    delimiter: str
    quote: str
    escape: str
    header: bool
    skip: int
    names: tuple[str, ...]


def native(
    files: Sequence[RawFile], options: Mapping[str, object], *, as_text: bool
) -> NativeFiles | None:
    """Give the files for an engine, grouped by dialect; None where all of them are empty.

    Raises:
        Invalid: ``bad-option``, ``encoding-unknown``, ``encoding-wrong``, ``csv-without-names``,
            ``csv-duplicate-names``.
    """
    groups: dict[Dialect, list[RawFile]] = {}
    for file in files:
        readable = in_utf8(_unpacked(file), options.get("encoding"))
        dialect = _dialect(readable, options)
        if dialect is not None:
            groups.setdefault(dialect, []).append(readable)
    parts = [_part(dialect, group, options) for dialect, group in groups.items()]
    if not parts:
        return None
    types = None if as_text else column_types(parts, options)
    typed = [_with_types(part, types) for part in parts]
    first = typed[0]
    return NativeFiles(
        paths=first.paths,
        format="csv",
        options=first.options,
        shown=first.shown,
        also=tuple(typed[1:]),
    )


def _unpacked(file: RawFile) -> RawFile:
    """Leave the packing that every engine reads, once it is proven whole."""
    if file.packing == "gzip" and file.path.suffix == ".gz":
        prove_whole(file)
        return file
    return unpacked(file)


def _part(dialect: Dialect, files: Sequence[RawFile], options: Mapping[str, object]) -> NativeFiles:
    given: dict[str, object] = {
        "delimiter": dialect.delimiter,
        "quote": dialect.quote,
        "escape": dialect.escape,
        "header": dialect.header,
        "null": null_tokens(options),
        "columns": dict.fromkeys(dialect.names, "VARCHAR"),
    }
    if dialect.skip:
        given["skip"] = dialect.skip
    given |= {name: options[name] for name in _PASSED_ON if options.get(name) is not None}
    return NativeFiles(
        paths=tuple(str(file.path) for file in files),
        format="csv",
        options=given,
        shown={str(file.path): file.shown for file in files},
    )


def null_tokens(options: Mapping[str, object]) -> tuple[str, ...]:
    """Give the texts that mean NULL: the empty one, and what ``null`` adds."""
    return tuple(dict.fromkeys(("", *words(options, "null"))))


# -- dialect


def _dialect(file: RawFile, options: Mapping[str, object]) -> Dialect | None:
    """Tell a file's dialect by options, name and first lines; None for an empty file."""
    with opened(file) as source:
        raw = source.read(SAMPLE_BYTES)
    text = codecs.getincrementaldecoder("utf-8-sig")("replace").decode(raw)
    skip = count(options, "skip")
    lines = text.splitlines(keepends=True)[skip:]
    comment = options.get("comment")
    lines = [line for line in lines if not (comment and line.startswith(str(comment)))]
    if not any(line.strip("\r\n") for line in lines):
        return None
    quoted = str(options.get("quote", '"') or "")
    escape = str(options.get("escape", quoted) or "")
    delimiter = options.get("delimiter") or _delimiter(file, lines, quoted)
    first = next(_rows(lines, str(delimiter), quoted, escape))
    header = flag(options, "header") is not False
    return Dialect(
        delimiter=str(delimiter),
        quote=quoted,
        escape=escape,
        header=header,
        skip=skip,
        names=_names(file, first, header=header, options=options),
    )


def _delimiter(file: RawFile, lines: Sequence[str], quoted: str) -> str:
    """Choose the delimiter that divides the first lines most evenly; a TSV has tabs by its name."""
    if any(suffix in {".tsv", ".tab"} for suffix in PurePath(file.name.lower()).suffixes):
        return "\t"
    best = (",", 1, 0)
    for candidate in (",", ";", "\t", "|"):
        rows = list(islice(_rows(lines, candidate, quoted, quoted), _SAMPLE_ROWS))
        width = len(rows[0])
        even = sum(len(row) == width for row in rows)
        if width > 1 and (even, width) > (best[2], best[1]):
            best = (candidate, width, even)
    return best[0]


def _rows(lines: Sequence[str], delimiter: str, quoted: str, escape: str) -> Iterator[list[str]]:
    """Give the first records, read leniently: only their widths and the header matter here."""
    reader = csv.reader(
        lines,
        delimiter=delimiter,
        quotechar=quoted or None,
        quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
        doublequote=escape == quoted,
        escapechar=escape if escape and escape != quoted else None,
    )
    try:
        yield from (row for row in reader if row)
    except csv.Error:
        return


def _names(
    file: RawFile, first: Sequence[str], *, header: bool, options: Mapping[str, object]
) -> tuple[str, ...]:
    declared = columns_said(options, "columns")
    if declared is not None:
        if len(declared) != len(first):
            raise Invalid(
                "columns-differ",
                f"{file.shown} has {len(first)} columns, and columns= names {len(declared)}.",
                path=file.shown,
            )
        names = declared
    elif header:
        names = tuple(name.strip() or f"column{i}" for i, name in enumerate(first))
    else:
        raise Invalid(
            "csv-without-names",
            f"{file.shown} has no header, so its columns have no names.",
            hint='Name them: columns=["id", ...].',
            path=file.shown,
        )
    seen: set[str] = set()
    for name in names:
        if name.lower() in seen:
            raise Invalid(
                "csv-duplicate-names",
                f"{file.shown} has two columns named {name!r} (capital letters do not count).",
                hint="Name them yourself: columns=[...].",
                path=file.shown,
                column=name,
            )
        seen.add(name.lower())
    return names


def _with_types(part: NativeFiles, types: Mapping[str, str] | None) -> NativeFiles:
    if types is None:
        return part
    typed = {name: types[name] for name in columns_of(part)}
    return replace(part, options={**part.options, "columns": typed})
