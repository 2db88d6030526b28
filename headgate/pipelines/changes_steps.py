"""Steps that follow a table of PostgreSQL by its changes. Declaring one does no input or output."""

from typing import Literal, Unpack

from headgate.errors import Invalid
from headgate.pipelines.declared_steps import Declaration, names
from headgate.pipelines.source_steps import StepOptions, declare_source
from headgate.secrets import Secret


class ChangesOptions(StepOptions, total=False):
    """How a server's log is read, and of the step; what is left out is usual."""

    connection: str
    user: str | Secret
    password: str | Secret
    publication: str
    slot: str
    batch_rows: int


def changes(
    url: str | Secret | None = None,
    relation: str | None = None,
    *,
    keep: Literal["table", "log"] = "table",
    **options: Unpack[ChangesOptions],
) -> Declaration:
    """Declare a table of PostgreSQL by its changes: inserts, updates, deletions, as they happen.

    ``orders = hg.changes("postgresql://me@host/shop", "orders", key="id")``: the first run reads it
    in full, each further one what was committed since.

    Args:
        url: the database: ``postgresql://...``, a text or a secret; not needed with ``connection``.
        relation: the table that is followed, with its schema if need be.
        keep: ``table`` keeps the table as it is there; ``log`` appends each change as a row, with
            ``_operation`` (insert, update, delete, truncate, snapshot), ``_lsn``, ``_transaction``,
            ``_committed_at``, ``_before`` (the key, where it was another) and ``_unchanged`` (the
            columns whose large values did not change and are not told).
        options: ``key`` (the columns rows are known by: the primary key, or others of the replica
            identity; needed to keep the table); ``connection`` (a name of the project's settings),
            ``user``, ``password``; ``publication`` and ``slot`` (made, under names of ours, where
            they are left out and where the role may); ``batch_rows`` (of the first reading); and
            what every step has.

    Raises:
        Invalid: ``step-key-missing``; what ``hg.step`` raises. What is wrong with the server, or
            missing there, is told when a run begins, with the SQL that mends it.
    """
    known = names(options.pop("key", ()))
    if relation is None:
        raise Invalid(
            "changes-without-relation",
            "changes() names no table to follow.",
            hint='Write hg.changes("postgresql://user@host/database", "schema.table", key="id"). '
            "(table= is the table of the lake that is written.)",
        )
    if keep == "table" and not known:
        raise Invalid(
            "step-key-missing",
            f"To keep {relation} as it is, rows must be known by a key.",
            hint='Say key="id" (its primary key); or keep="log".',
        )
    own: dict[str, object] = {"relation": relation, "keep": keep}
    if url is not None:
        own["url"] = url
    if known:
        own["key"] = known
    if keep == "log":
        return declare_source("postgres_changes", own, {"mode": "append", **options})
    return declare_source("postgres_changes", own, {"mode": "upsert", "key": known, **options})
