"""CSV files as SQL: for looking at them here, where no engine is at hand."""

from collections.abc import Mapping, Sequence
from typing import cast

from headgate.filesets import NativeFiles
from headgate.names import literal


def csv_query(part: NativeFiles, paths: Sequence[str], *, as_text: bool, lenient: bool) -> str:
    """Give the SELECT of files of one layout; ``lenient`` leaves out what does not parse."""
    options = part.options
    columns = cast("Mapping[str, str]", options["columns"])
    kinds = dict.fromkeys(columns, "VARCHAR") if as_text else columns
    arguments = [
        f"[{', '.join(literal(_escaped(path)) for path in paths)}]",
        "auto_detect = false",
        f"columns = {{{', '.join(f'{literal(n)}: {literal(k)}' for n, k in kinds.items())}}}",
        f"delim = {literal(str(options['delimiter']))}",
        f"quote = {literal(str(options['quote']))}",
        f"escape = {literal(str(options['escape']))}",
        f"header = {'true' if options['header'] else 'false'}",
        f"skip = {int(str(options.get('skip', 0)))}",
        f"nullstr = [{', '.join(literal(t) for t in cast('Sequence[str]', options['null']))}]",
    ]
    if lenient:
        arguments.append("ignore_errors = true")
    if options.get("comment"):
        arguments.append(f"comment = {literal(str(options['comment']))}")
    if not as_text:
        arguments += [
            f"{theirs} = {literal(str(options[ours]))}"
            for ours, theirs in (
                ("date_format", "dateformat"),
                ("timestamp_format", "timestampformat"),
                ("decimal_separator", "decimal_separator"),
            )
            if options.get(ours)
        ]
    return f"select * from read_csv({', '.join(arguments)})"


def _escaped(path: str) -> str:
    """Keep DuckDB from taking a path for a pattern."""
    return "".join(f"[{mark}]" if mark in "*?[" else mark for mark in path)
