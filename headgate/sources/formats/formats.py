"""The formats: what each is called, what can be said of its files, and who reads them."""

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, TypeAlias, cast

from headgate.errors import Invalid, Unavailable
from headgate.names import suggestion
from headgate.sources.formats.file_names import FORMATS
from headgate.sources.formats.options import OPTIONS

if TYPE_CHECKING:
    from headgate.sources.formats.pieces import Piece
    from headgate.sources.formats.raw_file import RawFile

NATIVE = frozenset({"csv", "parquet"})
"""What engines read by themselves."""

Reader: TypeAlias = "Callable[[RawFile, Mapping[str, object], int], Iterator[Piece]]"

_MODULES = {
    "avro": "avro:read",
    "csv": "csv:native",
    "excel": "excel:read",
    "html": "html:read",
    "json": "json_records:read",
    "ndjson": "json_records:read_lines",
    "orc": "orc:read",
    "parquet": "parquet:read",
    "xml": "xml:read",
}
_EXTRAS = {
    "cssselect": "web",
    "fastavro": "avro",
    "lxml": "web",
    "python_calamine": "excel",
}


def checked_format(name: object) -> str:
    """Give a format's name as it was declared.

    Raises:
        Invalid: ``format-not-supported``.
    """
    if name not in FORMATS:
        meant = suggestion(str(name), FORMATS)
        raise Invalid(
            "format-not-supported",
            f"There is no file format {name!r}; there are {', '.join(FORMATS)}.",
            hint=f"Did you mean {meant}?" if meant else None,
            format=str(name),
        )
    return str(name)


def options_of(name: str) -> frozenset[str]:
    """Give what can be said of a format's files."""
    return frozenset(OPTIONS[name])


def reader_of(name: str) -> Reader:
    """Give what reads a format's files in pieces.

    Raises:
        Unavailable: ``library-missing``.
    """
    return cast("Reader", getattr(_module(name), _MODULES[name].partition(":")[2]))


def _module(name: str) -> object:
    try:
        return import_module(f"headgate.sources.formats.{_MODULES[name].partition(':')[0]}")
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if library not in _EXTRAS:
            raise
        raise Unavailable(
            "library-missing",
            f"Files of the format {name} are read by {library}, which is not installed.",
            hint=f"pip install headgate[{_EXTRAS[library]}]",
            library=library,
        ) from error
