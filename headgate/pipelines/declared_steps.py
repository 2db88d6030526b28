"""Steps as users write them, before they have names; and how a function is declared to be one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from types import FrameType, FunctionType
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar, get_args

from headgate.errors import Invalid, Refused
from headgate.names import own_table_name, step_name
from headgate.pipelines import forms, places
from headgate.pipelines.parameters import Parameter
from headgate.pipelines.places import Place
from headgate.records import RecordRules

if TYPE_CHECKING:
    from headgate.contracts import AnyContract

Mode: TypeAlias = Literal["replace", "append", "upsert", "delete"]
MODES: tuple[str, ...] = get_args(Mode)
DECLARATION = "__headgate_declaration__"
"""The attribute of a function that holds its declaration."""

F = TypeVar("F", bound=Callable[..., object])


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceDeclaration:
    """Rows from outside: which kind of source (an entry point's name) with which options.

    Options are JSON-able, a secret among them ``{"secret": name}``; paths in them are relative to
    the project.
    """

    kind: str
    options: Mapping[str, object] = field(default_factory=dict)
    contract: "AnyContract | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What all kinds of steps can declare, as written; checked when it is built.

    ``after`` holds names, or the declared things themselves.
    """

    name: str | None = None
    table: str | None = None
    contract: "AnyContract | None" = None
    mode: Mode = "replace"
    key: tuple[str, ...] = ()
    after: tuple[object, ...] = ()
    partition_by: tuple[str, ...] = ()
    sort_by: tuple[str, ...] = ()
    retries: int = 0
    timeout: timedelta | None = None
    isolate: bool = False
    rules: RecordRules | None = None

    def __post_init__(self) -> None:
        if self.name is not None:
            step_name(self.name)
        if self.table is not None:
            own_table_name(self.table)
        if self.mode not in MODES:
            raise Invalid(
                "unknown-step-mode",
                f"{self.mode!r} is no way to write a table.",
                hint=f"Use one of {', '.join(MODES)}.",
                mode=self.mode,
            )
        if self.mode in {"upsert", "delete"} and not self.key:
            raise Invalid(
                "step-key-missing",
                f'mode="{self.mode}" needs to know by which columns rows are known.',
                hint='Add key="column" or key=("column", "column").',
            )
        if self.mode == "delete" and self.contract is not None:
            raise Invalid(
                "delete-with-contract",
                'mode="delete" takes keys away from a table: there are no rows to judge.',
                hint="Give the contract to the step that writes the table; it is judged again.",
            )
        if self.retries < 0:
            raise Invalid(
                "step-retries-negative",
                f"retries={self.retries} is negative.",
                retries=self.retries,
            )
        if self.timeout is not None or self.isolate:
            asked = "isolate=True" if self.timeout is None else "timeout="
            raise Refused(
                "timeout-unsupported",
                f"{asked} is refused: a step runs in a thread, which nothing can kill.",
                hint=f"Leave {asked} away; bound the waiting inside the step.",
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Declaration:
    """A step as the user wrote it, before it has a name: exactly one of function, sql and source.

    A function that is a source has both. ``place`` is where it stands, ``module`` the name of the
    module it was made in.
    """

    place: Place
    module: str
    settings: Settings = field(default_factory=Settings)
    function: Callable[..., object] | None = None
    sql: str | None = None
    sql_file: str | None = None
    source: SourceDeclaration | None = None
    parameters: tuple[Parameter, ...] = ()
    incremental: Mapping[str, forms.Incremental] = field(default_factory=dict)

    def __repr__(self) -> str:
        what = self.settings.name or "a step"
        return f"<{what} declared at {self.place}>"


def declare_function(
    given: F,
    decorator: str,
    settings: Settings,
    frame: FrameType,
    *,
    source: SourceDeclaration | None = None,
) -> F:
    """Put a declaration on a function and note it where ``frame`` is.

    Raises:
        Invalid: ``step-not-a-function``, ``step-declared-twice``.
    """
    function: object = given
    if not isinstance(function, FunctionType):
        raise Invalid(
            "step-not-a-function",
            f"{decorator} was put on {with_article(type(given).__name__)}, which is no function.",
            hint="Put it on a `def`; keep what it needs in arguments.",
        )
    earlier = declaration_of(function)
    if earlier is not None:
        raise Invalid(
            "step-declared-twice",
            f"{function.__name__} is declared as a step at {earlier.place} and again at "
            f"{places.of_frame(frame)}.",
            hint="Write a second function that calls the first.",
        )
    declaration = Declaration(
        place=places.of_function(function),
        module=str(frame.f_globals.get("__name__", "")),
        settings=settings,
        function=function,
        source=source,
    )
    setattr(function, DECLARATION, declaration)
    places.note(frame, declaration)
    return given


def declaration_of(thing: object) -> Declaration | None:
    """Give the declaration a value is or carries, None where it is no step."""
    # By type(): a module may hold proxies that raise when they are asked what they are.
    if type(thing) is Declaration:
        return thing
    carried: object = getattr(thing, DECLARATION, None) if type(thing) is FunctionType else None
    # A wrapper made with functools.wraps carries the attribute, too, and is no step.
    return carried if isinstance(carried, Declaration) and carried.function is thing else None


def names(given: str | Sequence[str]) -> tuple[str, ...]:
    """Give one name or several as a tuple."""
    return (given,) if isinstance(given, str) else tuple(given)


def with_article(noun: str) -> str:
    """Give a noun with the article it needs."""
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"
