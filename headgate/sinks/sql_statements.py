"""Statements and names that databases write alike. Pure: ``name`` quotes as each of them does."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

Quote: TypeAlias = Callable[[str], str]


def dotted(name: Quote, table: str) -> str:
    """Quote each part of a dotted name."""
    return ".".join(name(part) for part in table.split("."))


def schema_and_name(table: str) -> tuple[str | None, str]:
    """Divide a dotted name at its last dot."""
    schema, _, name = table.rpartition(".")
    return schema or None, name


def same_key(name: Quote, key: Sequence[str], one: str = "t", other: str = "s") -> str:
    """Give the condition that two rows have the same key."""
    return " and ".join(f"{one}.{name(each)} = {other}.{name(each)}" for each in key)


def update_from(
    name: Quote, table: str, staged: str, sets: Mapping[str, str], key: Sequence[str]
) -> str:
    """Give ``update ... from``."""
    assigned = ", ".join(f"{name(column)} = {value}" for column, value in sets.items())
    return f"update {table} as t set {assigned} from {staged} as s where {same_key(name, key)}"


def delete_where_exists(name: Quote, table: str, staged: str, key: Sequence[str]) -> str:
    """Give ``delete ... where exists``."""
    exists = f"select 1 from {staged} as s where {same_key(name, key)}"
    return f"delete from {table} as t where exists ({exists})"


def altered_in_turn(
    name: Quote, table: str, add: Sequence[str], drop: Sequence[str], *, column: str = "column "
) -> list[str]:
    """Give a statement for each column: first those that go."""
    return [
        *(f"alter table {table} drop column {name(each)}" for each in drop),
        *(f"alter table {table} add {column}{each}" for each in add),
    ]


def altered_at_once(
    name: Quote, table: str, add: Sequence[str], drop: Sequence[str]
) -> tuple[str, ...]:
    """Give one statement for all columns."""
    parts = [f"drop column {name(each)}" for each in drop]
    parts += [f"add column {each}" for each in add]
    return (f"alter table {table} {', '.join(parts)}",)
