"""What the names of files tell: how they are packed, and what they hold."""

from collections.abc import Iterable
from pathlib import PurePath

from headgate.errors import Invalid

PACKINGS = {".gz": "gzip", ".bz2": "bz2", ".xz": "xz", ".zst": "zstd"}
ARCHIVES = {".zip": "zip", ".tar": "tar", ".tgz": "tar", ".tbz2": "tar", ".txz": "tar"}
SUFFIXES = {
    ".avro": "avro",
    ".csv": "csv",
    ".htm": "html",
    ".html": "html",
    ".json": "json",
    ".jsonl": "ndjson",
    ".ndjson": "ndjson",
    ".ods": "excel",
    ".orc": "orc",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".tab": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".xls": "excel",
    ".xlsb": "excel",
    ".xlsm": "excel",
    ".xlsx": "excel",
    ".xml": "xml",
}
FORMATS = tuple(sorted({*SUFFIXES.values()}))

_OTHER_PACKINGS = frozenset(
    {".7z", ".br", ".cab", ".lz", ".lz4", ".lzma", ".lzo", ".rar", ".sz", ".z"}
)


def archive_of(name: str) -> str | None:
    """Tell whether a file is an archive, by its name: ``zip``, ``tar`` or None."""
    path = PurePath(name.lower())
    if path.suffix in PACKINGS and path.with_suffix("").suffix == ".tar":
        return "tar"
    return ARCHIVES.get(path.suffix)


def packing_of(name: str, declared: object) -> str | None:
    """Tell how a file is compressed by what was declared, else by its name.

    Raises:
        Invalid: ``compression-unknown``.
    """
    if declared is None:
        return PACKINGS.get(PurePath(name).suffix.lower())
    if declared == "none":
        return None
    if declared not in PACKINGS.values():
        raise Invalid(
            "compression-unknown",
            f"There is no compression {declared!r} here.",
            hint=f"Write one of {', '.join(sorted(PACKINGS.values()))} or none.",
            compression=str(declared),
        )
    return str(declared)


def format_of(name: str, shown: str) -> str:
    """Tell a file's format by its name, without what says how it is packed.

    Raises:
        Invalid: ``format-unknown``, ``compression-unknown``.
    """
    path = PurePath(name.lower())
    if path.suffix in PACKINGS:
        path = path.with_suffix("")
    if path.suffix in _OTHER_PACKINGS:
        raise Invalid(
            "compression-unknown",
            f"{shown} is packed in a way that is not read here: {path.suffix}.",
            hint="Unpack it, or pack it anew: .gz, .bz2, .xz, .zst, .zip and .tar are read.",
            path=shown,
            compression=path.suffix,
        )
    known = SUFFIXES.get(path.suffix)
    if known is None:
        raise Invalid(
            "format-unknown",
            f"The name of {shown} does not tell its format.",
            hint=f"Say it: format=... one of {', '.join(FORMATS)}.",
            path=shown,
        )
    return known


def told_formats(patterns: Iterable[str]) -> frozenset[str] | None:
    """Tell the formats of all files of some patterns; None where only the files' names can tell."""
    found: set[str] = set()
    for pattern in patterns:
        path = PurePath(pattern.partition("?")[0].lower())
        if path.suffix in PACKINGS:
            path = path.with_suffix("")
        if path.suffix not in SUFFIXES:
            return None
        found.add(SUFFIXES[path.suffix])
    return frozenset(found)
