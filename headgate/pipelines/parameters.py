"""Typed parameters of steps: code default, file, environment, command line; the later wins.

A parameter is an argument of a step's function with a plain type (``minimum: int = 10``), a field
of a ``Params`` class the function takes, or a ``$name`` in SQL. Parameters of one name are one
parameter: a value given for ``minimum`` reaches every step that declares it; ``delays.minimum``
reaches one step, and wins over ``minimum`` of the same origin.
"""

import enum
import math
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, cast, dataclass_transform
from uuid import UUID

import msgspec

from headgate.errors import Invalid
from headgate.names import suggestion

ENVIRONMENT_PREFIX = "HEADGATE_PARAM_"

_SCALARS = (bool, int, float, str, bytes, datetime, date, time, timedelta, Decimal, UUID, Path)
_CONTAINERS = (list, tuple, set, frozenset, dict)


class Required(enum.Enum):
    """Stands where a parameter has no default."""

    REQUIRED = "required"


REQUIRED: Final = Required.REQUIRED
Origin: TypeAlias = Literal["headgate.toml", "the environment", "the command line"]


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Params:
    """A group of parameters: subclass it with annotated fields and take it as an argument.

    A subclass is a frozen dataclass. Check what belongs together in ``__post_init__`` and raise
    ``ValueError``.

    >>> class Window(Params):
    ...     first: int = 1
    ...     last: int = 31
    >>> Window(last=7)
    Window(first=1, last=7)
    """

    def __init_subclass__(cls) -> None:
        dataclass(frozen=True, kw_only=True)(cls)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter as a step declares it. ``default`` is ``REQUIRED`` where there is none.

    ``argument`` is the function's argument that takes it; for a field of a ``Params`` class that
    is the argument annotated with the class, and ``group`` the class.
    """

    name: str
    annotation: object
    default: object = REQUIRED
    argument: str | None = None
    group: type[Params] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """Values somebody gave for parameters, and where. Text is converted to the declared type."""

    origin: Origin
    values: Mapping[str, object] = field(default_factory=dict)


def from_environment(environment: Mapping[str, str]) -> Given:
    """Take ``HEADGATE_PARAM_MINIMUM`` from the environment.

    ``HEADGATE_PARAM_DELAYS__MINIMUM`` is for one step.
    """
    values = {
        name.removeprefix(ENVIRONMENT_PREFIX).casefold().replace("__", "."): text
        for name, text in environment.items()
        if name.startswith(ENVIRONMENT_PREFIX)
    }
    return Given(origin="the environment", values=values)


def from_command_line(assignments: Iterable[str]) -> Given:
    """Take ``minimum=10`` (or ``delays.minimum=10``, one step's) from the command line.

    Raises:
        Invalid: ``parameter-unreadable``: no ``=``.
    """
    values = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals or not name.strip():
            raise Invalid(
                "parameter-unreadable",
                f"{assignment!r} gives no parameter a value.",
                hint="Write name=value, like minimum=10 or delays.minimum=10.",
                text=assignment,
            )
        values[name.strip()] = text
    return Given(origin="the command line", values=values)


def from_file(values: Mapping[str, object]) -> Given:
    """Take the ``[parameters]`` of headgate.toml; ``[parameters.delays]`` holds one step's."""
    return Given(origin="headgate.toml", values=values)


def settle(
    declared: Mapping[str, Sequence[Parameter]], given: Sequence[Given]
) -> Mapping[str, Mapping[str, object]]:
    """Give each step's parameters their values; ``given`` goes from weak to strong.

    ``declared`` maps every step of the project to its parameters: a value given for a parameter no
    step declares is a mistake, not ignored.

    Raises:
        Invalid: ``unknown-parameter``, ``parameter-missing``, ``parameter-type``,
            ``parameter-refused``.
    """
    flat = [(layer.origin, _flat(layer.values, declared)) for layer in given]
    _refuse_unknown(declared, flat)
    settled = {
        step: {p.name: _value(step, p, flat) for p in parameters}
        for step, parameters in declared.items()
    }
    for step, parameters in declared.items():
        for group in dict.fromkeys(p.group for p in parameters if p.group is not None):
            group_of(group, settled[step], step)
    return settled


def group_of(group: type[Params], values: Mapping[str, object], step: str) -> Params:
    """Build a ``Params`` value out of settled values.

    Raises:
        Invalid: ``parameter-refused``: its ``__post_init__`` raised ``ValueError``.
    """
    wanted = {name: values[name] for name in _fields(group)}
    try:
        return group(**wanted)
    except ValueError as error:
        raise Invalid(
            "parameter-refused",
            f"{group.__name__} of step {step} refuses {wanted}: {error}",
            hint=f"Give values that {group.__name__} accepts.",
            step=step,
        ) from error


def of_group(
    group: type[Params], argument: str | None, annotations: Mapping[str, object]
) -> tuple[Parameter, ...]:
    """Give the parameters a ``Params`` class declares, as taken by a function's argument."""
    return tuple(
        Parameter(
            name=one.name,
            annotation=annotations.get(one.name, one.type),
            default=_default(one.default, one.default_factory),
            argument=argument,
            group=group,
        )
        for one in _fields(group).values()
    )


def of_mapping(values: Mapping[str, object]) -> tuple[Parameter, ...]:
    """Give the parameters of ``parameters={"minimum": 10}``: types are the defaults' own.

    A class instead of a value is a required parameter of that type: ``{"minimum": int}``.
    """
    return tuple(
        Parameter(name=name, annotation=value)
        if isinstance(value, type) or typing.get_origin(value) is not None
        else Parameter(name=name, annotation=type(value), default=value)
        for name, value in values.items()
    )


def is_parameter_type(annotation: object) -> bool:
    """Say whether a type can be a parameter's: scalars, and containers of them."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return is_parameter_type(typing.get_args(annotation)[0])
    if origin is typing.Literal:
        return True
    if origin in (typing.Union, types.UnionType) or origin in _CONTAINERS:
        arguments = [a for a in typing.get_args(annotation) if a not in (type(None), Ellipsis)]
        return all(is_parameter_type(argument) for argument in arguments)
    return isinstance(annotation, type) and (
        annotation in (*_SCALARS, *_CONTAINERS) or issubclass(annotation, enum.Enum)
    )


def canonical(value: object) -> object:
    """Give a parameter's value as JSON would hold it, for records and fingerprints."""
    return _finite(msgspec.to_builtins(value, str_keys=True, order="deterministic", enc_hook=str))


def _finite(value: object) -> object:
    """Write infinities and NaN, which JSON has not, as text."""
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_finite(inner) for inner in value]
    return value


def _fields(group: type[Params]) -> Mapping[str, Field[object]]:
    return {one.name: one for one in fields(cast("Any", group)) if one.init}


def _default(value: object, factory: object) -> object:
    if callable(factory):
        return factory()
    return REQUIRED if value is MISSING else value


def _flat(values: Mapping[str, object], steps: Iterable[str]) -> Mapping[str, object]:
    known = set(steps)
    flat: dict[str, object] = {}
    for name, value in values.items():
        if isinstance(value, Mapping) and name in known:
            flat.update({f"{name}.{inner}": given for inner, given in value.items()})
        else:
            flat[name] = value
    return flat


def _value(
    step: str, parameter: Parameter, layers: Sequence[tuple[Origin, Mapping[str, object]]]
) -> object:
    for origin, values in reversed(layers):
        for name in (f"{step}.{parameter.name}", parameter.name):
            key = name.casefold() if origin == "the environment" else name
            if key in values:
                return _converted(values[key], step, parameter, origin)
    if parameter.default is REQUIRED:
        raise Invalid(
            "parameter-missing",
            f"Step {step} needs the parameter {parameter.name} "
            f"({_spelling(parameter.annotation)}), which has no default.",
            hint=f"Give it: --param {parameter.name}=..., {ENVIRONMENT_PREFIX}"
            f"{parameter.name.upper()}=..., or {parameter.name} = ... under [parameters] in "
            "headgate.toml.",
            step=step,
            parameter=parameter.name,
        )
    return parameter.default


def _converted(value: object, step: str, parameter: Parameter, origin: Origin) -> object:
    splits = isinstance(value, str) and _wants_container(parameter.annotation)
    read = _items(str(value)) if splits else value
    try:
        return msgspec.convert(read, parameter.annotation, strict=False, dec_hook=_from_text)
    except (msgspec.ValidationError, ValueError) as error:
        raise Invalid(
            "parameter-type",
            f"{value!r}, given for the parameter {parameter.name} of step {step} by {origin}, "
            f"is no {_spelling(parameter.annotation)}: {error}",
            hint=f"Its type is {_spelling(parameter.annotation)}.",
            step=step,
            parameter=parameter.name,
            origin=origin,
        ) from error


def _from_text(kind: type, value: object) -> object:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise ValueError(f"expected {kind.__name__}, got {type(value).__name__}")


def _wants_container(annotation: object) -> bool:
    return any(
        (typing.get_origin(member) or member) in _CONTAINERS
        for member in (typing.get_args(annotation) if _is_union(annotation) else (annotation,))
    )


def _is_union(annotation: object) -> bool:
    return typing.get_origin(annotation) in (typing.Union, types.UnionType)


def _items(text: str) -> object:
    if text.lstrip().startswith(("[", "{")):
        try:
            decoded: object = msgspec.json.decode(text)
        except msgspec.DecodeError:
            return text
        return decoded
    return [item.strip() for item in text.split(",")] if text.strip() else []


def _refuse_unknown(
    declared: Mapping[str, Sequence[Parameter]],
    layers: Sequence[tuple[Origin, Mapping[str, object]]],
) -> None:
    known = {p.name for parameters in declared.values() for p in parameters}
    known |= {f"{step}.{p.name}" for step, parameters in declared.items() for p in parameters}
    folded = {name.casefold() for name in known}
    for origin, values in layers:
        for name in values:
            if name not in (folded if origin == "the environment" else known):
                close = suggestion(name, known)
                raise Invalid(
                    "unknown-parameter",
                    f"No step declares the parameter {name!r}, given by {origin}.",
                    hint=f"Did you mean {close}?" if close else _list_of(known),
                    parameter=name,
                    origin=origin,
                )


def _list_of(known: Iterable[str]) -> str:
    names = sorted(name for name in known if "." not in name)
    return f"Declared: {', '.join(names)}." if names else "No step of the project takes parameters."


def _spelling(annotation: object) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)
