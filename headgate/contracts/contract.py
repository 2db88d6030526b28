"""Contract: the class users write; its annotations are columns, its rules checks."""

import inspect
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar, TypeAlias, get_origin, get_type_hints

from headgate.contracts.building import column_checks, column_of, table_checks
from headgate.contracts.checks import Check
from headgate.contracts.rules import Rule, SeverityName, as_rules
from headgate.contracts.specs import ColumnSpec, ContractSpec, Undeclared
from headgate.contracts.types import read_annotation
from headgate.errors import HeadgateError, Invalid
from headgate.verdicts import Severity

if TYPE_CHECKING:
    from pydantic import BaseModel

AnyContract: TypeAlias = "type[Contract | BaseModel] | ContractSpec | str"
"""How steps and sources name a contract: a class, a Pydantic model, or a file in contracts/."""


class Contract:
    """What a table promises: subclass it and annotate the columns.

    ``int`` forbids NULL, ``int | None`` allows it; rules stand in ``Annotated``; rules over several
    columns and over the table in ``rules=``. ``undeclared`` says what happens to columns the class
    does not name: ``keep``, ``refuse`` or ``drop``. ``severity`` is that of every rule without its
    own: ``fail``, ``quarantine`` (rows) or ``warn``. A subclass of a contract has its columns and
    rules, too.

    >>> class Delay(Contract, rules=(unique("flight"),)):
    ...     flight: int
    ...     minutes: Annotated[int | None, between(-60, 1500)]

    Raises:
        Invalid: ``contract-...``, naming class, field and rule, when the class is defined.
    """

    __contract__: ClassVar[ContractSpec]
    _of_fields: ClassVar[Mapping[str, tuple[ColumnSpec, tuple[Check, ...]]]] = {}
    _of_table: ClassVar[tuple[Check, ...]] = ()

    def __init_subclass__(
        cls,
        *,
        rules: Iterable[Rule] | Rule = (),
        undeclared: Undeclared | None = None,
        severity: SeverityName | None = None,
        **kwargs: object,
    ) -> None:
        super().__init_subclass__(**kwargs)
        parents = [
            base
            for base in cls.__mro__[:0:-1]
            if issubclass(base, Contract) and base is not Contract
        ]
        if undeclared is None:
            undeclared = parents[-1].__contract__.undeclared if parents else "keep"
        default = _severity(cls, severity)
        fields: dict[str, tuple[ColumnSpec, tuple[Check, ...]]] = {}
        of_table: tuple[Check, ...] = ()
        for parent in parents:
            fields |= parent._of_fields  # noqa: SLF001 - its own class
            of_table += tuple(check for check in parent._of_table if check not in of_table)  # noqa: SLF001
        fields |= {
            field: _field(cls, field, annotation, default)
            for field, annotation in _annotations(cls)
        }
        of_table += _table_checks(cls, rules, default)
        cls._of_fields, cls._of_table = fields, of_table
        cls.__contract__ = ContractSpec(
            name=cls.__name__,
            columns=tuple(column for column, _ in fields.values()),
            checks=(*(check for _, own in fields.values() for check in own), *of_table),
            undeclared=undeclared,
            description=_description(cls),
        )

    def __new__(cls) -> "Contract":  # noqa: PYI034 - it never gives one
        """Refuse: a contract describes rows and is none.

        Raises:
            TypeError: always.
        """
        raise TypeError(f"{cls.__name__} is a contract: it describes rows, it does not hold one.")


def contract_spec(contract: "type[Contract | BaseModel] | ContractSpec") -> ContractSpec:
    """Give the value a contract class built, or that of a Pydantic model.

    Raises:
        Invalid: ``contract-expected``; ``contract-model``, what of a model columns cannot do.
    """
    if isinstance(contract, ContractSpec):
        return contract
    if isinstance(contract, type) and hasattr(contract, "__pydantic_decorators__"):
        from headgate.contracts.pydantic_models import spec_of_model  # noqa: PLC0415 - 0.1 s

        return spec_of_model(contract)
    spec = getattr(contract, "__contract__", None)
    if not isinstance(spec, ContractSpec):
        raise Invalid(
            "contract-expected",
            f"{contract!r} is no contract.",
            hint="A contract is a class, class Flight(hg.Contract): ..., a Pydantic model, or the "
            "name of a file in contracts/.",
        )
    return spec


def _annotations(cls: type) -> Iterator[tuple[str, object]]:
    """Give the class's own fields and their annotations, resolved."""
    own = inspect.get_annotations(cls)
    if not any(isinstance(annotation, str) for annotation in own.values()):
        hints = own
    else:
        module = sys.modules.get(cls.__module__)
        names = dict(vars(module)) if module else {}
        try:
            hints = get_type_hints(
                cls, globalns=names, localns=dict(vars(cls)), include_extras=True
            )
        except NameError as error:
            raise Invalid(
                "contract-annotation",
                f"{cls.__name__}: annotations use {error.name!r}, which the module does not know.",
                hint="Import it at the top of the module, not under TYPE_CHECKING.",
                contract=cls.__name__,
            ) from error
    for field in own:
        if ClassVar not in (hints[field], get_origin(hints[field])):
            yield field, hints[field]


def _field(
    cls: type, field: str, annotation: object, default: Severity
) -> tuple[ColumnSpec, tuple[Check, ...]]:
    """Read one field: its column and its checks."""
    with _naming(cls, field):
        read = read_annotation(annotation)
        return column_of(field, read), tuple(column_checks(field, read, default))


def _table_checks(cls: type, rules: Iterable[Rule] | Rule, default: Severity) -> tuple[Check, ...]:
    with _naming(cls, "rules"):
        return tuple(table_checks(as_rules(rules), default))


class _naming:  # noqa: N801 - used like a function
    """Put class and field in front of what goes wrong inside."""

    def __init__(self, cls: type, field: str) -> None:
        self._at = f"{cls.__name__}.{field}"
        self._contract = cls.__name__
        self._field = field

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, HeadgateError):
            error.message = f"{self._at}: {error.message}"
            error.facts = {**error.facts, "contract": self._contract, "field": self._field}


def _severity(cls: type, severity: str | None) -> Severity:
    try:
        return Severity(severity or "fail")
    except ValueError:
        raise Invalid(
            "contract-rule", f"{cls.__name__}: severity={severity!r}: "
            "it is 'fail', 'quarantine' or 'warn'.", contract=cls.__name__,
        ) from None  # fmt: skip


def _description(cls: type) -> str | None:
    own = cls.__dict__.get("__doc__")
    return inspect.cleandoc(own) if own else None
