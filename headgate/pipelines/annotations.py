"""Reading annotations without running what stands behind ``if TYPE_CHECKING:``.

Text annotations (``from __future__ import annotations``, or quoted) are evaluated in the
function's own names. A name that is missing at run time is looked up among the imports of the file
that are guarded by ``TYPE_CHECKING``, by reading the source: that tells ``pl.LazyFrame`` from
``pl`` = ``polars`` without importing Polars.
"""

import ast
import builtins
import inspect
import typing
from collections.abc import Mapping
from pathlib import Path
from types import FunctionType
from typing import Any, cast

from headgate.errors import Invalid
from headgate.pipelines.forms import Unresolved
from headgate.pipelines.places import of_function


class GuardedImports:
    """What the files of a project import under ``if TYPE_CHECKING:``; each file is read once."""

    def __init__(self) -> None:
        self._files: dict[str, Mapping[str, tuple[str, str]]] = {}

    def __call__(self, file: str) -> Mapping[str, tuple[str, str]]:
        """Map each guarded name of a file to its dotted name and the statement that imports it."""
        if file not in self._files:
            self._files[file] = _guarded_imports(file)
        return self._files[file]


def annotations(function: FunctionType, guarded: GuardedImports) -> dict[str, object]:
    """Give a function's annotations as objects; names that are not there become ``Unresolved``.

    Raises:
        Invalid: ``annotation-unreadable``: an annotation is no expression, or evaluating it raised.
    """
    names = _Names(function, guarded)
    return {
        name: _evaluated(annotation, names, f"{function.__name__}: {name}", function)
        for name, annotation in _declared(function).items()
    }


def _declared(function: FunctionType) -> Mapping[str, object]:
    try:
        return function.__annotations__
    except NameError:  # from Python 3.14 on, annotations are evaluated here, not at the definition
        import annotationlib  # type: ignore[import-not-found]  # noqa: PLC0415

        text: Mapping[str, object] = annotationlib.get_annotations(
            function, format=annotationlib.Format.STRING
        )
        return text


class _Names(dict[str, object]):
    """The names a function's annotations may use; a missing one is looked up in the source."""

    def __init__(self, function: FunctionType, guarded: GuardedImports) -> None:
        super().__init__(inspect.getclosurevars(function).nonlocals if function.__closure__ else {})
        self._globals = function.__globals__
        self._file = function.__code__.co_filename
        self._guarded = guarded

    def __missing__(self, name: str) -> object:
        if name in self._globals:
            return self._globals[name]
        if hasattr(builtins, name):
            return getattr(builtins, name)
        dotted, statement = self._guarded(self._file).get(name, (name, None))
        return Unresolved(dotted, statement)


def _evaluated(annotation: object, names: _Names, what: str, function: FunctionType) -> object:
    if isinstance(annotation, typing.ForwardRef):
        annotation = annotation.__forward_arg__
    if isinstance(annotation, str):
        try:
            annotation = eval(annotation, {}, names)  # noqa: S307 - the user's own code
        except Exception as error:
            raise Invalid(
                "annotation-unreadable",
                f"The annotation {annotation!r} of {what} ({of_function(function)}) cannot be "
                f"evaluated: {error}.",
                hint="Write a type that can be evaluated in the function's file.",
                annotation=annotation,
            ) from error
        return _evaluated(annotation, names, what, function)
    return _with_text_inside(annotation, names, what, function)


def _with_text_inside(
    annotation: object, names: _Names, what: str, function: FunctionType
) -> object:
    """Evaluate texts inside, as in ``Annotated["pl.LazyFrame", ...]``."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        kind, *marks = typing.get_args(annotation)
        if isinstance(kind, (str, typing.ForwardRef)):
            return typing.Annotated[_evaluated(kind, names, what, function), *marks]
        return annotation
    arguments = typing.get_args(annotation)
    if any(isinstance(argument, (str, typing.ForwardRef)) for argument in arguments) and (
        origin is not typing.Literal
    ):
        evaluated = tuple(_evaluated(argument, names, what, function) for argument in arguments)
        rebuilt: object = cast("Any", origin)[evaluated]
        return rebuilt
    return annotation


def _guarded_imports(file: str) -> Mapping[str, tuple[str, str]]:
    try:
        tree = ast.parse(Path(file).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return {}
    found: dict[str, tuple[str, str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and _is_type_checking(node.test):
            for statement in node.body:
                if isinstance(statement, ast.Import):
                    for alias in statement.names:
                        top = alias.name if alias.asname else alias.name.partition(".")[0]
                        found[alias.asname or top] = (top, ast.unparse(statement))
                elif isinstance(statement, ast.ImportFrom) and statement.level == 0:
                    for alias in statement.names:
                        dotted = f"{statement.module}.{alias.name}"
                        found[alias.asname or alias.name] = (dotted, ast.unparse(statement))
                elif isinstance(statement, ast.ImportFrom):
                    for alias in statement.names:
                        found[alias.asname or alias.name] = (alias.name, ast.unparse(statement))
    return found


def _is_type_checking(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )
