"""Schema changes: which schema a write leads to, from the table's columns and the new rows'.

Rows are added to a table (append, upsert) under these rules; anything else is refused by name:

- a column the rows lack stays NULL in them; a column the table lacks is added;
- values go into a wider type as they are: int into long and double, long into double (exact up to
  2**53), float into double, whole numbers and decimals into a decimal that has the digits, date
  into timestamp;
- the table's type is widened where Iceberg can: int to long, float to double, more digits of the
same
  scale;
- structs, lists and maps follow the same rules within.

A replaced table takes the rows' schema; columns of equal name and type keep their ids.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from headgate.errors import Internal, Invalid
from headgate.lake.column_types import (
    Field,
    ListOf,
    MapOf,
    Path,
    StructOf,
    Type,
    decimal_digits,
    fields,
    parse,
    path_text,
    plain,
    text,
    walk,
    with_ids,
)
from headgate.lake.operations import AddColumn, ChangeSchema, Column, Operation

UNTYPED = "unknown"
"""The type of a column in which every value is NULL; fits any column, makes none."""

_WHOLE_DIGITS = {"int": 10, "long": 19}
_STORED_AS_IS = {("int", "long"), ("int", "double"), ("long", "double"), ("float", "double")} | {
    ("date", "timestamp")
}
_WIDENED = {("int", "long"), ("float", "double")}


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaPlan:
    """The schema a write leads to, ids included, and the operations that lead there."""

    columns: tuple[Column, ...]
    operations: tuple[Operation, ...]


def check_names(columns: Sequence[Column], *, table: str) -> None:
    """Check that rows can be a table: columns there are, named, and told apart by every engine.

    Raises:
        Invalid: ``schema-empty``, ``schema-name-empty``, ``schema-names-clash``.
    """
    if not columns:
        raise Invalid(
            "schema-empty",
            f"The rows for table {table!r} have no columns.",
            hint="Return at least one column.",
            table=table,
        )
    for path, siblings in _levels(columns):
        seen: dict[str, str] = {}
        for name in siblings:
            if not name:
                raise Invalid(
                    "schema-name-empty",
                    f"A column of the rows for table {table!r} has an empty name"
                    + (f" (in {path!r})." if path else "."),
                    hint="Give every column a name.",
                    table=table,
                )
            other = seen.setdefault(name.casefold(), name)
            if other is not name:
                raise _clash(table, other, name)


def added_rows_plan(
    existing: Sequence[Column],
    incoming: Sequence[Column],
    *,
    table: str,
    drop_epochs: Mapping[str, int],
    allocate: Callable[[Sequence[str]], Mapping[str, int]],
) -> SchemaPlan:
    """Decide the schema after rows of ``incoming`` columns are added to a table.

    Raises:
        Invalid: ``schema-type-conflict``, ``schema-column-untyped``, ``schema-names-clash``.
    """
    check_names(incoming, table=table)
    by_name = {column.name: column for column in existing}
    folded = {column.name.casefold(): column.name for column in existing}
    merged = dict(by_name)
    for column in incoming:
        known = by_name.get(column.name)
        if known is None:
            if (other := folded.get(column.name.casefold())) is not None:
                raise _clash(table, other, column.name)
            _check_typed(parse(column.type), (column.name,), table)
            merged[column.name] = Column(name=column.name, type=plain(column.type), id=0)
        elif plain(known.type) != plain(column.type):
            type_ = _joined(parse(known.type), parse(column.type), (column.name,), table)
            merged[column.name] = Column(name=known.name, type=text(type_), id=known.id)
    columns = allocated(tuple(merged.values()), existing, drop_epochs, allocate)
    old, new = columns[: len(existing)], columns[len(existing) :]
    operations: list[Operation] = []
    if phrases := tuple(
        f"{after.name}: {plain(before.type)} became {plain(after.type)}"
        for before, after in zip(existing, old, strict=True)
        if before != after
    ):
        operations.append(ChangeSchema(columns=old, what="; ".join(phrases)))
    operations += (AddColumn(column=column) for column in new)
    return SchemaPlan(columns=columns, operations=tuple(operations))


def replaced_columns(
    existing: Sequence[Column],
    incoming: Sequence[Column],
    *,
    table: str,
    drop_epochs: Mapping[str, int],
    allocate: Callable[[Sequence[str]], Mapping[str, int]],
) -> tuple[Column, ...]:
    """Decide the columns of a table that is replaced by rows of ``incoming`` columns.

    A column without a type (every value NULL) takes the type it had.

    Raises:
        Invalid: ``schema-column-untyped``, ``schema-names-clash``.
    """
    check_names(incoming, table=table)
    by_name = {column.name: column for column in existing}
    result = []
    for column in incoming:
        known = by_name.get(column.name)
        type_ = parse(column.type)
        if known is not None:
            type_ = _typed(type_, parse(known.type))
        _check_typed(type_, (column.name,), table)
        if known is not None and plain(known.type) == plain(type_):
            result.append(known)
        else:
            result.append(Column(name=column.name, type=plain(type_), id=0))
    return allocated(tuple(result), existing, drop_epochs, allocate)


def allocated(
    columns: tuple[Column, ...],
    existing: Sequence[Column],
    drop_epochs: Mapping[str, int],
    allocate: Callable[[Sequence[str]], Mapping[str, int]],
) -> tuple[Column, ...]:
    """Give the columns with lake-wide ids for every field that has none (id 0).

    An id belongs to (path, type, how often that path was dropped before): equal additions on two
    branches get equal ids, and a column that is dropped and added again gets another one.
    """
    taken = {path for path, _, _ in fields(existing)}
    names: dict[Path, str] = {}
    for path, id_, type_ in fields(columns):
        if not id_:
            epoch = drop_epochs.get(path_text(path), 0) + (path in taken)
            names[path] = f"column:{path_text(path)}:{plain(text(type_))}:{epoch}"
    if not names:
        return columns
    numbers = allocate(tuple(names.values()))

    def id_of(path: Path) -> int:
        return numbers[names[path]]

    result = tuple(
        Column(
            name=column.name,
            type=text(with_ids((column.name,), parse(column.type), id_of)),
            id=column.id or id_of((column.name,)),
        )
        for column in columns
    )
    check_ids(result)
    return result


def written_columns(columns: Sequence[Column], incoming: Sequence[Column]) -> tuple[Column, ...]:
    """Give the columns of files that hold just what the rows have, as the table has it.

    What rows lack, columns or fields of structs, is not in their files, and reads as NULL.
    """
    there = {column.name: column for column in incoming}
    return tuple(
        Column(
            name=column.name,
            type=text(_shaped(parse(column.type), parse(there[column.name].type))),
            id=column.id,
        )
        for column in columns
        if column.name in there
    )


def check_ids(columns: Sequence[Column]) -> None:
    """Check that no two fields share an id.

    Raises:
        Internal: ``column-ids-clash``.
    """
    seen: dict[int, Path] = {}
    for path, id_, _ in fields(columns):
        if seen.setdefault(id_, path) != path:
            raise Internal(
                "column-ids-clash",
                f"Columns {path_text(seen[id_])} and {path_text(path)} share the id {id_}.",
                id=id_,
            )


def drop_epochs_after(
    epochs: Mapping[str, int], before: Sequence[Column], after: Sequence[Column]
) -> dict[str, int]:
    """Count, for each path, how often a column there was dropped, renamed or got another type."""
    ids = {path: id_ for path, id_, _ in fields(after)}
    result = dict(epochs)
    for path, id_, _ in fields(before):
        if ids.get(path) != id_:
            result[path_text(path)] = result.get(path_text(path), 0) + 1
    return result


def widens(written: str, stored: str) -> bool:
    """Tell whether Iceberg reads values of one primitive type as another (schema evolution)."""
    if written == stored or (written, stored) in _WIDENED:
        return True
    old, new = decimal_digits(written), decimal_digits(stored)
    return old is not None and new is not None and old[1] == new[1] and old[0] <= new[0]


def _joined(existing: Type, incoming: Type, path: Path, table: str) -> Type:
    """Give the existing type, changed as far as the incoming values need and the rules allow."""
    match existing, incoming:
        case str(), str():
            if (joined := _joined_primitive(existing, incoming)) is not None:
                return joined
        case _, str() if incoming == UNTYPED:
            return existing
        case ListOf(element, element_id), ListOf(new, _):
            return ListOf(_joined(element, new, (*path, "element"), table), element_id)
        case MapOf(key, value, key_id, value_id), MapOf(new_key, new_value, _, _):
            if plain(key) == plain(new_key):
                joined_value = _joined(value, new_value, (*path, "value"), table)
                return MapOf(key, joined_value, key_id, value_id)
        case StructOf(), StructOf():
            return _joined_struct(existing, incoming, path, table)
    raise Invalid(
        "schema-type-conflict",
        f"Column {'.'.join(path)!r} of table {table!r} is {plain(existing)}, but the new rows have"
        f" {plain(incoming)}.",
        hint=f"Cast the column to {plain(existing)} before writing, or replace the table.",
        table=table,
        column=".".join(path),
        stored=plain(existing),
        incoming=plain(incoming),
    )


def _joined_struct(existing: StructOf, incoming: StructOf, path: Path, table: str) -> StructOf:
    by_name = {field.name: field for field in existing.fields}
    folded = {name.casefold(): name for name in by_name}
    merged = dict(by_name)
    for field in incoming.fields:
        known = by_name.get(field.name)
        inner = (*path, field.name)
        if known is not None:
            merged[field.name] = Field(
                known.name, _joined(known.type, field.type, inner, table), known.id
            )
            continue
        if (other := folded.get(field.name.casefold())) is not None:
            raise _clash(table, ".".join((*path, other)), ".".join(inner))
        _check_typed(field.type, inner, table)
        merged[field.name] = Field(field.name, parse(plain(field.type)), 0)
    return StructOf(tuple(merged.values()))


def _joined_primitive(existing: str, incoming: str) -> str | None:
    if incoming in (existing, UNTYPED) or (incoming, existing) in _STORED_AS_IS:
        return existing
    if (existing, incoming) in _WIDENED:
        return incoming
    digits = decimal_digits(existing)
    if digits is None:
        return None
    precision, scale = digits
    new_precision, new_scale = decimal_digits(incoming) or (_WHOLE_DIGITS.get(incoming, 0), 0)
    if not new_precision or new_scale > scale:
        return None
    needed = max(precision, new_precision - new_scale + scale)
    if needed == precision:
        return existing
    return f"decimal({needed}, {scale})" if needed <= 38 else None  # noqa: PLR2004 - Iceberg's limit


def _shaped(stored: Type, incoming: Type) -> Type:
    """Give the stored type with those fields only that the incoming one has."""
    match stored, incoming:
        case ListOf(element, element_id), ListOf(new, _):
            return ListOf(_shaped(element, new), element_id)
        case MapOf(key, value, key_id, value_id), MapOf(_, new, _, _):
            return MapOf(key, _shaped(value, new), key_id, value_id)
        case StructOf(fields_), StructOf(new_fields):
            there = {field.name: field.type for field in new_fields}
            return StructOf(
                tuple(
                    Field(f.name, _shaped(f.type, there[f.name]), f.id)
                    for f in fields_
                    if f.name in there
                )
            )
    return stored


def _typed(incoming: Type, existing: Type) -> Type:
    """Give the incoming type, its untyped parts as they are in the existing one, where they fit."""
    match incoming, existing:
        case str(), _ if incoming == UNTYPED:
            return parse(plain(existing))
        case ListOf(new, _), ListOf(old, _):
            return ListOf(_typed(new, old))
        case MapOf(key, value, _, _), MapOf(old_key, old_value, _, _):
            return MapOf(_typed(key, old_key), _typed(value, old_value))
        case StructOf(new_fields), StructOf(old_fields):
            old_types = {field.name: field.type for field in old_fields}
            return StructOf(
                tuple(
                    Field(f.name, _typed(f.type, old_types.get(f.name, f.type))) for f in new_fields
                )
            )
    return incoming


def _check_typed(type_: Type, path: Path, table: str) -> None:
    for inner, _, found in walk(path, 0, type_):
        if found == UNTYPED:
            raise Invalid(
                "schema-column-untyped",
                f"Column {'.'.join(inner)!r} for table {table!r} has no type: every value is NULL.",
                hint="Cast it to the type it is meant to have, as in cast(NULL as varchar).",
                table=table,
                column=".".join(inner),
            )


def _levels(columns: Sequence[Column]) -> list[tuple[str, list[str]]]:
    """Give the names that stand beside each other: the columns, then each struct's fields."""
    levels = [("", [column.name for column in columns])]
    levels += (
        (path_text(path), [field.name for field in type_.fields])
        for path, _, type_ in fields(columns)
        if isinstance(type_, StructOf)
    )
    return levels


def _clash(table: str, one: str, other: str) -> Invalid:
    same = one == other
    return Invalid(
        "schema-names-clash",
        f"Table {table!r} cannot have two columns named {one!r}."
        if same
        else f"Columns {one!r} and {other!r} of table {table!r} differ only in case.",
        hint="Rename one of them; SQL takes both names for one.",
        table=table,
        columns=[one, other],
    )
