"""The keys of an upsert's or a deletion's input: never NULL; for an upsert each once."""

from collections.abc import Sequence

from headgate.engines import Session
from headgate.errors import Invalid
from headgate.lake import Delete, Upsert
from headgate.names import literal, quote
from headgate.runs.hits import INPUT, Place


def refuse_bad_keys(place: Place, operation: Upsert | Delete) -> None:
    """Check the keys of an operation's input.

    Raises:
        Invalid: ``null-key``, ``duplicate-key``.
    """
    keys = operation.key_columns
    if not keys or not operation.files:
        return
    rows = place.tables.scan_files(place.entry, operation.files, columns=keys)
    place.session.bind({INPUT: rows})
    refuse_null_keys(place.session, keys, table=place.table)
    if isinstance(operation, Upsert):
        refuse_doubled_keys(place.session, keys, table=place.table)


def refuse_null_keys(session: Session, keys: Sequence[str], *, table: str) -> None:
    """Check that no bound row lacks a part of its key.

    Raises:
        Invalid: ``null-key``, naming the columns that hold NULL.
    """
    counts = ", ".join(
        f"count(*) filter ({quote(key)} is null) as {quote(str(number))}"
        for number, key in enumerate(keys)
    )
    nulls = " or ".join(f"{quote(key)} is null" for key in keys)
    found = session.scalars(
        f"select {counts}, count(*) filter ({nulls}) as rows from {INPUT} where {nulls}"
    )
    if found["rows"]:
        where = [key for number, key in enumerate(keys) if found[str(number)]]
        raise Invalid(
            "null-key",
            f"{found['rows']} rows for {table} have no key: NULL in {', '.join(where)}.",
            hint="Filter them out, or give the column a not-null contract that quarantines them.",
            table=table,
            key=list(keys),
            columns=where,
        )


def refuse_doubled_keys(session: Session, keys: Sequence[str], *, table: str) -> None:
    """Check that no two bound rows have the same key.

    Raises:
        Invalid: ``duplicate-key``, with examples.
    """
    columns = ", ".join(quote(key) for key in keys)
    fields = ", ".join(f"{literal(key)}: {quote(key)}" for key in keys)
    found = session.scalars(
        f"select count(*) as keys, (to_json(list(k order by k)[:3]))::varchar as examples from "
        f"(select {{{fields}}} as k from {INPUT} group by {columns} having count(*) > 1)"
    )
    if found["keys"]:
        raise Invalid(
            "duplicate-key",
            f"{found['keys']} keys occur more than once in the rows for {table}, "
            f"for example {found['examples']}.",
            hint="An upsert takes one row a key: choose one in the step, or declare which wins in "
            f"the contract:  hg.unique({', '.join(map(repr, keys))}, keep='last', order_by=...)",
            table=table,
            key=list(keys),
        )
