"""Tables, operations and losses in words, for counterexamples."""

from headgate.lake.operations import AddColumn, Append, Delete, Operation, Put, Replace, Upsert
from headgate.lake.serialization import Edge
from headgate.testing.abstract_lake import NULL, Shelf, Table


def shown(value: object) -> str:
    """Give an observation in words."""
    if isinstance(value, Table):
        names = " ".join(f"+{name}:{kind}" for name, kind, _ in value.columns)
        return f"{names}{' ' if names else ''}{shown(value.rows)}"
    if isinstance(value, tuple):
        return "[" + ", ".join(_shown_row(row) for row in value) + "]"
    return "absent" if value is None else str(value)


def _shown_row(row: object) -> str:
    if not isinstance(row, tuple):
        return str(row)
    key, value, note, extras = row
    more = "" if note == NULL else f" note={note}"
    return f"{key}:{value}{more}" + "".join(f" #{id}={x}" for id, x in extras)


def described(operation: Operation, shelf: Shelf) -> str:
    """Give an operation in words."""
    match operation:
        case Append() | Replace():
            return f"{type(operation).__name__.lower()} {shown(shelf.of(operation))}"
        case Upsert(columns=columns):
            what = "upsert" if columns is None else f"upsert of {', '.join(columns)}"
            return f"{what} {shown(shelf.of(operation))}"
        case Delete(predicate=predicate):
            return f"delete {predicate or shown(shelf.of(operation))}"
        case AddColumn(column=column):
            return f"add column {column.name}:{column.type}"
        case Put(content=content):
            return f"put {content}"
        case _:
            return type(operation).__name__.lower()


def described_loss(because: Edge | str) -> str:
    """Give an edge of the graph, or a cell's reason, in words."""
    if isinstance(because, str):
        return because
    before, after = because.before or "it", because.after or "it"
    return f"{before} before {after} ({because.why} of {because.key})"
