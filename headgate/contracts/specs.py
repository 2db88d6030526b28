"""ContractSpec: a contract as a value, whatever it was written in; what the lake stores."""

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Literal, TypeAlias, get_args

import msgspec

from headgate.contracts import checks, validity
from headgate.contracts.checks import Check, NotNull, Typed
from headgate.contracts.types import ColumnType, parse_type
from headgate.digests import digest
from headgate.errors import Corrupt, Invalid
from headgate.names import suggestion
from headgate.verdicts import Severity

Undeclared: TypeAlias = Literal["keep", "refuse", "drop"]

FORMAT = 1
"""The version of the stored form. A reader refuses what is newer."""

_HIDDEN = re.compile(r"_(mask|position|rows|raw\..*)\Z")


class ColumnSpec(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """One column. ``type`` is Iceberg's text; ``raw`` its name where it comes from, if another."""

    name: str
    type: str
    raw: str | None = None
    description: str | None = None

    @property
    def kind(self) -> ColumnType:
        """The column's type as a value."""
        return parse_type(self.type)

    @property
    def source(self) -> str:
        """The name the column has where it comes from."""
        return self.raw or self.name


class ContractSpec(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    dict=True,
):
    """Columns, checks, and what happens to columns nobody declared. Valid once built.

    Built from a ``Contract`` class by ``contract_spec``, from a mapping (YAML) by ``from_dict``.
    Two specs are equal when their digests are.

    Raises:
        Invalid: ``contract-...``, naming the contract, the column and the check.
    """

    name: str
    columns: tuple[ColumnSpec, ...]
    checks: tuple[Check, ...] = ()
    undeclared: Undeclared = "keep"
    description: str | None = None
    format: int = FORMAT

    def __post_init__(self) -> None:
        if not self.columns:
            raise Invalid("contract-empty", f"{self.name} declares no column.", contract=self.name)
        if self.undeclared not in get_args(Undeclared):
            raise Invalid(
                "contract-rule",
                f"{self.name}: undeclared={self.undeclared!r}.",
                hint="It is 'keep', 'refuse' or 'drop'.",
                contract=self.name,
            )
        self._check_columns()
        self._check_checks()

    def _check_columns(self) -> None:
        seen: dict[str, str] = {}
        raw: dict[str, str] = {}
        for column in self.columns:
            problem = None
            if not column.name or _HIDDEN.match(column.name):
                problem = f"{column.name!r} cannot name a column."
            elif twin := seen.get(column.name.casefold()):
                problem = f"{twin} and {column.name} are one name to SQL."
            elif twin := raw.get(column.source):
                problem = f"{twin} and {column.name} are both {column.source!r} in the source."
            if problem:
                raise Invalid("contract-column", f"{self.name}: {problem}", contract=self.name)
            seen[column.name.casefold()] = column.name
            raw[column.source] = column.name
            column.kind  # noqa: B018 - refuses an unknown type

    def _check_checks(self) -> None:
        kinds = {column.name: column.kind for column in self.columns}
        seen: set[str] = set()
        for check in self.checks:
            for column in check.reads:
                if column not in kinds:
                    close = suggestion(column, kinds)
                    raise Invalid(
                        "contract-unknown-column",
                        f"{self.name}: the check {check.name!r} reads {column!r}, no column of it.",
                        hint=f"Did you mean {close!r}?"
                        if close
                        else f"Columns: {', '.join(kinds)}.",
                        contract=self.name,
                    )
            try:
                problem = validity.problem(check, kinds)
            except Invalid as error:
                error.message = f"{self.name}: {check.name!r}: {error.message}"
                raise
            if problem:
                raise Invalid(
                    "contract-rule", f"{self.name}: {check.name!r}: {problem}", contract=self.name
                )
            if check.name in seen:
                raise Invalid(
                    "contract-duplicate-check",
                    f"{self.name}: two checks are called {check.name!r}.",
                    hint="Take one out, or give one a name=.",
                    contract=self.name,
                )
            seen.add(check.name)

    @cached_property
    def digest(self) -> str:
        """The contract's identity: equal digest, equal meaning.

        Names, descriptions and the order of checks do not count; the order of columns does.
        """
        anonymous = msgspec.structs.replace(
            self,
            name="",
            description=None,
            columns=tuple(msgspec.structs.replace(c, description=None) for c in self.columns),
            checks=tuple(sorted(self.checks, key=_encoder.encode)),
        )
        return digest("contract", _encoder.encode(anonymous))

    @cached_property
    def kinds(self) -> Mapping[str, ColumnType]:
        """Each column's type, in order."""
        return {column.name: column.kind for column in self.columns}

    @cached_property
    def by_name(self) -> Mapping[str, Check]:
        """The checks by their names, in order."""
        return {check.name: check for check in self.checks}

    @property
    def references(self) -> tuple[str, ...]:
        """The parent tables the contract's checks look into, each once, in order."""
        parents = (c.table for c in self.checks if isinstance(c, checks.References))
        return tuple(dict.fromkeys(parents))

    @property
    def splits_by_parents(self) -> tuple[str, ...]:
        """The parent tables whose rows decide which rows go to quarantine."""
        deciding = (c for c in self.checks if isinstance(c, checks.References))
        found = (c.table for c in deciding if c.severity is Severity.QUARANTINE)
        return tuple(dict.fromkeys(found))

    @property
    def splits_by_keys(self) -> bool:
        """Whether rows that are there already decide which new ones go to quarantine."""
        keys = (c for c in self.checks if isinstance(c, checks.Unique))
        return any(c.severity is Severity.QUARANTINE for c in keys)

    @property
    def compared_over(self) -> int:
        """How many earlier publications the contract's checks compare with at most."""
        return max((c.over for c in self.checks if isinstance(c, checks.ChangeCheck)), default=0)

    @property
    def nullable(self) -> frozenset[str]:
        """The columns in which NULL is no violation."""
        strict = {check.column for check in self.checks if isinstance(check, NotNull)}
        return frozenset(column.name for column in self.columns if column.name not in strict)

    @property
    def required(self) -> Mapping[str, str]:
        """The columns in which a NULL fails the run, each with the name of the check."""
        strict = (check for check in self.checks if isinstance(check, NotNull))
        return {check.column: check.name for check in strict if check.severity is Severity.FAIL}

    def typed(self, column: str) -> Typed:
        """Give the check that raw values of a column can be read; every column has one."""
        return Typed(column=column, type=str(self.kinds[column]))

    def to_json(self) -> str:
        """Give the stored form: canonical JSON."""
        return _encoder.encode(self).decode()

    def to_dict(self) -> dict[str, object]:
        """Give the stored form as a mapping."""
        document = msgspec.to_builtins(self)
        if not isinstance(document, dict):
            raise TypeError(document)
        return document

    @classmethod
    def from_json(cls, text: str | bytes) -> "ContractSpec":
        """Read the stored form.

        Raises:
            Corrupt: ``contract-unreadable``, also where a newer version wrote it.
        """
        try:
            return msgspec.json.decode(text, type=cls)
        except (msgspec.MsgspecError, Invalid) as error:
            raise Corrupt(
                "contract-unreadable", f"A stored contract cannot be read: {error}",
                hint="A newer version of headgate may have written it.",
            ) from error  # fmt: skip

    @classmethod
    def from_dict(cls, document: Mapping[str, object]) -> "ContractSpec":
        """Read a contract from a mapping of the stored form's shape, as YAML gives it.

        Raises:
            Invalid: ``contract-document``, or what building it raises.
        """
        try:
            return msgspec.convert(document, type=cls)
        except msgspec.ValidationError as error:
            if isinstance(error.__cause__, Invalid):
                raise error.__cause__ from None
            name = document.get("name", "without a name")
            raise Invalid("contract-document", f"Contract {name}: {error}.") from error


_encoder = msgspec.json.Encoder(order="sorted")
