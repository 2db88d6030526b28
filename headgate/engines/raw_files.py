"""Raw files as SQL: how DuckDB reads CSV, Parquet and JSON that nobody has ingested yet.

Options of ``csv`` (every one optional): ``columns`` (name -> SQL type, all of them, in the file's
order), ``delimiter``, ``quote``, ``escape``, ``comment``, ``header`` (bool), ``skip`` (lines),
``encoding``, ``compression``, ``null`` (tuple of texts), ``date_format``, ``timestamp_format``,
``decimal_separator``, ``select`` (name -> name in the file: the columns to keep, renamed),
``lacking`` (name -> SQL type: columns it has not, which are NULL). Parquet takes ``select``.
"""

from collections.abc import Mapping

from headgate.engines.scans import file_list
from headgate.errors import Invalid
from headgate.filesets import NativeFiles
from headgate.names import literal, quote

MALFORMED_BYTES = 65_536
"""A malformed record is kept whole up to here; a longer one is a quote that was never closed."""

_TEXT_OPTIONS = {
    "delimiter": "delim",
    "quote": "quote",
    "escape": "escape",
    "comment": "comment",
    "encoding": "encoding",
    "compression": "compression",
    "date_format": "dateformat",
    "timestamp_format": "timestampformat",
    "decimal_separator": "decimal_separator",
}
_KNOWN = {*_TEXT_OPTIONS, "columns", "header", "skip", "null", "select", "lacking"}


def raw_query(files: NativeFiles, *, rejects: str | None = None) -> str:
    """Give the SELECT over raw files.

    ``rejects`` names the temporary table that collects the records DuckDB cannot parse; without it
    the first such record raises.
    """
    return " union all by name ".join(_part_query(part, rejects) for part in files.parts)


def _part_query(files: NativeFiles, rejects: str | None) -> str:
    selected: Mapping[str, str] = files.options.get("select") or {}  # type: ignore[assignment]
    lacking: Mapping[str, str] = files.options.get("lacking") or {}  # type: ignore[assignment]
    columns = [f"{quote(there)} as {quote(name)}" for name, there in selected.items()] or ["*"]
    columns += [f"cast(NULL as {kind}) as {quote(name)}" for name, kind in lacking.items()]
    return f"select {', '.join(columns)} from {reader(files, rejects=rejects)}"


def reader(files: NativeFiles, *, rejects: str | None = None) -> str:
    """Give the table function that reads the files."""
    if files.format == "parquet":
        return f"read_parquet({file_list(files.paths)}, union_by_name = true)"
    if files.format == "json":
        return f"read_json({file_list(files.paths)}, union_by_name = true)"
    if files.format != "csv":
        raise Invalid(
            "format-not-supported",
            f"DuckDB reads no files of the format {files.format!r}.",
            hint="csv, parquet and json are read.",
            format=files.format,
        )
    arguments = [file_list(files.paths), *_csv_arguments(files.options)]
    if rejects is not None:
        arguments += [
            "store_rejects = true",
            f"rejects_table = {literal(rejects)}",
            f"rejects_scan = {literal(rejects + '_scan')}",
            "rejects_limit = 0",
            f"rejects_line_size_limit = {MALFORMED_BYTES}",
        ]
    return f"read_csv({', '.join(arguments)})"


def _csv_arguments(options: Mapping[str, object]) -> list[str]:
    unknown = sorted(set(options) - _KNOWN)
    if unknown:
        raise Invalid(
            "unknown-option", f"CSV files have no option {unknown[0]!r}.", option=unknown[0]
        )
    given = [
        f"{theirs} = {literal(str(options[ours]))}"
        for ours, theirs in _TEXT_OPTIONS.items()
        if options.get(ours) is not None
    ]
    if options.get("header") is not None:
        given.append(f"header = {'true' if options['header'] else 'false'}")
    if options.get("skip"):
        given.append(f"skip = {int(str(options['skip']))}")
    nulls = options.get("null")
    if isinstance(nulls, (tuple, list)):
        given.append(f"nullstr = [{', '.join(literal(str(null)) for null in nulls)}]")
    columns = options.get("columns")
    if isinstance(columns, Mapping):
        inner = ", ".join(f"{literal(name)}: {literal(kind)}" for name, kind in columns.items())
        given += [f"columns = {{{inner}}}", "auto_detect = false", "null_padding = false"]
    return given
