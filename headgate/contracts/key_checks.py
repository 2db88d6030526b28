"""Keys and references as SQL: small tables of what is wrong, which the one scan then looks into.

NULL in any column of a key makes the row nobody's duplicate and a reference to nothing.
"""

from collections.abc import Sequence

from headgate.contracts import checks
from headgate.names import quote


def relation(table: str) -> str:
    """Quote a table's name; dots divide namespaces."""
    return ".".join(quote(part) for part in table.split("."))


def _list(columns: Sequence[str], prefix: str = "") -> str:
    return ", ".join(f"{prefix}{quote(column)}" for column in columns)


def _known(columns: Sequence[str], prefix: str = "") -> str:
    return " AND ".join(f"{prefix}{quote(column)} IS NOT NULL" for column in columns)


def duplicate_keys(check: checks.Unique, rows: str, existing: str | None = None) -> str:
    """Give the keys that occur more than once in ``rows``, or once in ``existing``, too."""
    keys = _list(check.columns)
    known = _known(check.columns)
    twice = f"SELECT {keys} FROM {rows} WHERE {known} GROUP BY {keys} HAVING count(*) > 1"
    if existing is None:
        return twice
    same = " AND ".join(f"o.{quote(c)} = n.{quote(c)}" for c in check.columns)
    there = (
        f"SELECT {_list(check.columns, 'n.')} FROM {rows} AS n SEMI JOIN {existing} AS o ON {same}"
    )
    return f"{twice} UNION {there}"


def missing_parents(check: checks.References, rows: str, parent: str) -> str:
    """Give the references in ``rows`` that are not in ``parent``, each once."""
    pairs = zip(check.columns, check.parent_columns, strict=True)
    same = " AND ".join(f"c.{quote(column)} = p.{quote(target)}" for column, target in pairs)
    return (
        f"SELECT DISTINCT {_list(check.columns, 'c.')} FROM {rows} AS c "
        f"ANTI JOIN {parent} AS p ON {same} WHERE {_known(check.columns, 'c.')}"
    )


def found_in(columns: Sequence[str], wrong: str, prefix: str = "") -> str:
    """Give the condition that a row's columns are in a table of wrong keys."""
    if len(columns) == 1:
        column = quote(columns[0])
        return f"{prefix}{column} IN (SELECT {column} FROM {quote(wrong)})"
    # Without the test for NULL a row with one would compare as a value inside of the struct.
    own = ", ".join(f"{prefix}{quote(column)}" for column in columns)
    return f"({own}) IN (SELECT ({_list(columns)}) FROM {quote(wrong)})"


def not_kept(check: checks.Unique, all_columns: Sequence[str]) -> str:
    """Give the condition that a row is a duplicate other than the one that stays.

    Rows equal in ``order_by`` are ordered by all their columns: the outcome does not depend on the
    order in which they came. Rows equal in everything are interchangeable.
    """
    direction = "DESC" if check.keep == "last" else "ASC"
    first = [f"{quote(column)} {direction} NULLS LAST" for column in check.order_by]
    rest = [
        f"{quote(column)} {direction} NULLS LAST"
        for column in all_columns
        if column not in check.order_by and column not in check.columns
    ]
    order = ", ".join(first + rest)
    window = f"row_number() OVER (PARTITION BY {_list(check.columns)} ORDER BY {order})"
    return f"({_known(check.columns)} AND {window} > 1)"
