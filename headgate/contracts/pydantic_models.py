"""Contracts from Pydantic models: types, constraints and enumerations become columns and checks.

Only what columns can do is taken. A validator is Python for one row at a time; it is refused by its
name rather than left out: a contract that checks less than its model says would let rows through.
"""

import datetime as dt
import decimal
import inspect
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import field as default
from types import UnionType
from typing import Annotated, TypeAlias, Union, get_args, get_origin

import annotated_types as constraints
import pydantic
from pydantic.fields import FieldInfo

from headgate.contracts import rules
from headgate.contracts.building import column_checks, column_of, table_checks
from headgate.contracts.checks import Check
from headgate.contracts.rules import Alias, Rule, Strictness, as_rules
from headgate.contracts.specs import ColumnSpec, ContractSpec, Undeclared
from headgate.contracts.types import (
    DATE,
    INSTANTS,
    LOCAL_TIMESTAMP,
    UTC_TIMESTAMP,
    Annotation,
    ColumnType,
    DecimalType,
    FloatType,
    IntType,
    ListType,
    StructType,
    read_annotation,
)
from headgate.errors import HeadgateError, Invalid
from headgate.names import quote
from headgate.verdicts import Severity

RULES = "contract_rules"
"""The class variable of a model that holds rules over several columns and over the table."""

_UNDECLARED: Mapping[str | None, Undeclared] = {
    None: "keep",
    "allow": "keep",
    "ignore": "drop",
    "forbid": "refuse",
}
_OUTSIDE = (
    "Say it as a condition over its path in contract_rules, hg.expression(\"address.city <> ''\"), "
    "and take it out here; a TypedDict may have rules at its fields."
)
_CHANGING = ("str_strip_whitespace", "str_to_lower", "str_to_upper")
_LIMITING = ("str_min_length", "str_max_length")
_DIRECTED = {pydantic.AwareDatetime: UTC_TIMESTAMP, pydantic.NaiveDatetime: LOCAL_TIMESTAMP}
_Limit: TypeAlias = int | float | decimal.Decimal | dt.date
_CONSTRAINTS: Mapping[type, str] = {
    constraints.Ge: "ge",
    constraints.Gt: "gt",
    constraints.Le: "le",
    constraints.Lt: "lt",
    constraints.MultipleOf: "multiple_of",
    constraints.MinLen: "min_length",
    constraints.MaxLen: "max_length",
}
_ELSEWHERE = (ColumnType, Rule, Strictness, Alias, pydantic.Strict)
"""What is read elsewhere, or holds anyhow: raw values are read strictly."""
_INSTANT, _DAY = dt.timedelta(microseconds=1), dt.timedelta(days=1)


def spec_of_model(model: type) -> ContractSpec:
    """Give the contract a Pydantic model is.

    ``Annotated`` may hold rules of contracts, too (``hg.references``, ``hg.unique``); those over
    several columns are the class variable ``contract_rules``.

    Raises:
        Invalid: ``contract-model``, naming what of the model columns cannot do, and the way out;
            or what building a contract raises.
    """
    if not issubclass(model, pydantic.BaseModel):
        raise Invalid(
            "contract-model",
            f"{model.__name__} is made by Pydantic and is no BaseModel.",
            hint="Derive it from pydantic.BaseModel, or write a class Order(hg.Contract).",
        )
    _refuse_validators(model)
    columns: list[ColumnSpec] = []
    found: list[Check] = []
    for name, field in model.model_fields.items():
        with _at(model, name):
            read = _field(model, name, field)
            columns.append(column_of(name, read, description=field.description))
            found += column_checks(name, read, Severity.FAIL)
    with _at(model, RULES):
        found += table_checks(as_rules(getattr(model, RULES, ())), Severity.FAIL)
    doc = model.__doc__ if model.__doc__ != pydantic.BaseModel.__doc__ else None
    return ContractSpec(
        name=model.__name__,
        columns=tuple(columns),
        checks=tuple(found),
        undeclared=_UNDECLARED[model.model_config.get("extra")],
        description=inspect.cleandoc(doc) if doc else None,
    )


def _refuse_validators(model: type[pydantic.BaseModel]) -> None:
    decorators = model.__pydantic_decorators__
    for kind in ("field_validators", "model_validators", "validators", "root_validators"):
        for name in getattr(decorators, kind):
            raise _refused(
                f"{model.__name__}: the validator {name} is Python for one row at a time; columns "
                "are not judged by it.",
                'Say it as a condition, Annotated[float, hg.expression("amount > fee")], or in a '
                "step before this one; then take the validator out of the contract's model.",
            )
    for setting in (*_CHANGING, *_LIMITING):
        if model.model_config.get(setting):
            does = "changes values" if setting in _CHANGING else "is a rule for all texts at once"
            raise _refused(
                f"{model.__name__}: model_config {setting} {does}; a contract judges each column "
                "as it is.",
                "Do it in a step, or say Field(min_length=, max_length=) where it is meant.",
            )


def _field(model: type[pydantic.BaseModel], name: str, info: FieldInfo) -> Annotation:
    """Read a field: its annotation, and the constraints beside it."""
    annotation: object = info.annotation
    metadata = list(info.metadata)
    nullable = False
    while True:
        inner = _optional(annotation)
        if inner is not None:
            nullable, annotation = True, inner
        elif get_origin(annotation) is Annotated:
            annotation, *more = get_args(annotation)
            metadata += more
        else:
            break
    kinds = [each for each in metadata if isinstance(each, ColumnType)]
    bounds = list(_spread(metadata))
    read = Annotation(type=kinds[0]) if kinds else _type(annotation, bounds, model)
    markers = (
        *(Alias(raw) for raw in _aliases(info)),
        *(each for each in metadata if isinstance(each, Rule | Strictness | Alias)),
        *_rules(name, read.type, bounds),
    )
    return replace(read, nullable=nullable, markers=markers)


def _optional(annotation: object) -> object | None:
    """Give what ``X | None`` is without None, or None where it is no such thing."""
    if get_origin(annotation) not in (Union, UnionType):
        return None
    members = [each for each in get_args(annotation) if each is not type(None)]
    if len(members) != 1 or len(members) == len(get_args(annotation)):
        raise _refused(f"{annotation} is several types.", "A column has one type, and may be NULL.")
    found: object = members[0]
    return found


def _spread(metadata: Sequence[object]) -> Iterator[tuple[str, object]]:
    """Give each constraint by its name; refuse what is none."""
    for each in metadata:
        word = _CONSTRAINTS.get(type(each))
        if isinstance(each, _ELSEWHERE):
            continue
        if isinstance(each, constraints.GroupedMetadata):
            yield from _spread(list(each))
        elif isinstance(each, FieldInfo):
            yield from _spread(each.metadata)
        elif word is not None:
            yield word, getattr(each, word)
        elif type(each).__name__.lstrip("_") in {"PydanticGeneralMetadata", "AllowInfNan"}:
            yield from ((n, v) for n, v in vars(each).items() if v is not None and n != "strict")
        else:
            raise _unknown(each)


def _unknown(each: object) -> Invalid:
    function = getattr(each, "func", None)
    name = getattr(function, "__qualname__", None) or getattr(each, "__name__", None) or repr(each)
    return _refused(
        f"{name} cannot be judged in columns."
        if function is None
        else f"the validator {name} is Python for one row at a time; columns are not judged by it.",
        'Say it as a condition, hg.expression("..."), or in a step before this one.',
    )


def _type(
    annotation: object, bounds: list[tuple[str, object]], model: type[pydantic.BaseModel]
) -> Annotation:
    """Give a column's type and, for a Literal or an Enum, its values; of a TypedDict, its rules."""
    if annotation in _DIRECTED:
        return Annotation(type=_DIRECTED[annotation])
    if annotation is decimal.Decimal:
        said = dict(bounds)
        digits, places = said.get("max_digits"), said.get("decimal_places")
        if not isinstance(digits, int) or not isinstance(places, int):
            raise _refused(
                "a Decimal needs both max_digits and decimal_places.",
                "Say Field(max_digits=9, decimal_places=2), or hg.Decimal(9, 2).",
            )
        return Annotation(type=DecimalType(digits, places))
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        return Annotation(type=_struct(annotation, (model,)))
    if get_origin(annotation) is list and get_args(annotation):
        return Annotation(type=ListType(_inner(get_args(annotation)[0], (model,))))
    try:
        return read_annotation(annotation)
    except Invalid as error:
        raise _refused(error.message.rstrip("."), error.hint or "") from error


def _struct(model: type[pydantic.BaseModel], within: tuple[type, ...]) -> StructType:
    """Give a nested model as a struct; a check inside of it would be judged by nobody."""
    if model in within:
        raise _refused(f"{model.__name__} holds itself.", "A column's depth is fixed.")
    _refuse_validators(model)
    return StructType(
        tuple(
            (name, _plain(f"{model.__name__}.{name}", field, (*within, model)))
            for name, field in model.model_fields.items()
        )
    )


def _plain(name: str, field: FieldInfo, within: tuple[type, ...]) -> ColumnType:
    if list(_aliases(field)):
        raise _refused(f"{name} has an alias inside of a struct.", "Rename it in a step.")
    return _inner(field.annotation, within, name=name, beside=field.metadata)


def _inner(
    annotation: object,
    within: tuple[type, ...],
    *,
    name: str = "an element",
    beside: Sequence[object] = (),
) -> ColumnType:
    """Give the type of an element or of a field of a struct."""
    metadata = list(beside)
    while True:
        inner = _optional(annotation)
        if inner is not None:
            annotation = inner
        elif get_origin(annotation) is Annotated:
            annotation, *more = get_args(annotation)
            metadata += more
        else:
            break
    kinds = [each for each in metadata if isinstance(each, ColumnType)]
    bounds = list(_spread(metadata))
    judged = [word for word, _ in bounds if word not in {"max_digits", "decimal_places"}]
    if judged or any(isinstance(each, Rule) for each in metadata):
        raise _refused(
            f"{name} has {', '.join(judged) or 'a rule'}: nothing inside of a nested model or a "
            "list is judged.",
            _OUTSIDE,
        )
    if kinds:
        return kinds[0]
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        return _struct(annotation, within)
    if get_origin(annotation) is list and get_args(annotation):
        return ListType(_inner(get_args(annotation)[0], within))
    read = _type(annotation, bounds, pydantic.BaseModel)
    if read.values or _has_rules(read):
        what = "is one of some values" if read.values else "has rules"
        raise _refused(
            f"{name} {what}: nothing inside of a nested model or a list is judged.",
            _OUTSIDE,
        )
    return read.type


def _has_rules(read: Annotation) -> bool:
    """Whether anything is asked of the fields or elements of a type."""
    return any(
        each.values
        or _has_rules(each)
        or any(isinstance(m, Rule | Strictness) for m in each.markers)
        for _, each in read.inner
    )


def _aliases(field: FieldInfo) -> Iterator[str]:
    """Give the name a field has where it comes from, if another."""
    alias = field.validation_alias if field.validation_alias is not None else field.alias
    if alias is None:
        return
    if not isinstance(alias, str):
        raise _refused(
            f"{type(alias).__name__} names several places.", "A column comes from one: alias='...'."
        )
    yield alias


# -- constraints as rules


def _rules(name: str, kind: ColumnType, bounds: list[tuple[str, object]]) -> Iterator[Rule]:
    """Give the rules that say what a field's constraints say."""
    ends = _Ends()
    lengths: dict[str, int] = {}
    for word, value in bounds:
        match word, value:
            case (("ge" | "gt" | "le" | "lt"), _):
                ends.tighten(kind, word, value)
            case "allow_inf_nan", False if isinstance(kind, FloatType):
                ends.tighten(kind, "ge", -sys.float_info.max)
                ends.tighten(kind, "le", sys.float_info.max)
            case "min_length", int():
                lengths["at_least"] = value
            case "max_length", int():
                lengths["at_most"] = value
            case "pattern", _:
                yield rules.pattern(getattr(value, "pattern", None) or str(value))
            case "multiple_of", int() if isinstance(kind, IntType):
                yield rules.expression(f"{quote(name)} % {value} = 0")
            case (("max_digits" | "decimal_places"), _) if isinstance(kind, DecimalType):
                continue
            case (("allow_inf_nan" | "coerce_numbers_to_str"), _):
                continue
            case _:
                raise _refused(
                    f"{word}={value!r} cannot be judged of a {kind}.",
                    'Take it out, or say what is meant: hg.expression("...").',
                )
    yield from ends.rules(name)
    if lengths:
        yield rules.length(lengths.get("at_least"), lengths.get("at_most"))


@dataclass(slots=True)
class _Ends:
    """The closed range a field's bounds make, and the floats that are not in it all the same."""

    low: _Limit | None = None
    high: _Limit | None = None
    excluded: list[float] = default(default_factory=list)

    def tighten(self, kind: ColumnType, word: str, value: object) -> None:
        """Take one bound in; what has a next value needs no open end."""
        end = self._closed(kind, word, value)
        try:
            if word in {"ge", "gt"}:
                self.low = end if self.low is None else max(self.low, end)
            else:
                self.high = end if self.high is None else min(self.high, end)
        except TypeError:
            raise _refused(f"{word}={value!r} is no bound of a {kind}.", "Give one.") from None

    def rules(self, name: str) -> Iterator[Rule]:
        """Give the rules that say so."""
        if self.low is not None or self.high is not None:
            yield rules.between(self.low, self.high)
        for value in self.excluded:
            yield rules.expression(f"{quote(name)} <> {value!r}")

    def _closed(self, kind: ColumnType, word: str, value: object) -> _Limit:
        closed, up = word in {"ge", "le"}, word == "gt"
        match kind, value:
            case ((IntType() | FloatType() | DecimalType()), bool()):
                pass
            case ((IntType() | DecimalType()), (int() | float() | decimal.Decimal())):
                return value if closed else _next(value, getattr(kind, "scale", 0), up=up)
            case FloatType(), (int() | float()):
                if not closed:
                    self.excluded.append(float(value))
                return value
            case _, dt.datetime() if kind in INSTANTS:
                return value if closed else value + (_INSTANT if up else -_INSTANT)
            case _, dt.date() if kind == DATE and not isinstance(value, dt.datetime):
                return value if closed else value + (_DAY if up else -_DAY)
        raise _refused(
            f"{word}={value!r} is no bound of a {kind}.",
            'Say it as a condition, hg.expression("..."), or take it out.',
        )


def _next(value: float | decimal.Decimal, scale: int, *, up: bool) -> _Limit:
    """Give the nearest number with so many digits behind the point beyond a value."""
    step = decimal.Decimal(1).scaleb(-scale)
    exact = decimal.Decimal(str(value))
    rounding = decimal.ROUND_FLOOR if up else decimal.ROUND_CEILING
    near = exact.quantize(step, rounding=rounding) + (step if up else -step)
    return near if scale else int(near)


class _at:  # noqa: N801 - used like a function
    """Put model and field in front of what goes wrong inside."""

    def __init__(self, model: type, name: str) -> None:
        self._model, self._name = model.__name__, name

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, HeadgateError):
            error.message = f"{self._model}.{self._name}: {error.message}"
            error.facts = {**error.facts, "contract": self._model, "field": self._name}


def _refused(message: str, hint: str) -> Invalid:
    return Invalid("contract-model", message, hint=hint or None)
