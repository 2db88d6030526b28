"""Changes in words: what operations did to a table, and how two versions of an entry differ."""

from collections.abc import Iterator, Sequence

from headgate.cli.phrases import counted
from headgate.lake import (
    AddColumn,
    Append,
    Change,
    ChangeSchema,
    Create,
    Delete,
    Drop,
    Entry,
    Operation,
    Rename,
    Replace,
    Restore,
    Rewrite,
    RowCounts,
    SetProperties,
    Upsert,
    Write,
    plain,
)

_TABLE = "table/"


def written(write: Write) -> str:
    """Say what a run did to a table: ``replaced, 16 rows``, ``1,000 rows added``."""
    said = [text for operation in write.operations if (text := _operation(operation))]
    return (", ".join(said) or "unchanged") + _counts(write.rows)


def _counts(rows: RowCounts | None) -> str:
    """Say what upserts and deletions did: ``: 1 inserted, 9 updated (2 files written again)``."""
    if rows is None:
        return ""
    did = {"inserted": rows.inserted, "updated": rows.updated, "deleted": rows.deleted}
    said = ", ".join(f"{count:,} {what}" for what, count in did.items() if count)
    again = counted(rows.files_rewritten, "file")
    return f": {said or 'none hit'}" + (f" ({again} written again)" if rows.files_rewritten else "")


def _operation(  # noqa: C901, PLR0911, PLR0912 - one line per kind
    operation: Operation,
) -> str:
    match operation:
        case Replace():
            return f"replaced, {counted(operation.rows, 'row')}"
        case Append():
            return f"{counted(operation.rows, 'row')} added"
        case Upsert(key_columns=key, files=files):
            rows = counted(sum(file.rows for file in files), "row")
            return f"{rows} upserted by {', '.join(key)}"
        case Delete(predicate=predicate, key_columns=key):
            return f"rows deleted where {predicate}" if predicate else f"rows deleted by {key}"
        case AddColumn(column=column):
            return f"column {column.name} {plain(column.type)} added"
        case ChangeSchema(what=what):
            return what
        case Rename(to=to):
            return f"renamed to {to}"
        case Drop():
            return "dropped"
        case Create():
            return "created"
        case Rewrite():
            return "compacted"
        case Restore():
            return "taken back"
        case SetProperties(updates=updates, removals=removals):
            return f"properties set: {', '.join([*updates, *removals]) or 'its order'}"
        case _:
            return ""


def is_table(key: str) -> bool:
    """Say whether a key is that of a table people asked for, no quarantine."""
    return key.startswith(_TABLE) and not key.startswith("table/_quarantine.")


def matters(change: Change) -> bool:
    """Say whether readers of a table see something else: rows or columns, not its files."""
    before, after = change.before, change.after
    same = before is not None and after is not None and before.content == after.content
    return is_table(change.key) and not same


def table_of(key: str) -> str:
    """Give a table's name out of its key."""
    return key.removeprefix(_TABLE)


def difference(change: Change) -> tuple[str, str, list[str]]:
    """Give a sign, a phrase and further lines for a changed table."""
    before, after = change.before, change.after
    if before is None:
        return "+", _rows(after), []
    if after is None:
        return "-", _rows(before), []
    if before.table is None or after.table is None:
        return "~", "changed", []
    rows = f"{before.table.rows:,} to {after.table.rows:,} rows"
    if before.table.rows == after.table.rows:
        rows = counted(after.table.rows, "row")
        rows += ", changed"
    return "~", rows, list(_columns(before, after))


def _rows(entry: Entry | None) -> str:
    return counted(entry.table.rows, "row") if entry and entry.table else ""


def _columns(before: Entry, after: Entry) -> Iterator[str]:
    old = {column.id: column for column in before.table.schema} if before.table else {}
    new = {column.id: column for column in after.table.schema} if after.table else {}
    for id, column in new.items():
        there = old.get(id)
        if there is None:
            yield f"+ {column.name} {plain(column.type)}"
        elif there.name != column.name:
            yield f"~ {there.name} is now {column.name} {plain(column.type)}"
        elif there.type != column.type:
            yield f"~ {column.name} {plain(there.type)} is now {plain(column.type)}"
    for id, column in old.items():
        if id not in new:
            yield f"- {column.name} {plain(column.type)}"


def change_document(change: Change) -> dict[str, object]:
    """Give a change as JSON."""
    return {
        "key": change.key,
        "change": difference_kind(change),
        "before": entry_document(change.before),
        "after": entry_document(change.after),
    }


def difference_kind(change: Change) -> str:
    """Give ``added``, ``removed`` or ``changed``."""
    if change.before is None:
        return "added"
    return "removed" if change.after is None else "changed"


def entry_document(entry: Entry | None) -> dict[str, object] | None:
    """Give an entry as JSON; of a table its counts and columns."""
    if entry is None:
        return None
    document: dict[str, object] = {
        "kind": entry.kind,
        "content": entry.content,
        "taint": list(entry.taint),
        "stale": list(entry.stale),
    }
    if entry.table is not None:
        body = entry.table
        document |= {
            "rows": body.rows,
            "size_bytes": body.size_bytes,
            "files": body.files,
            "columns": columns_document(entry),
            "key": list(body.key_columns),
            "partition": list(body.partition),
            "owner": body.owner,
        }
    return document


def columns_document(entry: Entry) -> Sequence[dict[str, object]]:
    """Give a table's columns as JSON."""
    if entry.table is None:
        return []
    return [{"name": c.name, "type": c.type, "id": c.id} for c in entry.table.schema]
