"""Steps: what computes one table, as values; and ``@step``, which declares a function as one.

Nothing here runs anything by itself: a step is called by the hall (``Step.call``), with the tables
its function asked for, in the forms it asked for.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain
from types import FrameType, FunctionType
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar, cast, get_args, overload

from headgate.errors import Internal, Invalid, Refused, StepFailed
from headgate.names import own_table_name, step_name
from headgate.pipelines import forms, places
from headgate.pipelines.forms import Form
from headgate.pipelines.parameters import Parameter, group_of
from headgate.pipelines.places import Place
from headgate.records import RecordRules
from headgate.secrets import Reveal, Secret, no_secrets

if TYPE_CHECKING:
    from headgate.contracts import AnyContract, ContractSpec

Mode: TypeAlias = Literal["replace", "append", "upsert", "delete"]
MODES: tuple[str, ...] = get_args(Mode)
DECLARATION = "__headgate_declaration__"
"""The attribute of a function that holds its declaration."""

F = TypeVar("F", bound=Callable[..., object])


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """A table a step reads.

    ``form`` is what the function wants it as, None where the engine reads it itself (SQL).
    ``incremental`` asks for the rows appended since the step's last published run; ``changes`` for
    change rows where anything but appends happened since.
    """

    table: str
    form: Form | None = None
    incremental: bool = False
    changes: bool = False
    argument: str | None = None
    sized: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Injected:
    """An argument that the run provides: its instant, its seed, or a generator made of the seed."""

    argument: str
    kind: Literal["now", "seed", "random", "numpy-random"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CursorArgument:
    """The argument of a source's function that takes the last cursor; ``default`` before any."""

    argument: str
    default: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretArgument:
    """An argument that gets the value of a secret when the function is called."""

    argument: str
    secret: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A SQL step's query: DuckDB text with ``$name`` parameters, and what parsing found in it.

    ``digest`` does not change with comments and spacing.
    """

    text: str
    digest: str
    tables: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A declared computation of one table: ingests a source, calls a function, or runs SQL.

    ``table`` is the step's name unless it says otherwise, and None where the function is declared
    to return None: such a step only does something. ``after`` names steps that must be done
    first though no rows flow. ``references`` names tables the contract looks up in: they are made
    and judged first. ``returns`` holds the forms the function may give back, empty where it does
    not say. ``cursor`` is the argument by which a source's function hears how far it was read.
    ``partition_by`` and ``sort_by`` are SQL expressions and columns for the writer. ``rules`` say
    how a source's records become columns, where that was declared.
    """

    name: str
    table: str | None = ""
    inputs: tuple[Input, ...] = ()
    after: tuple[str, ...] = ()
    mode: Mode = "replace"
    key: tuple[str, ...] = ()
    contract: "ContractSpec | None" = None
    references: tuple[str, ...] = ()
    source: SourceDeclaration | None = None
    sql: Query | None = None
    function: Callable[..., object] | None = None
    parameters: tuple[Parameter, ...] = ()
    injected: tuple[Injected, ...] = ()
    secrets: tuple[SecretArgument, ...] = ()
    cursor: CursorArgument | None = None
    returns: tuple[Form, ...] = ()
    partition_by: tuple[str, ...] = ()
    sort_by: tuple[str, ...] = ()
    retries: int = 0
    timeout: timedelta | None = None
    isolate: bool = False
    rules: RecordRules | None = None
    place: Place | None = None
    description: str = ""

    def __post_init__(self) -> None:
        if self.table == "":
            object.__setattr__(self, "table", self.name)

    @property
    def tables(self) -> tuple[str, ...]:
        """All tables that the step makes: its own, and those that lists in its records become."""
        own = () if self.table is None else (self.table,)
        return own if self.rules is None else (*own, *self.rules.nested.values())

    @property
    def kind(self) -> Literal["ingest", "function", "sql"]:
        """What computes the table."""
        if self.source is not None:
            return "ingest"
        return "sql" if self.sql is not None else "function"

    @property
    def uses_clock(self) -> bool:
        """Whether the output depends on the run's instant."""
        return any(one.kind == "now" for one in self.injected)

    @property
    def uses_seed(self) -> bool:
        """Whether the output depends on the run's seed."""
        return any(one.kind != "now" for one in self.injected)

    def query_parameters(
        self,
        parameters: Mapping[str, object],
        *,
        now: datetime | None = None,
        seed: int | None = None,
    ) -> Mapping[str, object]:
        """Give a SQL step's ``$names`` their values, ``$now`` and ``$seed`` among them."""
        used = self.sql.parameters if self.sql is not None else ()
        values = {p.name: parameters[p.name] for p in self.parameters if p.name in used}
        run: Mapping[str, object] = {"now": now, "seed": seed}
        return {**values, **{one.argument: run[one.kind] for one in self.injected}}

    def call(
        self,
        tables: Mapping[str, object],
        *,
        parameters: Mapping[str, object] | None = None,
        now: datetime | None = None,
        seed: int | None = None,
        reveal: Reveal = no_secrets,
    ) -> tuple[object, Form | None]:
        """Call the function and give what it returned, and in which form (None without a table).

        ``tables`` maps each input's table to its rows in the form the input names. A list is made
        of iterables where the function asked for one. ``seed`` makes the random generators the
        function asked for. What the function raises passes through.

        Raises:
            StepFailed: ``step-returned-nothing``, ``step-returned-no-table``,
                ``step-returned-other-form``.
        """
        if self.function is None:
            raise Internal("step-not-callable", f"Step {self.name} has no function to call.")
        arguments = self._values(parameters or {}, now, seed, reveal)
        for one in self.inputs:
            rows = tables[one.table]
            arguments[cast("str", one.argument)] = (
                list(cast("Iterable[object]", rows))
                if one.sized and not isinstance(rows, list)
                else rows
            )
        return self._checked(self.function(**arguments))

    def reader(
        self,
        parameters: Mapping[str, object],
        *,
        now: datetime | None = None,
        seed: int | None = None,
        reveal: Reveal = no_secrets,
    ) -> Callable[[object], object]:
        """Give a source's function as one of the last cursor alone, None at the beginning."""
        function, cursor = self.function, self.cursor
        if function is None:
            raise Internal("step-not-callable", f"Step {self.name} has no function to call.")

        def read(last: object) -> object:
            arguments = self._values(parameters, now, seed, reveal)
            if cursor is not None:
                arguments[cursor.argument] = cursor.default if last is None else last
            return function(**arguments)

        return read

    def _values(
        self,
        parameters: Mapping[str, object],
        now: datetime | None,
        seed: int | None,
        reveal: Reveal,
    ) -> dict[str, object]:
        """Give the arguments that are no tables: what the run provides, secrets, parameters."""
        arguments: dict[str, object] = {
            injected.argument: _injected_value(injected, now, seed) for injected in self.injected
        }
        arguments |= {each.argument: reveal(each.secret) for each in self.secrets}
        for parameter in self.parameters:
            if parameter.argument is not None:
                arguments[parameter.argument] = (
                    parameters.get(parameter.name, parameter.default)
                    if parameter.group is None
                    else group_of(parameter.group, parameters, self.name)
                )
        return arguments

    def _checked(self, returned: object) -> tuple[object, Form | None]:
        """Tell the form of what was returned; refuse what the declaration does not allow."""
        if self.table is None:
            if returned is not None:
                raise StepFailed(
                    "step-returned-other-form",
                    f"Step {self.name} is declared to return None, and returned "
                    f"{_article(type(returned).__name__)}.",
                    hint="Change the annotation after `->`, or return nothing.",
                    step=self.name,
                    declared="None",
                    returned=type(returned).__qualname__,
                )
            return None, None
        if returned is None:
            raise StepFailed(
                "step-returned-nothing",
                f"Step {self.name} returned None, not a table.",
                hint="Return the table at the end of the function.",
                step=self.name,
            )
        form = forms.of_value(returned)
        if isinstance(returned, Iterator) and form == "dicts":
            if not self.returns or set(self.returns) >= {"dicts", "batches"}:
                returned, form = _looked_at(returned)
            elif "batches" in self.returns:
                form = "batches"
        if form is None:
            raise StepFailed(
                "step-returned-no-table",
                f"Step {self.name} returned {_article(type(returned).__name__)}, which is no "
                "table.",
                hint=f"Return one of {', '.join(forms.SPELLINGS.values())}.",
                step=self.name,
                returned=type(returned).__qualname__,
            )
        if self.returns and form not in self.returns:
            declared = " or ".join(forms.SPELLINGS[one] for one in self.returns)
            raise StepFailed(
                "step-returned-other-form",
                f"Step {self.name} is declared to return {declared}, and returned "
                f"{forms.SPELLINGS[form]}.",
                hint="Change the annotation after `->`, or what the function returns.",
                step=self.name,
                declared=declared,
                returned=forms.SPELLINGS[form],
            )
        return returned, form


@overload
def step(function: F, /) -> F: ...
@overload
def step(
    *,
    name: str | None = None,
    table: str | None = None,
    contract: "AnyContract | None" = None,
    mode: Mode = "replace",
    key: str | Sequence[str] = (),
    after: Sequence[object] = (),
    partition_by: str | Sequence[str] = (),
    sort_by: str | Sequence[str] = (),
    retries: int = 0,
    timeout: timedelta | None = None,
    isolate: bool = False,
) -> Callable[[F], F]: ...
def step(
    function: F | None = None,
    /,
    *,
    name: str | None = None,
    table: str | None = None,
    contract: "AnyContract | None" = None,
    mode: Mode = "replace",
    key: str | Sequence[str] = (),
    after: Sequence[object] = (),
    partition_by: str | Sequence[str] = (),
    sort_by: str | Sequence[str] = (),
    retries: int = 0,
    timeout: timedelta | None = None,
    isolate: bool = False,
) -> F | Callable[[F], F]:
    """Declare a function as a step; the function stays what it is.

    Parameter names are tables, annotations are the forms they come in; ``Annotated[form,
    hg.table("raw.flights")]`` names a table that is no identifier. Plain types (``minimum: int =
    10``) and ``hg.Params`` classes are parameters; ``hg.Now`` and ``hg.Seed`` are the run's. The
    step is named by the function's module attribute, or by ``name``; its table likewise, or by
    ``table``.

    Args:
        function: the function, where the decorator has no settings.
        name: the step's name, where it is not the module attribute's.
        table: the table it writes, where it is not the step's name; dots are namespaces.
        contract: what the output must satisfy.
        mode: ``replace`` the table, ``append`` to it, ``upsert`` by ``key``, or ``delete`` the rows
            whose ``key`` is among the output.
        key: the columns rows are known by.
        after: steps that must be done first though none of their rows are read.
        partition_by: SQL expressions over the output's columns.
        sort_by: columns the written files are sorted by.
        retries: how often to try again after a failure.
        timeout: refused until steps can be killed.
        isolate: refused until steps can be killed.

    Raises:
        Invalid: ``step-not-a-function``, ``step-declared-twice``, ``unknown-step-mode``,
            ``step-key-missing``, ``bad-step-name``, ``bad-table-name``.
        Refused: ``timeout-unsupported``.
    """
    settings = Settings(
        name=name,
        table=table,
        contract=contract,
        mode=mode,
        key=names(key),
        after=tuple(after),
        partition_by=names(partition_by),
        sort_by=names(sort_by),
        retries=retries,
        timeout=timeout,
        isolate=isolate,
    )
    frame = places.caller()

    def declare(given: F) -> F:
        return declare_function(given, "@step", settings, frame)

    return declare if function is None else declare(function)


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
            f"{decorator} was put on {_article(type(given).__name__)}, which is no function.",
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


def _injected_value(injected: Injected, now: datetime | None, seed: int | None) -> object:
    if injected.kind == "now":
        return now
    if injected.kind == "seed":
        return seed
    if injected.kind == "random":
        return random.Random(seed)  # noqa: S311 - repeatable on purpose
    import numpy as np  # noqa: PLC0415 - only a step that asked for its generator has it

    return np.random.default_rng(seed)


def _looked_at(rows: Iterator[object]) -> tuple[object, Form | None]:
    for first in rows:
        return chain([first], rows), forms.of_item(first)
    return rows, "dicts"


def _article(noun: str) -> str:
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"
