"""Steps: what computes one table, as values.

Nothing here runs anything by itself: a step is called by the hall (``Step.call``), with the tables
its function asked for, in the forms it asked for.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING, Literal, cast

from headgate.errors import Internal, StepFailed
from headgate.pipelines import forms
from headgate.pipelines.declared_steps import Mode, SourceDeclaration, with_article
from headgate.pipelines.forms import Form
from headgate.pipelines.parameters import Parameter, group_of
from headgate.pipelines.places import Place
from headgate.records import RecordRules
from headgate.secrets import Reveal, Secret, no_secrets

if TYPE_CHECKING:
    from headgate.contracts import ContractSpec


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
                    f"{with_article(type(returned).__name__)}.",
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
                f"Step {self.name} returned {with_article(type(returned).__name__)}, which is no "
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
