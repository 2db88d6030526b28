"""``hg.source``: a user's function as a source, or a source of a registered kind."""

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, cast, overload

from headgate.errors import Invalid
from headgate.pipelines import places, source_steps
from headgate.pipelines.declared_steps import Declaration, SourceDeclaration, declare_function
from headgate.pipelines.signatures import CURSOR
from headgate.pipelines.source_steps import StepOptions

if TYPE_CHECKING:
    from types import FrameType

F = TypeVar("F", bound=Callable[..., object])

KIND = "generator"


@overload
def source(kind: str, /, **options: object) -> Declaration: ...
@overload
def source(function: F, /) -> F: ...
@overload
def source(**options: Unpack[StepOptions]) -> Callable[[F], F]: ...
def source(
    what: "str | F | None" = None,
    /,
    **options: Any,
) -> "Declaration | F | Callable[[F], F]":
    """Declare a function as a source, or a source of any registered kind.

    As a decorator, ``@hg.source`` or ``@hg.source(contract=Order, retries=2)``: the function yields
    rows, each time a dict, a list of dicts, an Arrow, pandas or Polars table; or a pair of rows and
    the cursor that is true once they are stored. It may return them, too. An argument named
    ``cursor`` gets the last cursor published, its default (or None) before there is one:

    >>> @source  # doctest: +SKIP
    ... def orders(cursor: int = 0):
    ...     for page in pages(after=cursor):
    ...         yield page.rows, page.last_id

    A cursor is an int, a float, a text, a date, an instant, a list of these or a mapping of texts
    to these; it must not descend. Other arguments are parameters, as in ``hg.step``. With the
    argument ``cursor`` rows are appended, without it they replace the table; ``mode`` says
    otherwise.

    With a text, ``hg.source("kind", option=...)``: ``kind`` is an entry point of the group
    ``headgate.sources``; ``options`` are its own. Rows are appended unless ``mode`` says otherwise.

    The other options are as in ``hg.files``.

    Raises:
        Invalid: ``step-not-a-function``, ``unknown-option``; and as ``hg.step``.
    """
    if isinstance(what, str):
        return source_steps.source(what, **options)
    unknown = sorted(options.keys() - StepOptions.__optional_keys__)
    if unknown:
        raise Invalid(
            "unknown-option",
            f"A function as a source has no option {unknown[0]!r}.",
            hint=f"It can have {', '.join(sorted(StepOptions.__optional_keys__))}.",
            option=unknown[0],
        )
    frame = places.caller()

    def declare(function: F) -> F:
        return _declared(function, cast("StepOptions", options), frame)

    return declare if what is None else declare(what)


def _declared(function: F, options: StepOptions, frame: "FrameType") -> F:
    settings = source_steps.step_settings({"mode": _mode(function), **options})
    declared = SourceDeclaration(kind=KIND, contract=settings.contract)
    return declare_function(function, "@source", settings, frame, source=declared)


def _mode(function: Callable[..., object]) -> str:
    """Give how rows are written where nobody says: who has no cursor gives everything each time."""
    if not inspect.isfunction(function):
        return "replace"
    return "append" if CURSOR in inspect.signature(function).parameters else "replace"
