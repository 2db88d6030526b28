"""Reading a function's signature: which argument is which table, parameter or value of the run."""

import inspect
import typing
from dataclasses import dataclass, replace
from types import FunctionType

from headgate.errors import Invalid
from headgate.names import table_name
from headgate.pipelines import forms, places
from headgate.pipelines.annotations import GuardedImports, annotations
from headgate.pipelines.forms import Form, Incremental, TableName
from headgate.pipelines.parameters import (
    REQUIRED,
    Parameter,
    Params,
    is_parameter_type,
    of_group,
)
from headgate.pipelines.places import Place
from headgate.pipelines.steps import CursorArgument, Injected, Input, SecretArgument
from headgate.secrets import Secret

CURSOR = "cursor"
"""The argument of a source's function that takes the last cursor, however it is annotated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What a step's function takes and gives; ``nothing``: it is declared to return None."""

    inputs: tuple[Input, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    injected: tuple[Injected, ...] = ()
    secrets: tuple[SecretArgument, ...] = ()
    returns: tuple[Form, ...] = ()
    nothing: bool = False
    cursor: CursorArgument | None = None


def read(
    function: FunctionType, name: str, guarded: GuardedImports, *, source: bool = False
) -> Signature:
    """Read the signature of a step's function. Evaluates annotations, imports nothing.

    Of a ``source``, neither the cursor nor what it yields counts.

    Raises:
        Invalid: ``form-missing``, ``form-unknown``, ``form-behind-type-checking``,
            ``annotation-undefined``, ``annotation-unreadable``, ``step-argument-unsupported``,
            ``step-is-async``.
    """
    original = inspect.unwrap(function)
    place = places.of_function(function)
    if not isinstance(original, FunctionType):
        original = function
    if inspect.iscoroutinefunction(original) or inspect.isasyncgenfunction(original):
        raise Invalid(
            "step-is-async",
            f"Step {name} ({place}) is an async function; headgate calls plain ones.",
            hint="Write `def`, and run the event loop inside where you need one.",
            step=name,
        )
    found = annotations(original, guarded)
    inputs: list[Input] = []
    parameters: list[Parameter] = []
    injected: list[Injected] = []
    secrets: list[SecretArgument] = []
    for argument in inspect.signature(original).parameters.values():
        if source and argument.name == CURSOR:
            continue
        what = f"The argument {argument.name} of step {name}"
        if argument.kind not in (argument.POSITIONAL_OR_KEYWORD, argument.KEYWORD_ONLY):
            raise Invalid(
                "step-argument-unsupported",
                f"{what} ({place}) is {argument}: a step's arguments are passed by name.",
                hint="Give every argument a name and an annotation of its own.",
                step=name,
                argument=argument.name,
            )
        if isinstance(argument.default, Secret):
            secrets.append(SecretArgument(argument=argument.name, secret=argument.default))
            continue
        if argument.name not in found:
            raise Invalid(
                "form-missing",
                f"{what} ({place}) has no annotation: nothing says as what it wants the table.",
                hint=f"Write {argument.name}: pl.LazyFrame, or another of "
                f"{', '.join(forms.SPELLINGS.values())}.",
                step=name,
                argument=argument.name,
            )
        one = _argument(argument, found[argument.name], what, place)
        if isinstance(one, Input):
            inputs.append(one)
        elif isinstance(one, Injected):
            injected.append(one)
        elif isinstance(one, SecretArgument):
            secrets.append(one)
        else:
            parameters.extend(one)
    _refuse_doubles(parameters, name, place)
    returned = inspect.Parameter.empty if source else found.get("return", inspect.Parameter.empty)
    nothing = returned in (None, type(None))
    return Signature(
        inputs=tuple(inputs),
        parameters=tuple(parameters),
        injected=tuple(injected),
        secrets=tuple(secrets),
        returns=() if nothing else _returns(returned, name, place),
        nothing=nothing,
    )


def read_source(function: FunctionType, name: str, guarded: GuardedImports) -> Signature:
    """Read the signature of a source's function: it takes no tables, and maybe a cursor.

    Raises:
        Invalid: ``source-with-inputs``; and as ``read``.
    """
    original = inspect.unwrap(function)
    arguments = inspect.signature(original).parameters
    found = read(function, name, guarded, source=True)
    if found.inputs:
        tables = ", ".join(one.table for one in found.inputs)
        raise Invalid(
            "source-with-inputs",
            f"The source {name} ({places.of_function(function)}) asks for {tables}: a source has "
            "no tables to read.",
            hint="Make it a step: @hg.step.",
            step=name,
        )
    cursor = None
    if CURSOR in arguments:
        default = arguments[CURSOR].default
        none = default is inspect.Parameter.empty
        cursor = CursorArgument(argument=CURSOR, default=None if none else default)
    return replace(found, cursor=cursor)


def of_params(group: type[Params], argument: str | None) -> tuple[Parameter, ...]:
    """Give the parameters of a ``Params`` class, its text annotations evaluated."""
    if not issubclass(group, Params):
        raise Invalid(
            "not-params",
            f"{group.__name__} is no subclass of hg.Params.",
            hint=f"Write class {group.__name__}(hg.Params).",
        )
    try:
        hints = typing.get_type_hints(group)
    except NameError as error:
        raise Invalid(
            "annotation-undefined",
            f"{group.__module__}.{group.__qualname__} is annotated with {error.name}, which is not "
            "defined there.",
            hint="Import the name at the top of the file, outside of `if TYPE_CHECKING:`.",
        ) from error
    return of_group(group, argument, hints)


def _argument(
    argument: inspect.Parameter, annotation: object, what: str, place: Place
) -> Input | Injected | SecretArgument | tuple[Parameter, ...]:
    if (of_run := forms.injection(annotation)) is not None:
        return Injected(argument=argument.name, kind=of_run.kind)
    marks = typing.get_args(annotation)[1:] if _is_annotated(annotation) else ()
    bare = typing.get_args(annotation)[0] if _is_annotated(annotation) else annotation
    if (named := next((mark for mark in marks if isinstance(mark, Secret)), None)) is not None:
        return SecretArgument(argument=argument.name, secret=named)
    if isinstance(bare, type) and issubclass(bare, Params):
        return of_params(bare, argument.name)
    kind = forms.of_annotation(bare)
    if kind is not None:
        name = next((mark.name for mark in marks if isinstance(mark, TableName)), argument.name)
        gain = next((mark for mark in marks if isinstance(mark, Incremental)), None)
        return Input(
            table=table_name(name),
            form=kind.form,
            incremental=gain is not None,
            changes=gain is not None and gain.changes,
            argument=argument.name,
            sized=kind.sized,
        )
    if is_parameter_type(bare) and not any(isinstance(m, (TableName, Incremental)) for m in marks):
        default = REQUIRED if argument.default is argument.empty else argument.default
        return (
            Parameter(name=argument.name, annotation=bare, default=default, argument=argument.name),
        )
    raise forms.unknown(what, bare, place)


def _returns(annotation: object, name: str, place: Place) -> tuple[Form, ...]:
    if annotation is inspect.Parameter.empty:
        return ()
    found = []
    for member in forms.members(annotation):
        kind = forms.of_annotation(member)
        if kind is None:
            raise forms.unknown(f"What step {name} returns", member, place)
        found.append(kind.form)
    return tuple(dict.fromkeys(found))


def _is_annotated(annotation: object) -> bool:
    return typing.get_origin(annotation) is typing.Annotated


def _refuse_doubles(parameters: list[Parameter], name: str, place: Place) -> None:
    seen: set[str] = set()
    for parameter in parameters:
        if parameter.name in seen:
            raise Invalid(
                "parameter-twice",
                f"Step {name} ({place}) declares the parameter {parameter.name} twice.",
                hint="Give one of the two another name.",
                step=name,
                parameter=parameter.name,
            )
        seen.add(parameter.name)
