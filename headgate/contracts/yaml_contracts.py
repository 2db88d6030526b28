"""Contracts in YAML: the words of annotated classes, as keys.

::

    contract: Order                 # the file's name, unless it says otherwise
    description: What an order must be.
    undeclared: drop                # keep, refuse, drop
    severity: fail                  # of every rule without its own
    columns:
      order_id: long
      discount: decimal(4, 2) | null
      amount:
        type: double
        column: Amount (EUR)        # the name where it comes from
        between: {low: 0, high: 850, severity: quarantine}
    rules:
      - unique: {columns: [order_id], keep: last, order_by: placed_on}
      - rows: {at_least: 10}

Every rule is a key with its argument, or with a mapping of its arguments by name.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from headgate.contracts import checks, rules, validity
from headgate.contracts.building import column_checks, column_of, table_checks
from headgate.contracts.checks import Check
from headgate.contracts.rules import Alias, Rule, Strictness
from headgate.contracts.specs import ColumnSpec, ContractSpec
from headgate.contracts.types import INSTANTS, Annotation, ColumnType, parse_type
from headgate.contracts.validity import comparable
from headgate.contracts.yaml_nodes import Value, read_yaml, wrong
from headgate.errors import Invalid
from headgate.names import suggestion
from headgate.verdicts import Severity


@dataclass(frozen=True, slots=True)
class Word:
    """A rule as a key: what makes it, and which argument it has where it is given bare.

    ``listed`` arguments take a list, or one value; ``pair`` names the two arguments of a list.
    """

    make: Callable[..., Rule]
    bare: str | None = None
    pair: tuple[str, str] | None = None
    listed: tuple[str, ...] = ()
    spread: str | None = None

    @property
    def arguments(self) -> tuple[str, ...]:
        """The names of its arguments."""
        names = [n for n in inspect.signature(self.make).parameters if n != "name"]
        return (*names, "name")


COLUMN_WORDS: Mapping[str, Word] = {
    "between": Word(rules.between, pair=("low", "high")),
    "one_of": Word(rules.one_of, bare="values", listed=("values",), spread="values"),
    "pattern": Word(rules.pattern, bare="regex"),
    "length": Word(rules.length, pair=("at_least", "at_most")),
    "references": Word(rules.references, bare="targets", listed=("targets",), spread="targets"),
    "unique": Word(rules.unique, listed=("columns", "order_by"), spread="columns"),
    "expression": Word(rules.expression, bare="sql"),
}
TABLE_WORDS: Mapping[str, Word] = {
    "unique": Word(rules.unique, bare="columns", listed=("columns", "order_by"), spread="columns"),
    "references": Word(
        rules.references, bare="targets", listed=("targets", "columns"), spread="targets"
    ),
    "expression": Word(rules.expression, bare="sql"),
    "rows": Word(rules.rows, pair=("at_least", "at_most")),
    "completeness": Word(rules.completeness),
    "freshness": Word(rules.freshness),
}
COLUMN_KEYS = ("type", "column", "description", "not_null")
CONTRACT_KEYS = ("contract", "description", "undeclared", "severity", "columns", "rules")
SEVERITIES = tuple(severity.value for severity in Severity)
UNDECLARED = ("keep", "refuse", "drop")


def read_contract(text: str, *, name: str, file: str) -> ContractSpec:
    """Read a contract.

    Args:
        text: the document.
        name: the contract's name where it says none.
        file: what the file is called in errors.

    Raises:
        Invalid: ``contract-yaml``, or what a rule raises; always with file and line.
    """
    return _Reader(file).contract(read_yaml(text, file=file), name)


class _Reader:
    """One file on its way to a contract."""

    def __init__(self, file: str) -> None:
        self._file = file

    def contract(self, document: Value, name: str) -> ContractSpec:
        """Read the whole document."""
        keys = self._mapping(document, "a contract", CONTRACT_KEYS)
        if "columns" not in keys:
            raise self._wrong(document, "the contract has no columns:.")
        default = Severity(self._choice(keys.get("severity"), "severity", SEVERITIES) or "fail")
        columns: list[ColumnSpec] = []
        found: list[tuple[Value, Check]] = []
        listed = keys["columns"].value
        if not isinstance(listed, Mapping) or not listed:
            raise self._wrong(keys["columns"], "columns: holds names, each with its type.")
        for column, value in listed.items():
            with self._at(value, column):
                read, description = self._column(column, value)
                columns.append(column_of(column, read, description=description))
                found += self._placed(value, column_checks(column, read, default))
        if "rules" in keys:
            for value in self._list(keys["rules"], "rules:"):
                with self._at(value, "rules"):
                    found += self._placed(value, table_checks((self._table_rule(value),), default))
        kinds = {column.name: column.kind for column in columns}
        for value, check in found:
            with self._at(value, ""):
                _validate(check, kinds)
        undeclared = self._choice(keys.get("undeclared"), "undeclared", UNDECLARED) or "keep"
        with self._at(document, ""):
            return ContractSpec(
                name=self._text(keys.get("contract"), "contract") or name,
                columns=tuple(columns),
                checks=tuple(check for _, check in found),
                undeclared=undeclared,  # type: ignore[arg-type]
                description=self._text(keys.get("description"), "description"),
            )

    # -- columns

    def _column(self, name: str, value: Value) -> tuple[Annotation, str | None]:
        if isinstance(value.value, str):
            kind, nullable = self._type(value)
            return Annotation(type=kind, nullable=nullable), None
        keys = self._mapping(value, f"the column {name}", (*COLUMN_KEYS, *COLUMN_WORDS))
        if "type" not in keys:
            raise self._wrong(value, f"the column {name} has no type:.")
        kind, nullable = self._type(keys["type"])
        markers: list[object] = []
        for key, given in keys.items():
            with self._at(given, name):
                if key == "column":
                    markers.append(Alias(self._text(given, key) or ""))
                elif key == "not_null":
                    chosen = self._choice(given, key, SEVERITIES)
                    markers.append(Strictness(Severity(chosen or "fail")))
                elif key in COLUMN_WORDS:
                    markers += self._column_rules(key, given, kind)
        read = Annotation(type=kind, nullable=nullable, markers=tuple(markers))
        return read, self._text(keys.get("description"), "description")

    def _column_rules(self, key: str, given: Value, kind: ColumnType) -> Iterator[Rule]:
        """Give a key's rules: a list of mappings is several of them."""
        listed = given.value if isinstance(given.value, tuple) else ()
        if listed and all(isinstance(each.value, Mapping) for each in listed):
            for each in listed:
                yield _as_stored(self._rule(key, COLUMN_WORDS[key], each), kind)
        elif key == "unique" and given.value is True:
            yield rules.unique()
        else:
            yield _as_stored(self._rule(key, COLUMN_WORDS[key], given), kind)

    def _type(self, value: Value) -> tuple[ColumnType, bool]:
        text = self._text(value, "type") or ""
        base, _, rest = text.rpartition("|")
        nullable = rest.strip() in {"null", "None"} and bool(base)
        with self._at(value, ""):
            return parse_type(base if nullable else text), nullable

    # -- rules

    def _table_rule(self, value: Value) -> Rule:
        keys = self._mapping(value, "a rule", tuple(TABLE_WORDS))
        if len(keys) != 1:
            raise self._wrong(
                value,
                f"a rule is one of {', '.join(TABLE_WORDS)}; here are {len(keys)} keys.",
                "Begin each rule with a dash; severity: and name: go inside of it.",
            )
        ((word, given),) = keys.items()
        return self._rule(word, TABLE_WORDS[word], given)

    def _rule(self, key: str, word: Word, given: Value) -> Rule:
        """Make one rule of what its key was given."""
        if isinstance(given.value, Mapping):
            named = self._mapping(given, key, word.arguments)
            arguments = {name: each.plain for name, each in named.items()}
        elif word.pair is not None and isinstance(given.value, tuple):
            if len(given.value) != len(word.pair):
                raise self._wrong(given, f"{key}: takes [{', '.join(word.pair)}].")
            arguments = dict(zip(word.pair, (each.plain for each in given.value), strict=True))
        elif word.bare is not None and given.value is not None:
            arguments = {word.bare: given.plain}
        else:
            raise self._wrong(given, f"{key}: takes a mapping of {', '.join(word.arguments)}.")
        for name in word.listed:
            if name in arguments and not isinstance(arguments[name], list):
                arguments[name] = [arguments[name]]
        self._check_kinds(key, given, arguments)
        spread = arguments.pop(word.spread, []) if word.spread else []
        if word.make is rules.between:
            arguments = {"low": None, "high": None, **arguments}
        try:
            return word.make(*_listed(spread), **arguments)
        except TypeError as error:
            raise self._wrong(given, f"{key}: {_missing(error)}.") from error

    def _check_kinds(self, key: str, given: Value, arguments: Mapping[str, object]) -> None:
        for name, value in arguments.items():
            texts = {"regex", "sql", "name", "severity", "keep", "column", "max_age"}
            if name in texts and not isinstance(value, str):
                raise self._wrong(given, f"{key}: {name} is a text, not {value!r}.", _QUOTE)
            if name in {"targets", "columns", "order_by"} and not all(
                isinstance(each, str) for each in _listed(value)
            ):
                raise self._wrong(given, f"{key}: {name} holds texts.", _QUOTE)
            if name in {"low", "high", "values"} and any(
                isinstance(each, Mapping | list) for each in _listed(value)
            ):
                raise self._wrong(given, f"{key}: {name} holds values, not lists or mappings.")

    # -- parts

    def _placed(self, value: Value, found: Iterator[Check]) -> list[tuple[Value, Check]]:
        return [(value, check) for check in found]

    def _mapping(self, value: Value, what: str, known: Sequence[str]) -> Mapping[str, Value]:
        if not isinstance(value.value, Mapping):
            raise self._wrong(value, f"{what} is a mapping of {', '.join(known)}.")
        for key in value.value:
            if key not in known:
                close = suggestion(key, known)
                raise wrong(
                    self._file,
                    value.keys[key],
                    f"{what} has no key {key!r}.",
                    f"Did you mean {close}?" if close else f"Keys: {', '.join(known)}.",
                )
        return value.value

    def _list(self, value: Value, what: str) -> tuple[Value, ...]:
        if not isinstance(value.value, tuple):
            raise self._wrong(value, f"{what} is a list.")
        return value.value

    def _text(self, value: Value | None, what: str) -> str | None:
        if value is None:
            return None
        if not isinstance(value.value, str) or not value.value:
            raise self._wrong(value, f"{what}: is a text, not {value.plain!r}.", _QUOTE)
        return value.value

    def _choice(self, value: Value | None, what: str, known: Sequence[str]) -> str | None:
        text = self._text(value, what)
        if value is not None and text not in known:
            raise self._wrong(value, f"{what}: {text!r} is not one of {', '.join(known)}.")
        return text

    def _wrong(self, value: Value, message: str, hint: str | None = None) -> Invalid:
        return wrong(self._file, value.line, message, hint)

    def _at(self, value: Value, what: str) -> "_Placing":
        return _Placing(self._file, value.line, what)


_QUOTE = "Put quotes around it if it is meant as a text."


class _Placing:
    """Put file and line in front of what goes wrong inside, unless it has them already."""

    def __init__(self, file: str, line: int, what: str) -> None:
        self._file, self._line, self._what = file, line, what

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, Invalid) and "line" not in error.facts:
            what = f"{self._what}: " if self._what else ""
            error.message = f"{self._file}:{self._line}: {what}{error.message}"
            error.facts = {**error.facts, "file": self._file, "line": self._line}


def _validate(check: Check, kinds: Mapping[str, ColumnType]) -> None:
    """Refuse what the contract would refuse, while the line is known."""
    for column in check.reads:
        if column not in kinds:
            close = suggestion(column, kinds)
            raise Invalid(
                "contract-unknown-column",
                f"the check {check.name!r} reads {column!r}, no column of the contract.",
                hint=f"Did you mean {close}?" if close else f"Columns: {', '.join(kinds)}.",
            )
    if problem := validity.problem(check, kinds):
        raise Invalid("contract-rule", f"{check.name!r}: {problem}")


def _as_stored(rule: Rule, kind: ColumnType) -> Rule:
    """Give a rule its instants as classes store them, however they were written."""
    check = rule.check
    if kind not in INSTANTS:
        return rule
    if isinstance(check, checks.Between):
        check = msgspec.structs.replace(
            check, low=_instant(check.low, kind), high=_instant(check.high, kind)
        )
    elif isinstance(check, checks.OneOf):
        values = (_instant(value, kind) for value in check.values)
        check = msgspec.structs.replace(check, values=tuple(v for v in values if v is not None))
    return Rule(check, rule.severity)


def _instant(value: checks.Scalar | None, kind: ColumnType) -> checks.Scalar | None:
    if value is None:
        return None
    try:
        found = comparable(kind, value)
    except ValueError:
        return value  # refused with its reason where the contract is built
    return found.isoformat(sep=" ") if isinstance(found, datetime) else value


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _missing(error: TypeError) -> str:
    """Say of a call which argument is not there."""
    text = str(error)
    _, _, names = text.partition("argument")
    return f"it needs {names.partition(':')[2].strip() or text}"
