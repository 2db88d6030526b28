"""Sinks as the user declares them: which published tables go where. Declaring does no I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

from headgate.errors import Invalid
from headgate.names import step_name
from headgate.pipelines import places
from headgate.pipelines.declared_steps import declaration_of, names
from headgate.pipelines.places import Place

SinkMode: TypeAlias = Literal["insert", "upsert", "replace"]
Changes: TypeAlias = Literal["refuse", "follow"]

Tables: TypeAlias = "str | Sequence[object] | Mapping[object, str]"
"""Tables, or the steps that make them; as a mapping, with their names at the destination."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkTable:
    """A table of a sink: what it is called over there, and how its rows get there.

    Without ``mode`` and ``key`` what the lake knows of the table's key decides.
    """

    table: str
    to: str
    mode: SinkMode | None = None
    key: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredSink:
    """A sink of the project: its kind (an entry point's name) with its options, and its tables.

    ``branch`` None is the project's target.
    """

    name: str
    kind: str
    options: Mapping[str, object]
    tables: tuple[SinkTable, ...]
    changes: Changes = "refuse"
    branch: str | None = None
    place: Place | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SinkDeclaration:
    """A sink as the user wrote it, before it and its steps have names."""

    place: Place
    module: str
    kind: str
    tables: Mapping[object, str | None]
    name: str | None = None
    mode: SinkMode | Mapping[str, SinkMode] | None = None
    key: tuple[str, ...] | Mapping[str, tuple[str, ...]] = ()
    changes: Changes = "refuse"
    branch: str | None = None
    options: Mapping[str, object] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<{self.name or 'a sink'} declared at {self.place}>"


def sink(
    kind: str,
    *,
    tables: Tables,
    mode: SinkMode | Mapping[str, SinkMode] | None = None,
    key: str | Sequence[str] | Mapping[str, str | Sequence[str]] = (),
    changes: Changes = "refuse",
    branch: str | None = None,
    name: str | None = None,
    **options: object,
) -> SinkDeclaration:
    """Declare where published tables are delivered: each commit once, in order.

    ``warehouse = hg.sink("postgresql", connection="warehouse", tables={"delays": "dwh.delays"})``

    Args:
        kind: an entry point of the group ``headgate.sinks``: ``postgresql``, ``mysql``,
            ``sqlite``, ``duckdb``, ``sqlalchemy``, ...
        tables: names of tables, or the steps that make them; a mapping says what they are called
            over there.
        mode: ``insert`` adds rows and stops where rows were changed; ``upsert`` changes rows by
            key and leaves others alone; ``replace`` makes the table equal. Left out, ``upsert``
            where the rows have a key, else ``replace``. By table: ``{"delays": "insert"}``.
        key: the columns rows are known by over there; the table's own where it is left out.
        changes: what to do where a column left, was renamed or has another type, or the table was
            dropped: ``refuse`` stops, ``follow`` makes the table over there anew, or drops it.
        branch: the branch whose commits are delivered; the project's target if left out.
        name: the sink's name, where it is not the module attribute's.
        options: the sink's own: an address, a path, ``connection="name"``.

    Raises:
        Invalid: ``sink-without-tables``, ``sink-mode``, ``bad-step-name``.
    """
    if name is not None:
        step_name(name)
    frame = places.caller()
    declaration = SinkDeclaration(
        place=places.of_frame(frame),
        module=str(frame.f_globals.get("__name__", "")),
        kind=kind,
        tables=_tables(tables),
        name=name,
        mode=mode,
        key=(
            {table: names(each) for table, each in key.items()}
            if isinstance(key, Mapping)
            else names(key)
        ),
        changes=changes,
        branch=branch,
        options=options,
    )
    _check(declaration)
    places.note(frame, declaration)
    return declaration


def _tables(given: Tables) -> Mapping[object, str | None]:
    if isinstance(given, Mapping):
        return dict(given)
    if isinstance(given, str) or not isinstance(given, Sequence):
        given = (given,)
    return dict.fromkeys(given)


def _check(declaration: SinkDeclaration) -> None:
    if not declaration.tables:
        raise Invalid(
            "sink-without-tables",
            f"The sink at {declaration.place} names no table.",
            hint='Write tables=["delays"], or tables={"delays": "public.delays"}.',
        )
    given = declaration.mode
    modes = given.values() if isinstance(given, Mapping) else () if given is None else (given,)
    for mode in modes:
        if mode not in get_args(SinkMode):
            raise Invalid(
                "sink-mode",
                f"{mode!r} is no way to deliver a table.",
                hint=f"Use one of {', '.join(get_args(SinkMode))}.",
                mode=mode,
            )
    if declaration.changes not in get_args(Changes):
        raise Invalid(
            "sink-mode",
            f"{declaration.changes!r} is no way to meet a changed table.",
            hint=f"Use one of {', '.join(get_args(Changes))}.",
            mode=declaration.changes,
        )


def declared_sink(
    name: str, declaration: SinkDeclaration, table_of: Mapping[int, str], place: Place
) -> DeclaredSink:
    """Give a sink its name and its tables theirs.

    ``table_of`` knows the tables of declared steps, by their declarations' ``id``.

    Raises:
        Invalid: ``sink-table``: not a table's name, nor a step that makes one; or named twice.
    """
    step_name(name)
    found: dict[str, SinkTable] = {}
    for thing, to in declaration.tables.items():
        table = thing if isinstance(thing, str) else table_of.get(id(declaration_of(thing)))
        if table is None or table in found:
            twice = f"{table} twice" if table else f"{thing!r}, which is no table"
            raise Invalid(
                "sink-table",
                f"The sink {name} ({place}) names {twice}.",
                hint="Name tables, or steps that make one.",
                sink=name,
            )
        mode, key = declaration.mode, declaration.key
        found[table] = SinkTable(
            table=table,
            to=to or table,
            mode=mode.get(table) if isinstance(mode, Mapping) else mode,
            key=key.get(table, ()) if isinstance(key, Mapping) else key,
        )
    named = [each.to for each in found.values()]
    if doubled := [to for to in named if named.count(to) > 1]:
        raise Invalid(
            "sink-table",
            f"The sink {name} ({place}) delivers two tables to {doubled[0]}.",
            hint="Give each a name of its own over there.",
            sink=name,
        )
    for what, given in (("mode", declaration.mode), ("key", declaration.key)):
        strange = set(given) - set(found) if isinstance(given, Mapping) else ()
        if strange:
            raise Invalid(
                "sink-table",
                f"The sink {name} ({place}) has a {what} for {', '.join(sorted(strange))},"
                " which is none of its tables.",
                hint=f"Its tables are {', '.join(found)}.",
                sink=name,
            )
    return DeclaredSink(
        name=name,
        kind=declaration.kind,
        options=declaration.options,
        tables=tuple(found.values()),
        changes=declaration.changes,
        branch=declaration.branch,
        place=place,
    )
