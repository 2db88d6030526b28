"""Forms: as what a step's function takes and gives a table; known by name.

A form is told from an annotation's fully qualified name (``polars.LazyFrame``, wherever the library
keeps the class), never by importing the library: a project whose steps use Polars can be planned,
drawn and found unchanged without Polars being loaded.
"""

import collections.abc
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Literal, TypeAlias

from headgate.errors import Invalid
from headgate.names import table_name

Form: TypeAlias = Literal[
    "polars-lazy", "polars", "arrow", "arrow-reader", "pandas", "duckdb", "dicts", "batches"
]

_CLASSES: Mapping[tuple[str, str], Form] = {
    ("polars", "LazyFrame"): "polars-lazy",
    ("polars", "DataFrame"): "polars",
    ("pyarrow", "Table"): "arrow",
    ("pyarrow", "RecordBatchReader"): "arrow-reader",
    ("pandas", "DataFrame"): "pandas",
    ("duckdb", "DuckDBPyRelation"): "duckdb",
}
"""(top-level package, class) to form; the modules in between move from release to release."""

_PACKAGES = {"_duckdb": "duckdb"}

SPELLINGS: Mapping[Form, str] = {
    "polars-lazy": "polars.LazyFrame",
    "polars": "polars.DataFrame",
    "arrow": "pyarrow.Table",
    "arrow-reader": "pyarrow.RecordBatchReader",
    "pandas": "pandas.DataFrame",
    "duckdb": "duckdb.DuckDBPyRelation",
    "dicts": "Iterator[dict]",
    "batches": "Iterator[pyarrow.RecordBatch]",
}
"""How each form is written as an annotation, for messages."""

PACKAGES: Mapping[Form, str] = {form: package for (package, _), form in _CLASSES.items()} | {
    "batches": "pyarrow"
}
"""The package whose values a form's are: what a function does with them depends on its version."""

_ITERABLES = frozenset(
    {
        collections.abc.Iterable,
        collections.abc.Iterator,
        collections.abc.Generator,
        collections.abc.Sequence,
        collections.abc.Collection,
        list,
        tuple,
    }
)
_SIZED = frozenset({collections.abc.Sequence, collections.abc.Collection, list, tuple})


@dataclass(frozen=True, slots=True)
class TableName:
    """Says which table a parameter is, where its name cannot: ``hg.table("raw.flights")``."""

    name: str


@dataclass(frozen=True, slots=True)
class Incremental:
    """Says that a step wants the rows its input gained since the step's last published run.

    Use ``hg.incremental``, or ``hg.incremental(changes=True)`` for change rows where anything but
    appends happened.
    """

    changes: bool = False

    def __call__(self, *, changes: bool) -> "Incremental":
        """Give the marker with that setting."""
        return replace(self, changes=changes)


@dataclass(frozen=True, slots=True)
class Injection:
    """Says that a value is the run's, not a table: the instant, the seed, a random generator."""

    kind: Literal["now", "seed", "random", "numpy-random"]


Now: TypeAlias = Annotated[datetime, Injection("now")]
"""The run's instant, aware, in UTC: ``def ages(people: pl.LazyFrame, now: hg.Now)``. Recorded."""

Seed: TypeAlias = Annotated[int, Injection("seed")]
"""The run's seed: ``def sample(rows: pl.LazyFrame, seed: hg.Seed)``. Recorded."""

incremental = Incremental()
"""The marker: ``Annotated[pl.LazyFrame, hg.incremental]``."""


def table(name: str) -> TableName:
    """Name the table a parameter stands for: ``Annotated[pl.LazyFrame, hg.table("raw.flights")]``.

    Raises:
        Invalid: ``bad-table-name``.
    """
    return TableName(table_name(name))


@dataclass(frozen=True, slots=True)
class Unresolved:
    """A name in an annotation that is not there at run time: it stands behind ``TYPE_CHECKING``.

    ``dotted`` is what it would be (``polars.LazyFrame``), ``statement`` the import that would bring
    it, None where the file has none. Takes part in type expressions like a class.
    """

    dotted: str
    statement: str | None = None

    def __getattr__(self, name: str) -> "Unresolved":
        if name.startswith("__"):
            raise AttributeError(name)
        return Unresolved(f"{self.dotted}.{name}", self.statement)

    def __getitem__(self, _: object) -> "Unresolved":
        return self

    def __call__(self) -> None:
        """Do nothing; ``typing`` takes only callables for types."""

    def __or__(self, other: object) -> object:
        return typing.Union[self, other]  # noqa: UP007 - self is no class

    def __ror__(self, other: object) -> object:
        return typing.Union[other, self]  # noqa: UP007


@dataclass(frozen=True, slots=True)
class Kind:
    """What an annotation says: a form, and whether it must be a list rather than any iterable."""

    form: Form
    sized: bool = False


def of_class(dotted: str) -> Form | None:
    """Give the form a class stands for, by its fully qualified name."""
    package, _, rest = dotted.partition(".")
    return _CLASSES.get((_PACKAGES.get(package, package), rest.rpartition(".")[2]))


def of_annotation(annotation: object) -> Kind | None:
    """Give the form an annotation stands for, None where it is no form of a table.

    >>> from collections.abc import Iterator
    >>> of_annotation(Iterator[dict[str, object]]).form
    'dicts'
    """
    if isinstance(annotation, typing.TypeAliasType if hasattr(typing, "TypeAliasType") else ()):
        return of_annotation(annotation.__value__)
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return of_annotation(typing.get_args(annotation)[0])
    if origin in _ITERABLES:
        arguments = typing.get_args(annotation)
        item = _item_form(arguments[0]) if arguments else None
        return None if item is None else Kind(item, sized=origin in _SIZED)
    if isinstance(annotation, Unresolved):
        form = of_class(annotation.dotted)
    elif isinstance(annotation, type):
        form = of_class(f"{annotation.__module__}.{annotation.__qualname__}")
    else:
        form = None
    return None if form is None else Kind(form)


def of_value(value: object) -> Form | None:
    """Give the form of a table a function returned, None where it is no table.

    An iterator of dicts and one of batches look alike from outside: both are ``dicts`` here, and
    the caller, who may look at the first item, decides.
    """
    for kind in type(value).__mro__:
        form = of_class(f"{kind.__module__}.{kind.__qualname__}")
        if form is not None:
            return form
    if isinstance(value, collections.abc.Iterator):
        return "dicts"
    if isinstance(value, (list, tuple)):
        return "dicts" if not value else of_item(value[0])
    return None


def of_item(item: object) -> Form | None:
    """Give the form of an iterable, by one of its items."""
    if isinstance(item, Mapping):
        return "dicts"
    kind = type(item)
    return _item_form(Unresolved(f"{kind.__module__}.{kind.__qualname__}"))


def injection(annotation: object) -> Injection | None:
    """Give what of the run an annotation asks for, None where it asks for nothing."""
    if typing.get_origin(annotation) is typing.Annotated:
        kind, *marks = typing.get_args(annotation)
        return next((mark for mark in marks if isinstance(mark, Injection)), None) or injection(
            kind
        )
    if isinstance(annotation, Unresolved):
        dotted = annotation.dotted
    elif isinstance(annotation, type):
        dotted = f"{annotation.__module__}.{annotation.__qualname__}"
    else:
        return None
    if dotted == "random.Random":
        return Injection("random")
    if dotted.startswith("numpy.random") and dotted.endswith(".Generator"):
        return Injection("numpy-random")
    return None


def members(annotation: object) -> Sequence[object]:
    """Give the members of a union, or the annotation alone."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return typing.get_args(annotation)
    return (annotation,)


def _item_form(item: object) -> Form | None:
    origin = typing.get_origin(item) or item
    if origin is typing.Any:
        return None
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return "dicts"
    dotted = (
        origin.dotted
        if isinstance(origin, Unresolved)
        else f"{getattr(origin, '__module__', '')}.{getattr(origin, '__qualname__', '')}"
    )
    package, _, rest = dotted.partition(".")
    if package == "pyarrow" and rest.rpartition(".")[2] == "RecordBatch":
        return "batches"
    return None


def unknown(what: str, annotation: object, place: object) -> Invalid:
    """Give the error for an annotation that names no form."""
    if isinstance(annotation, Unresolved) and annotation.statement is not None:
        return Invalid(
            "form-behind-type-checking",
            f"{what} ({place}) is annotated with {annotation.dotted}, which is no form "
            "known by name and is imported under `if TYPE_CHECKING:` only.",
            hint=f"Move `{annotation.statement}` out of the `if TYPE_CHECKING:` block.",
            annotation=annotation.dotted,
        )
    if isinstance(annotation, Unresolved):
        return Invalid(
            "annotation-undefined",
            f"{what} ({place}) is annotated with {annotation.dotted}, which is not defined there.",
            hint="Import the name at the top of the file.",
            annotation=annotation.dotted,
        )
    return Invalid(
        "form-unknown",
        f"{what} ({place}) is annotated with {_spelling(annotation)}, which is no form of a table.",
        hint=f"Use one of {', '.join(SPELLINGS.values())}.",
        annotation=_spelling(annotation),
    )


def _spelling(annotation: object) -> str:
    return annotation.__qualname__ if isinstance(annotation, type) else str(annotation)
