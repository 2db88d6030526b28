"""Drafts: what the values at each place could become, and what must be asked to know.

Without answers a draft is cautious (everything is carried as text or JSON) and says what to ask;
with them it is final.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import pyarrow as pa

from headgate.names import literal, quote
from headgate.records.guarding import UNTAGGED_JSON
from headgate.records.naming import are_fields
from headgate.records.nodes import LIST, Node, Path
from headgate.records.rules import RecordRules
from headgate.records.shapes import NOTHING, Shape
from headgate.records.texts import (
    HOLE,
    filled,
    instant,
    instant_text,
    is_day,
    is_instant,
    is_local,
    is_marked_number,
    is_token,
    number_text,
    ruled_text,
)

Cast: TypeAlias = Callable[[str, pa.DataType], str | None]
"""Gives SQL that reads a text strictly as a type, NULL where it is none; None: no text is."""

Answers: TypeAlias = Mapping[tuple[Path, str], int]
"""How many records fail what was asked of a place."""

_DEEPEST: Final = 24
_PLAIN: Final = {
    frozenset({"boolean"}): (pa.bool_(), "BOOLEAN"),
    frozenset({"integer"}): (pa.int64(), "BIGINT"),
    frozenset({"number"}): (pa.float64(), "DOUBLE"),
}
_WIDE: Final = pa.decimal128(38, 0)
_FITS_DOUBLE: Final = (
    f"case when regexp_full_match({HOLE}, '-?[0-9]+') "
    f"then abs(try_cast({HOLE} as hugeint)) <= 9007199254740992 else true end"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """Drafts nodes under rules. ``tagged``: some records have numbers kept as texts."""

    rules: RecordRules
    cast: Cast
    answers: Answers = field(default_factory=dict)
    is_final: bool = False
    tagged: bool = False

    # -- without a type to keep to

    def natural(self, shape: Shape, path: Path) -> Node | None:
        """Give the narrowest node in which every value is written; None where there is no value."""
        if shape.holds_nothing:
            return None
        if shape.kinds == {"object"} and not shape.is_map and len(path) < _DEEPEST:
            return self._struct(shape, path)
        if shape.kinds == {"list"} and len(path) < _DEEPEST:
            element = self.natural(shape.element or NOTHING, (*path, LIST))
            return None if element is None else Node(kind=pa.list_(element.kind), element=element)
        if shape.kinds & {"object", "list"}:
            return self.json()
        return self._scalar(shape.kinds, path)

    def _struct(self, shape: Shape, path: Path) -> Node:
        if not are_fields(shape.fields):
            return self.json()
        drafted = {key: self.natural(one, (*path, key)) for key, one in shape.fields.items()}
        fields = {key: node for key, node in drafted.items() if node is not None}
        return Node(kind=_struct_of(fields), fields=fields)

    def json(self) -> Node:
        """Give a node whose values are kept as JSON text."""
        text = f"cast({HOLE} as varchar)"
        read = UNTAGGED_JSON.replace("{0}", text) if self.tagged else text
        return Node(kind=pa.string(), carrier="JSON", read=read)

    def _scalar(self, kinds: frozenset[str], path: Path) -> Node:
        tokens = bool(self.rules.null_tokens) and "text" in kinds and len(kinds) > 1
        if tokens and not self.is_final:
            texts = f"json_type({HOLE}) <> 'VARCHAR' or " + filled(
                is_token(self.rules), f"({HOLE} ->> '$')"
            )
            number = filled(_FITS_DOUBLE, f"({HOLE} ->> '$')")
            exact = f"json_type({HOLE}) = 'VARCHAR' or ({number})"
            asks = {"tokens": texts, "double": exact}
            return Node(kind=pa.string(), carrier="JSON", asks=asks)
        if tokens and self._holds(path, "tokens"):
            kinds -= {"text"}
        elif not tokens and (plain := _PLAIN.get(kinds)) is not None:
            return Node(kind=plain[0], carrier=plain[1])
        if kinds == {"text"}:
            return self._text(path)
        return self._number(kinds, path, through_text=tokens)

    def _number(self, kinds: frozenset[str], path: Path, *, through_text: bool) -> Node:
        text = ruled_text(self.rules, tagged=self.tagged)
        asks = {}
        if kinds == {"integer", "number"}:
            asks = {"double": filled(_FITS_DOUBLE, text)}
            if self._holds(path, "double"):
                if not through_text:
                    return Node(kind=pa.float64(), carrier="DOUBLE")
                return Node(kind=pa.float64(), read=f"cast({text} as double)")
        plain = _PLAIN.get(kinds)
        if plain is not None and self.is_final:
            return Node(kind=plain[0], read=f"cast({text} as {plain[1]})")
        if kinds <= {"integer", "big"} and "big" in kinds:
            return Node(kind=_WIDE, read=f"cast({text} as decimal(38, 0))")
        return Node(kind=pa.string(), read=text, asks=asks)

    def _text(self, path: Path) -> Node:
        text = ruled_text(self.rules, tagged=self.tagged)
        zoned = self.rules.time_zone is not None
        at = f"({is_instant(text)} or {is_local(text)})" if zoned else is_instant(text)
        asks = {"instant": at, "day": is_day(text)}
        if not zoned:
            asks["local"] = is_local(text)
        if self.rules.decimal_mark != ".":
            asks["number"] = is_marked_number(text)
        if self.rules.null_tokens:
            asks = {what: f"({text}) is null or {asked}" for what, asked in asks.items()}
        if self._holds(path, "instant"):
            read = instant(text, self.rules)
            check = f"{text} is null or ({read}) is not null" if zoned else None
            return Node(kind=pa.timestamp("us", tz="UTC"), read=read, check=check)
        if self._holds(path, "day"):
            return Node(kind=pa.date32(), read=f"cast({text} as date)")
        if self._holds(path, "local"):
            return Node(kind=pa.timestamp("us"), read=f"cast({text} as timestamp)")
        if self._holds(path, "number"):
            return Node(kind=pa.float64(), read=f"cast({number_text(text, self.rules)} as double)")
        return Node(kind=pa.string(), read=text, asks=asks)

    def _holds(self, path: Path, what: str) -> bool:
        return self.answers.get((path, what)) == 0

    # -- with a type to keep to

    def kept(  # noqa: PLR0911 - a table of types
        self, shape: Shape, kind: pa.DataType, path: Path, *, exact: bool = False
    ) -> Node:
        """Give the node of a type that is given; checks where the values might not fit it.

        Structs grow by keys that the type lacks, unless it is to be kept ``exact``.
        """
        no_field = pa.types.is_struct(kind) and not shape.fields and not shape.is_map
        if not shape.kinds or (no_field and shape.kinds == {"object"}):
            return Node(kind=kind, carrier=None, read=f"cast(NULL as {sql_name(kind)})")
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            if shape.kinds & {"object", "list"}:
                return self.json_or_text(shape)
            return Node(kind=kind, read=ruled_text(self.rules, tagged=self.tagged))
        if pa.types.is_struct(kind):
            return self._kept_struct(shape, kind, path, exact=exact)
        if pa.types.is_list(kind) or pa.types.is_large_list(kind):
            return self._kept_list(shape, kind, path, exact=exact)
        plain = _PLAIN.get(shape.kinds)
        if plain is not None and plain[0] == kind:
            return Node(kind=plain[0], carrier=plain[1])
        return self._kept_scalar(kind)

    def json_or_text(self, shape: Shape) -> Node:
        """Give texts as they are, other values as JSON text."""
        node = self.json()
        if "text" not in shape.kinds:
            return node
        text = filled(ruled_text(self.rules, tagged=self.tagged), f"({HOLE} ->> '$')")
        read = f"case when json_type({HOLE}) = 'VARCHAR' then {text} else {node.read} end"
        return Node(kind=pa.string(), carrier="JSON", read=read)

    def _kept_scalar(self, kind: pa.DataType) -> Node:
        text = self.text_for(kind)
        if self.rules.time_zone is not None and pa.types.is_timestamp(kind) and kind.tz is not None:
            plain = ruled_text(self.rules, tagged=self.tagged)
            read: str | None = instant(plain, self.rules)
            text = plain
        else:
            read = self.cast(text, kind)
        if read is None:
            return Node(kind=kind, read=f"cast(NULL as {sql_name(kind)})", check="false")
        check = f"({text}) is null or ({read}) is not null"
        if pa.types.is_floating(kind):
            check = f"({check}) and ({filled(_FITS_DOUBLE, text)})"
        return Node(kind=kind, read=read, check=check)

    def text_for(self, kind: pa.DataType) -> str:
        """Give a text as the rules say, ready to be read as a type."""
        return ruled_for(self.rules, kind, tagged=self.tagged)

    def _kept_struct(self, shape: Shape, kind: pa.DataType, path: Path, *, exact: bool) -> Node:
        known = {field.name: field.type for field in kind}
        fields: dict[str, Node] = {}
        for name, type_ in known.items():
            inner = shape.fields.get(name, NOTHING)
            if name in shape.fields or exact:
                fields[name] = self.kept(inner, type_, (*path, name), exact=exact)
        can_grow = not exact and are_fields({*known, *shape.fields})
        for key, inner in shape.fields.items() if can_grow else ():
            if key not in known and (node := self.natural(inner, (*path, key))) is not None:
                fields[key] = node
        mixed = shape.kinds != {"object"} or shape.is_map
        lost = [
            literal(key)
            for key, one in shape.fields.items()
            if exact and key not in known and not one.holds_nothing
        ]
        if not are_fields(known if exact else {*known, *shape.fields}) or not fields:
            return Node(
                kind=kind, carrier="JSON", read=f"cast(NULL as {sql_name(kind)})", check="false"
            )
        checks = [f"json_type({HOLE}) = 'OBJECT'"] if mixed or lost else []
        if lost:  # only records that hold such a key do not fit
            checks.append(f"not list_has_any(json_keys({HOLE}), [{', '.join(lost)}])")
        return Node(
            kind=_struct_of(fields),
            fields=fields,
            guard="OBJECT" if checks else None,
            check=" and ".join(checks) or None,
        )

    def _kept_list(self, shape: Shape, kind: pa.DataType, path: Path, *, exact: bool) -> Node:
        element = self.kept(shape.element or NOTHING, kind.value_type, (*path, LIST), exact=exact)
        if element.carrier is None:  # nothing is in any list
            element = Node(kind=kind.value_type, read=f"cast(NULL as {sql_name(kind.value_type)})")
        mixed = shape.kinds != {"list"}
        return Node(
            kind=pa.list_(element.kind),
            element=element,
            guard="ARRAY" if mixed else None,
            check=f"json_type({HOLE}) = 'ARRAY'" if mixed else None,
        )


def ruled_for(rules: RecordRules, kind: pa.DataType, *, tagged: bool = False) -> str:
    """Give a text as the rules say, ready to be read as a type: SQL over ``HOLE``."""
    text = ruled_text(rules, tagged=tagged)
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        return instant_text(text, rules)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return number_text(text, rules)
    return text


def text_rule(rules: RecordRules) -> Callable[[str, pa.DataType], str] | None:
    """Give how texts of columns are read, None where they are read as they are."""
    if not rules.changes_texts:
        return None
    return lambda text, kind: filled(ruled_for(rules, kind), text)


def _struct_of(fields: Mapping[str, Node]) -> pa.DataType:
    return pa.struct([pa.field(key, node.kind) for key, node in fields.items()])


def sql_name(kind: pa.DataType) -> str:  # noqa: PLR0911 - a table of types
    """Give a type of the lake's in the engine's words."""
    types = pa.types
    if types.is_struct(kind):
        return f"STRUCT({', '.join(f'{quote(f.name)} {sql_name(f.type)}' for f in kind)})"
    if types.is_map(kind):
        return f"MAP({sql_name(kind.key_type)}, {sql_name(kind.item_type)})"
    if types.is_list(kind) or types.is_large_list(kind):
        return f"{sql_name(kind.value_type)}[]"
    if types.is_decimal(kind):
        return f"DECIMAL({kind.precision}, {kind.scale})"
    if types.is_timestamp(kind):
        return "TIMESTAMPTZ" if kind.tz is not None else "TIMESTAMP"
    if types.is_integer(kind):
        return "BIGINT" if kind.bit_width == 64 else "INTEGER"  # noqa: PLR2004 - a long's bits
    if types.is_floating(kind):
        return "DOUBLE" if kind.bit_width == 64 else "FLOAT"  # noqa: PLR2004 - a double's bits
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        return "BLOB"
    if types.is_boolean(kind):
        return "BOOLEAN"
    if types.is_date(kind):
        return "DATE"
    if types.is_time(kind):
        return "TIME"
    return "UUID" if isinstance(kind, pa.BaseExtensionType) else "VARCHAR"
