"""Contract: the class users write; its annotations are columns, its rules checks."""

import inspect
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar, get_origin, get_type_hints

import msgspec

from headgate.contracts import checks
from headgate.contracts.checks import Check
from headgate.contracts.rules import Alias, Rule, SeverityName, Strictness, as_rules
from headgate.contracts.specs import ColumnSpec, ContractSpec, Undeclared
from headgate.contracts.types import Annotation, read_annotation
from headgate.errors import HeadgateError, Invalid
from headgate.verdicts import Severity


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


def contract_spec(contract: type[Contract] | ContractSpec) -> ContractSpec:
    """Give the value a contract class built.

    Raises:
        Invalid: ``contract-expected``.
    """
    if isinstance(contract, ContractSpec):
        return contract
    spec = getattr(contract, "__contract__", None)
    if not isinstance(spec, ContractSpec):
        raise Invalid(
            "contract-expected",
            f"{contract!r} is no contract.",
            hint="A contract is a class: class Flight(hg.Contract): ...",
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
        raw = [marker.raw for marker in read.markers if isinstance(marker, Alias)]
        if len(raw) > 1:
            raise Invalid("contract-rule", "it has two column() names.")
        column = ColumnSpec(name=field, type=str(read.type), raw=raw[0] if raw else None)
        return column, tuple(_column_checks(field, read, default))


def _column_checks(field: str, read: Annotation, default: Severity) -> Iterator[Check]:
    strict = [m.severity for m in read.markers if isinstance(m, Strictness)]
    if not read.nullable:
        yield checks.NotNull(column=field, severity=strict[0] if strict else default)
    elif strict:
        raise Invalid("contract-rule", "it has not_null() and allows None.")
    if read.values:
        yield checks.OneOf(column=field, values=read.values, severity=default)
    for marker in read.markers:
        if isinstance(marker, Rule):
            yield _bound(marker, field, default)
        elif callable(marker):
            raise Invalid("contract-rule", f"{marker!r} is no rule; is it missing its brackets?")


def _bound(rule: Rule, field: str, default: Severity) -> Check:
    """Give a field's rule its column and severity."""
    check = msgspec.structs.replace(rule.check, severity=rule.severity or default)
    match check:
        case checks.Between() | checks.OneOf() | checks.Pattern() | checks.Length():
            return msgspec.structs.replace(check, column=field)
        case checks.References(columns=()):
            return msgspec.structs.replace(check, columns=(field,))
        case checks.Unique(columns=()):
            return msgspec.structs.replace(check, columns=(field,))
        case checks.Expression():
            return check
        case _:
            raise Invalid("contract-rule", f"{check.says!r} belongs in the class's rules=.")


def _table_checks(cls: type, rules: Iterable[Rule] | Rule, default: Severity) -> tuple[Check, ...]:
    found: list[Check] = []
    with _naming(cls, "rules"):
        for rule in as_rules(rules):
            check = rule.check
            if isinstance(check, checks.Between | checks.OneOf | checks.Pattern | checks.Length):
                raise Invalid("contract-rule", f"{check.says.strip()!r} belongs on a field.")
            if isinstance(check, checks.References | checks.Unique) and not check.columns:
                raise Invalid(
                    "contract-rule", f"{check.says.strip()!r} names no column of the class."
                )
            severity = rule.severity or default
            if isinstance(check, checks.TableCheck) and rule.severity is None:
                severity = Severity.FAIL if default is Severity.QUARANTINE else default
            found.append(msgspec.structs.replace(check, severity=severity))
    return tuple(found)


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
