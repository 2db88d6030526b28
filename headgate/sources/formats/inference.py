"""Types of columns of text, where no contract says them.

A column gets the narrowest type in which every value is written: ``007`` stays text, and so does a
number of more digits than its type can hold.
"""

import re
from collections.abc import Mapping, Sequence

import duckdb

from headgate.errors import Invalid
from headgate.filesets import NativeFiles
from headgate.names import quote
from headgate.sources.formats.csv_query import csv_query

_FIRST_ROWS = 2_000
_FILE = re.compile(r"^\s*file = (.+)$", re.MULTILINE)

# For each type, the test that a text is written as such a value ({x} is the text).
_ZONE = "(Z|[+-][0-9][0-9](:?[0-9][0-9])?)$"
_DIGITS = "ltrim({x}, '+-')"
_CANDIDATES = {
    "BOOLEAN": "lower({x}) in ('true', 'false')",
    "BIGINT": "try_cast({x} as BIGINT)::VARCHAR = {x}",
    "DOUBLE": (
        "try_cast({x} as DOUBLE) is not null and ({x} like '%.%' or length({x}) <= 16) "
        f"and ({_DIGITS} not like '0_%' or {_DIGITS} like '0.%') "
        "and right({x}, 1) in ('0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '.')"
    ),
    "DATE": "length({x}) = 10 and try_cast({x} as DATE) is not null",
    "TIMESTAMP WITH TIME ZONE": (
        "length({x}) > 16 and try_cast({x} as TIMESTAMP WITH TIME ZONE) is not null "
        f"and regexp_matches({{x}}, '{_ZONE}')"
    ),
    "TIMESTAMP": (
        "length({x}) >= 16 and try_cast({x} as TIMESTAMP) is not null "
        f"and not regexp_matches({{x}}, '{_ZONE}')"
    ),
}


def column_types(parts: Sequence[NativeFiles], options: Mapping[str, object]) -> dict[str, str]:
    """Infer each column's type from all of its values.

    ``types`` of the options are taken as they are. The first rows say which types are possible,
    one pass over everything says which hold. A column without a value stays text.

    Raises:
        Invalid: ``bad-option``, ``csv-unreadable``.
    """
    declared = options.get("types")
    given = {str(n): str(t) for n, t in declared.items()} if isinstance(declared, Mapping) else {}
    names = list(dict.fromkeys(name for part in parts for name in columns_of(part)))
    unknown = next((name for name in given if name not in names), None)
    if unknown is not None:
        raise Invalid(
            "bad-option",
            f"types= names a column {unknown!r} that no file has.",
            option="types",
            known=names,
        )
    everything = " union all by name ".join(
        csv_query(part, part.paths, as_text=True, lenient=True) for part in parts
    )
    with duckdb.connect(config={"autoinstall_known_extensions": False}) as connection:
        connection.execute("set TimeZone = 'UTC'")
        possible: Mapping[str, Sequence[str]] = {
            name: tuple(_CANDIDATES) for name in names if name not in given
        }
        for source in (f"from ({everything}) limit {_FIRST_ROWS}", f"from ({everything})"):
            try:
                possible = _held(connection, source, possible)
            except duckdb.Error as error:
                raise _unreadable(parts, error) from error
    return {
        name: given.get(name) or next(iter(possible.get(name, ())), "VARCHAR") for name in names
    }


def _unreadable(parts: Sequence[NativeFiles], error: duckdb.Error) -> Invalid:
    """Name the file that the reader stopped at, and what it met."""
    text = str(error)
    found = _FILE.search(text)
    path = found.group(1).strip() if found is not None else parts[0].paths[0]
    shown = {path: name for part in parts for path, name in part.shown.items()}.get(path, path)
    ends = "state machine" in text
    what = text.partition("\n")[0]
    return Invalid(
        "csv-unreadable",
        f"{shown} cannot be read as CSV: {'its lines end in different ways.' if ends else what}",
        hint="Make all line ends alike." if ends else "Mend it, or say how the file is written.",
        path=path,
    )


def columns_of(part: NativeFiles) -> Mapping[str, object]:
    """Give the columns of files of one layout."""
    columns = part.options["columns"]
    return columns if isinstance(columns, Mapping) else {}


def _held(
    connection: duckdb.DuckDBPyConnection, source: str, possible: Mapping[str, Sequence[str]]
) -> dict[str, Sequence[str]]:
    """Give, of the possible types, those in which all values of a column are written."""
    asked = [
        (name, kind, test)
        for name, kinds in possible.items()
        for kind, test in _CANDIDATES.items()
        if kind in kinds
    ]
    if not asked:
        return {}
    # A test is NULL where a cast fails inside it: that is no, and bool_and would pass over it.
    tests = ", ".join(
        f"coalesce(bool_and(coalesce({test.format(x=quote(name))}, false)) "
        f"filter ({quote(name)} is not null), false)"
        for name, _, test in asked
    )
    [row] = connection.execute(f"select {tests} from (select * {source})").fetchall()
    held: dict[str, list[str]] = {name: [] for name in possible}
    for (name, kind, _), holds in zip(asked, row, strict=True):
        if holds:
            held[name].append(kind)
    return dict(held)
