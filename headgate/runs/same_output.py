"""Output that is published already, though nobody could know before it was computed."""

from collections.abc import Mapping

from headgate.lake import Entry, TableBody, Tree


def is_published(tree: Tree, changes: Mapping[str, Entry | None]) -> bool:
    """Whether readers find in a tree what the changes would make of it.

    Equal content ids are equal columns and rows, in an equal order.
    """
    return all(_is_same(tree.get(key), entry) for key, entry in changes.items())


def _is_same(before: Entry | None, after: Entry | None) -> bool:
    if before is None or after is None or before.taint or before.stale:
        return before is after
    if before.content != after.content or (before.table is None) != (after.table is None):
        return False
    if before.table is None or after.table is None:
        return True
    return _layout(before.table) == _layout(after.table)


def _layout(body: TableBody) -> tuple[object, ...]:
    """Give what is said of a table's rows beside what they are."""
    columns = [(column.name, column.type) for column in body.schema]
    return columns, body.owner, body.key_columns, body.sort_by, body.partition
