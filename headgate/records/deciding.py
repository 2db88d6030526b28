"""Decisions: which columns records become, given what was found, what is there and the policy.

A column whose type is given (by the contract, by the table) keeps it; any other takes the narrowest
type in which every value is written. What a given type cannot hold is a conflict, and
``on_conflict`` says what becomes of it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final

import pyarrow as pa

from headgate.errors import Invalid
from headgate.names import literal
from headgate.records.drafting import Answers, Cast, Draft, sql_name
from headgate.records.drift import differences, grown, shown
from headgate.records.guarding import UNTAGGED_JSON
from headgate.records.naming import are_fields, column_names
from headgate.records.nodes import (
    LIST,
    Carrier,
    Node,
    Path,
    asked,
    failing,
    failures,
    narrowed,
    structure,
    value,
)
from headgate.records.rules import RecordRules
from headgate.records.shapes import NOTHING, Shape
from headgate.type_words import type_words

RECORD: Final = "_hg_record"
CARRIED: Final = "_hg_carried"
"""The column of what the engine read of a record in one pass."""

_VARIANTS: Final = ("__text", "__json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """The records of one table, and what is known of it beforehand.

    ``present`` are the table's columns, None where it is not there. ``declared`` are the types a
    contract gives, by key. With ``replaces`` the table takes what the records make of it; with
    ``sets_all`` a row takes the place of another, and has NULL for what its record lacks.
    ``taken`` are columns of it that come from no key. ``tagged``: some of the records have numbers
    kept as texts.
    """

    table: str
    shape: Shape
    rules: RecordRules
    cast: Cast
    present: pa.Schema | None = None
    declared: pa.Schema | None = None
    replaces: bool = False
    sets_all: bool = False
    taken: tuple[str, ...] = ()
    tagged: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """Values that a column cannot hold: where, of which type it is, how many records have one.

    ``undeclared`` are fields that the values have and the type has not.
    """

    path: Path
    kind: str
    records: int
    undeclared: tuple[str, ...] = ()

    def __str__(self) -> str:
        values = "a value" if self.records == 1 else f"values in {self.records:,} records"
        why = f": {', '.join(self.undeclared)} is no field of it" if self.undeclared else ""
        return f"{shown(self.path)} is {self.kind}, and {values} cannot be written so{why}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnPlan:
    """A column: its name, its type, and SQL for its value over a record and what was carried.

    ``key`` is that of what was carried, None where it is no record's.
    """

    name: str
    kind: pa.DataType
    sql: str
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordPlan:
    """What becomes of the records of one table.

    ``carried`` is what is carried. ``aside`` names columns with SQL that is true for records which
    go to quarantine for a value in them. ``drifts`` says what differs from the table.
    """

    carried: Mapping[str, Carrier]
    columns: tuple[ColumnPlan, ...]
    aside: tuple[tuple[str, str], ...] = ()
    drifts: tuple[str, ...] = ()

    @property
    def carrier(self) -> str:
        """SQL of what is carried of a record."""
        return carrier(self.carried)

    def of(self, names: Collection[str]) -> "RecordPlan":
        """Give the plan of some of the columns."""
        columns = tuple(each for each in self.columns if each.name in names)
        keys = {each.key for each in columns}
        carried = {key: one for key, one in self.carried.items() if key in keys}
        return RecordPlan(carried=carried, columns=columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Questions:
    """What must be counted before columns can be decided: SQL that is true where it fails.

    It is SQL over what is carried of a record for the questions that are asked.
    """

    asked: Mapping[tuple[Path, str], str]
    carried: Mapping[str, Carrier]

    def carried_for(self, names: Collection[tuple[Path, str]]) -> Mapping[str, Carrier]:
        """Give what must be carried for some of the questions."""
        return narrowed(self.carried, [path for path, _ in names])


def questions(level: Level) -> Questions:
    """Give what must be known before columns can be decided."""
    columns = _drafted(level, {}, is_final=False)
    carried = _carried(columns)
    found: dict[tuple[Path, str], str] = {}
    for column in columns:
        at = column.at(carried)
        found.update(asked(at, column.node, (column.key,)))
        found.update(
            ((path, "misfits"), sql) for path, sql in failures(at, column.node, (column.key,))
        )
    return Questions(asked=found, carried=carried)


def decide(level: Level, answers: Answers) -> RecordPlan:
    """Decide the columns; ``answers`` count the records that fail each question.

    Raises:
        Invalid: ``records-conflict``: values do not fit, and the policy is to change types only as
            far as nothing is lost. ``records-drifted``: anything changed, and the policy is to
            freeze. ``records-too-wide``, ``records-empty``.
    """
    if level.shape.is_map:
        raise Invalid(
            "records-too-wide",
            f"The records for {level.table} have so many different keys that they are data, not "
            "columns.",
            hint="Give the source a path to the records, or put the keys into a list.",
            table=level.table,
        )
    columns = _drafted(level, answers, is_final=True)
    conflicts = {column.key: found for column in columns if (found := _conflicts(column, answers))}
    policy = level.rules.on_conflict
    if policy == "freeze":
        _refuse_drift(level, columns, conflicts)
    elif policy == "evolve" and conflicts:
        columns = [
            _widened(level, column, answers) if column.key in conflicts else column
            for column in columns
        ]
        left = [c for column in columns for c in conflicts.get(column.key, ()) if column.is_given]
        if left:
            raise _refusal(level, left)
    carried = _carried(columns)
    plans: list[ColumnPlan] = []
    aside: list[tuple[str, str]] = []
    for column in columns:
        at = column.at(carried)
        read = value(at, column.node)
        failed = failing(at, column.node) if _may_fail(column, conflicts) else None
        if failed is not None and policy == "variant" and column.key in conflicts:
            read = f"case when not ({failed}) then {read} end"
            plans.append(_plan(column, read))
            plans.append(_variant(level, column, failed))
            continue
        if failed is not None:
            aside.append((column.name, failed))
        plans.append(_plan(column, read))
    if level.present is not None and (level.sets_all or not plans):
        plans += _absent(level.present, {plan.name for plan in plans}, every=level.sets_all)
    if not plans:
        raise Invalid(
            "records-empty",
            f"No record for {level.table} has a key with a value.",
            hint="Look at what the source gives; a contract says which columns there are.",
            table=level.table,
        )
    return RecordPlan(
        carried=carried,
        columns=tuple(plans),
        aside=tuple(aside),
        drifts=differences(level.present, {plan.name: plan.kind for plan in plans})
        if level.replaces
        else (),
    )


def _absent(present: pa.Schema, names: Collection[str], *, every: bool) -> list[ColumnPlan]:
    """Give NULL for columns that the records lack: for every one, or for one, to have a row."""
    lacking = [field for field in present if field.name not in names]
    return [
        ColumnPlan(name=field.name, kind=field.type, sql=f"cast(NULL as {sql_name(field.type)})")
        for field in lacking[: None if every else 1]
    ]


# -- columns


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    """A key, its column, and how its values are read. ``given`` is the type it has to keep."""

    key: str
    name: str
    shape: Shape
    node: Node
    given: pa.DataType | None = None
    is_declared: bool = False

    @property
    def is_given(self) -> bool:
        return self.given is not None

    def at(self, carried: Mapping[str, Carrier]) -> str:
        if self.node.carrier is None:
            return "NULL"
        if self.key in carried:
            return f"struct_extract({CARRIED}, {literal(self.key)})"
        return f"from_json({_extracted(self.key)}, {structure(self.node.carried)})"


def _drafted(level: Level, answers: Answers, *, is_final: bool) -> list[_Column]:
    draft = Draft(
        rules=level.rules, cast=level.cast, answers=answers, is_final=is_final, tagged=level.tagged
    )
    present = {} if level.present is None else {f.name: f.type for f in level.present}
    declared = _declared(level)
    keys = [*level.shape.fields]
    own = [key for key in keys if key in declared]
    names = column_names(keys, (*own, *present), level.taken)
    columns: list[_Column] = []
    for key in keys:
        shape = level.shape.fields[key]
        one = _column(draft, level, key, names[key], shape, declared.get(key), present)
        if one is not None:
            columns.append(one)
    found = {declared[key][0] for key in keys if key in declared}
    for source, kind in dict(declared.values()).items():
        if source not in found:
            node = Node(kind=kind, carrier=None, read=f"cast(NULL as {sql_name(kind)})")
            columns.append(
                _Column(key=source, name=source, shape=Shape(), node=node, is_declared=True)
            )
    return columns


def _declared(level: Level) -> dict[str, tuple[str, pa.DataType]]:
    """Give what is declared by the key that it is of: its exact name, else but for capitals."""
    if level.declared is None:
        return {}
    exact = {field.name: (field.name, field.type) for field in level.declared}
    folded = {field.name.casefold(): field for field in level.declared}
    for key in level.shape.fields:
        field = folded.get(key.casefold())
        if key not in exact and field is not None and field.name not in level.shape.fields:
            exact[key] = (field.name, field.type)
    return exact


def _column(
    draft: Draft,
    level: Level,
    key: str,
    name: str,
    shape: Shape,
    declared: tuple[str, pa.DataType] | None,
    present: Mapping[str, pa.DataType],
) -> _Column | None:
    path, policy = (key,), level.rules.on_conflict
    if declared is not None:
        kind = declared[1]
        nested = pa.types.is_nested(kind)
        if nested or policy != "evolve" or pa.types.is_string(kind):
            node = draft.kept(shape, kind, path, exact=nested)
        else:
            node = _for_contract(draft, shape, kind)
        return _Column(key=key, name=key, shape=shape, node=node, given=kind, is_declared=True)
    kind = present.get(name)
    if kind is not None and not (level.replaces and policy == "evolve"):
        node = draft.kept(shape, kind, path)
        return _Column(key=key, name=name, shape=shape, node=node, given=kind)
    natural = draft.natural(shape, path)
    if natural is None:
        if kind is None:
            return None
        natural = draft.kept(Shape(), kind, path)
    return _Column(key=key, name=name, shape=shape, node=natural)


def _for_contract(draft: Draft, shape: Shape, kind: pa.DataType) -> Node:
    """Give values as the contract's own cast takes them: typed where that is exact, else text."""
    if not shape.kinds:
        return draft.kept(shape, kind, ())
    if shape.kinds & {"object", "list"}:
        return draft.json_or_text(shape)
    whole = shape.kinds == {"integer"} and (pa.types.is_integer(kind) or pa.types.is_decimal(kind))
    if whole:
        return Node(kind=pa.int64(), carrier="BIGINT")
    if shape.kinds == {"number"} and pa.types.is_floating(kind):
        return Node(kind=pa.float64(), carrier="DOUBLE")
    if shape.kinds == {"boolean"} and pa.types.is_boolean(kind):
        return Node(kind=pa.bool_(), carrier="BOOLEAN")
    return Node(kind=pa.string(), read=draft.text_for(kind))


def _carried(columns: list[_Column]) -> Mapping[str, Carrier]:
    """Give what is read of a record in one pass, by key: those that one struct can have."""
    carried: dict[str, Carrier] = {}
    folded: set[str] = set()
    for column in columns:
        if column.node.carrier is None or column.key.casefold() in folded:
            continue
        if are_fields([column.key]):
            folded.add(column.key.casefold())
            carried[column.key] = column.node.carried
    return carried


def carrier(carried: Mapping[str, Carrier]) -> str:
    """Give SQL of what is carried of a record."""
    return f"from_json({RECORD}, {structure(dict(carried))})" if carried else "NULL"


def _extracted(key: str) -> str:
    pointer = "/" + key.replace("~", "~0").replace("/", "~1")
    return f"json_extract({RECORD}, {literal(pointer)})"


def _plan(column: _Column, sql: str) -> ColumnPlan:
    return ColumnPlan(name=column.name, kind=column.node.kind, sql=sql, key=column.key)


def _variant(level: Level, column: _Column, failed: str) -> ColumnPlan:
    """Give the column beside a column that has the values which do not fit, as they came."""
    found = _extracted(column.key)
    nests = column.shape.kinds & {"object", "list"} or pa.types.is_nested(column.node.kind)
    if nests:
        text = f"cast({found} as varchar)"
        text = UNTAGGED_JSON.replace("{0}", text) if level.tagged else text
    else:
        text = f"({found} ->> '$')"
        if level.tagged:
            text = f"ltrim({text}, chr(1))"
    suffix = "__json" if nests else "__text"
    sql = f"case when {failed} then {text} end"
    name = column.name + suffix
    return ColumnPlan(name=name, kind=pa.string(), sql=sql, key=column.key)


# -- conflicts


def _conflicts(column: _Column, answers: Answers) -> list[Conflict]:
    if column.given is None:
        return []
    found = failures("", column.node, (column.key,))
    return [
        Conflict(
            path=path,
            kind=type_words(kind) if kind is not None else "another type",
            records=count,
            undeclared=_undeclared(column, path),
        )
        for path, _ in found
        if (count := answers.get((path, "misfits"), 0))
        for kind in (_place(column, path)[0],)
    ]


def _place(column: _Column, path: Path) -> tuple[pa.DataType | None, Shape]:
    """Give the type that a column has at a place within it, and the shape of what came there."""
    kind, shape = column.given, column.shape
    for key in path[1:]:
        if key == LIST and kind is not None and pa.types.is_list(kind):
            kind, shape = kind.value_type, shape.element or NOTHING
        elif kind is not None and pa.types.is_struct(kind) and kind.get_field_index(key) >= 0:
            kind, shape = kind.field(key).type, shape.fields.get(key, NOTHING)
        else:
            return None, NOTHING
    return kind, shape


def _undeclared(column: _Column, path: Path) -> tuple[str, ...]:
    """Give the fields at a place of a declared column that its type does not have."""
    kind, shape = _place(column, path)
    if kind is None or not column.is_declared or not pa.types.is_struct(kind):
        return ()
    known = {field.name for field in kind}
    return tuple(
        shown((*path, key))
        for key, one in shape.fields.items()
        if key not in known and not one.holds_nothing
    )


def _may_fail(column: _Column, conflicts: Mapping[str, object]) -> bool:
    """Whether rows must be looked at: a given type did not fit, or a natural one has a check."""
    return column.key in conflicts or column.given is None


def _widened(level: Level, column: _Column, answers: Answers) -> _Column:
    """Give a column the wider type that its values need, where the lake can widen so."""
    if column.given is None or column.is_declared:
        return column
    draft = Draft(
        rules=level.rules, cast=level.cast, answers=answers, is_final=True, tagged=level.tagged
    )
    for kind in wider(column.given):
        node = draft.kept(column.shape, kind, (column.key,))
        if node.check is None and not node.fields and node.element is None:
            return replace(column, node=node, given=None)
    return column


def wider(kind: pa.DataType) -> tuple[pa.DataType, ...]:
    """Give the types that a column can be widened to where it is (Iceberg: schema evolution)."""
    if pa.types.is_int32(kind):
        return (pa.int64(),)
    if pa.types.is_float32(kind):
        return (pa.float64(),)
    return ()


def _refusal(level: Level, conflicts: list[Conflict]) -> Invalid:
    return Invalid(
        "records-conflict",
        f"Values do not fit {level.table}: {'; '.join(map(str, conflicts))}.",
        hint='Say what to do with them: on_conflict="variant" (a column beside it) or '
        '"quarantine"; or declare the type in a contract, or load the table anew with '
        'mode="replace".',
        table=level.table,
        columns=[shown(conflict.path) for conflict in conflicts],
    )


# -- drift


def _refuse_drift(
    level: Level, columns: list[_Column], conflicts: Mapping[str, list[Conflict]]
) -> None:
    """Refuse whatever differs from what is declared, or was there before.

    Raises:
        Invalid: ``records-drifted``.
    """
    declared = {} if level.declared is None else {f.name: f.type for f in level.declared}
    present = {} if level.present is None else {f.name: f.type for f in level.present}
    known = declared or present
    if not known or not level.shape.fields:
        return
    found = [str(conflict) for each in conflicts.values() for conflict in each]
    for column in columns:
        if column.given is None and not column.is_declared:
            found.append(f"{column.name} is new ({type_words(column.node.kind)})")
        elif column.given is not None and not column.is_declared:
            found += grown(column.given, column.node.kind, (column.name,))
    for name in known:
        if not any(column.name == name and column.shape.kinds for column in columns):
            keyed = next(
                (c for c in columns if c.name == name and c.key in level.shape.fields), None
            )
            if keyed is None and not name.endswith(_VARIANTS):
                found.append(f"{name} is gone")
    if found:
        raise Invalid(
            "records-drifted",
            f"The records for {level.table} have changed: {'; '.join(found)}.",
            hint="Change the contract or the table to what they are now, or choose another "
            "on_conflict=.",
            table=level.table,
            changes=found,
        )
