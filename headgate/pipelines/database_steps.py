"""Steps that read a database. Declaring one does no input or output."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Literal, Unpack

from headgate.pipelines.declared_steps import Declaration
from headgate.pipelines.source_steps import StepOptions, declare_source
from headgate.secrets import Secret


class DatabaseOptions(StepOptions, total=False):
    """How a database is read, and of the step; what is left out is usual."""

    connection: str
    user: str | Secret
    password: str | Secret
    columns: Sequence[str]
    lag: timedelta | int
    empty_cursor: Literal["refuse", "leave", "again"]
    numbers: str
    infinite: Literal["refuse", "null", "clamp"]
    zero_dates: Literal["refuse", "null"]
    arrays: Literal["list", "text"]
    connections: int
    batch_rows: int


def database(
    url: str | Secret | None = None,
    relation: str | None = None,
    /,
    *,
    query: str | None = None,
    cursor: str | None = None,
    **options: Unpack[DatabaseOptions],
) -> Declaration:
    """Declare rows of a database: ``orders = hg.database("postgresql://me@host/shop", "orders")``.

    Without ``cursor`` all rows are read, and replace the table. With it, what is new: it is
    upserted where the step has a key, else appended.

    Args:
        url: ``postgresql://``, ``mysql://``, ``sqlite:///`` or the path of a SQLite file; any other
            URL of SQLAlchemy. A text or a secret; not needed with ``connection``.
        relation: the table or view to read, with its schema if need be: ``"sales.orders"``.
        query: what to read instead: one SELECT.
        cursor: the column that grows with every new (or changed) row.
        options: ``connection`` (a name of the project's settings), ``user``, ``password``;
            ``columns`` (all by default); ``lag`` (read again what is younger than that: rows whose
            transaction committed late); ``empty_cursor`` (rows without a cursor value);
            ``numbers`` (PostgreSQL's numeric without a scale: ``fit``, ``text``, ``double``,
            ``"decimal(p, s)"``); ``infinite`` and ``zero_dates`` (dates that are none: ``refuse``,
            ``null``, ``clamp``); ``arrays`` (``list`` or ``text``); ``connections`` (side by side,
            PostgreSQL); ``batch_rows``; and what every step has (``hg.step``).

    Raises:
        Invalid: what ``hg.step`` raises. Wrong options are told before a run begins.
    """
    own = {"url": url, "relation": relation, "query": query, "cursor": cursor}
    mode = "replace"
    if cursor is not None:
        mode = "upsert" if options.get("key") else "append"
    chosen = {name: value for name, value in own.items() if value is not None}
    return declare_source("database", chosen, {"mode": mode, **options})
