"""What became of a contract: weaker, stronger, or another promise, and whom that breaks.

Backward: what satisfied the old contract satisfies the new one; producers and old rows go on.
Forward: what satisfies the new one satisfies the old one; consumers go on.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import msgspec

from headgate.contracts import checks
from headgate.contracts.specs import ContractSpec
from headgate.contracts.types import ColumnType
from headgate.contracts.validity import comparable
from headgate.verdicts import Severity

Direction: TypeAlias = Literal["same", "weaker", "stronger", "breaking"]
"""``breaking`` is neither: some rows pass only the old contract, others only the new one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that two contracts say differently, and in which direction."""

    what: str
    direction: Direction

    @property
    def backward(self) -> bool:
        """Whether what satisfied the old contract satisfies this of the new one."""
        return self.direction in {"same", "weaker"}

    @property
    def forward(self) -> bool:
        """Whether what satisfies this of the new contract satisfied the old one."""
        return self.direction in {"same", "stronger"}


def differences(old: ContractSpec, new: ContractSpec) -> tuple[Difference, ...]:
    """Give what two contracts say differently; empty where they are one."""
    return (*_columns(old, new), *_undeclared(old, new), *_checks(old, new))


def overall(found: tuple[Difference, ...]) -> Direction:
    """Give the direction of a contract whose differences these are."""
    backward = all(each.backward for each in found)
    forward = all(each.forward for each in found)
    if backward:
        return "same" if forward else "weaker"
    return "stronger" if forward else "breaking"


def _columns(old: ContractSpec, new: ContractSpec) -> Iterator[Difference]:
    before = {column.name: column for column in old.columns}
    after = {column.name: column for column in new.columns}
    for name, column in before.items():
        now = after.get(name)
        if now is None:
            direction: Direction = "breaking" if new.undeclared == "refuse" else "weaker"
            yield Difference(what=f"column {name} is gone", direction=direction)
            continue
        if now.type != column.type:
            what = f"{name} is {now.type}, it was {column.type}"
            yield Difference(what=what, direction="breaking")
        if now.source != column.source:
            what = f"{name} comes from {now.source!r}, it came from {column.source!r}"
            yield Difference(what=what, direction="breaking")
    for name, column in after.items():
        if name not in before:
            yield Difference(what=f"column {name} {column.type} is new", direction="stronger")


def _undeclared(old: ContractSpec, new: ContractSpec) -> Iterator[Difference]:
    if new.undeclared == old.undeclared:
        return
    direction: Direction = "weaker"  # what a reader found there is gone, or anything may be there
    if new.undeclared == "refuse":
        direction = "stronger"
    elif (old.undeclared, new.undeclared) == ("drop", "keep"):
        direction = "same"
    what = f"undeclared columns: {new.undeclared}, it was {old.undeclared}"
    yield Difference(what=what, direction=direction)


def _checks(old: ContractSpec, new: ContractSpec) -> Iterator[Difference]:
    before, after = _paired(old), _paired(new)
    for key, check in before.items():
        if key not in after:
            what = f"no longer: {check.says}"
            yield Difference(what=what, direction="same" if _warns(check) else "weaker")
            continue
        now = after[key]
        if now == check:
            continue
        if check.says != now.says:
            kind = new.kinds.get(getattr(now, "column", ""))
            what = f"{now.says}, it was: {check.says}"
            direction = _direction(check, now, kind)
            yield Difference(
                what=what, direction="same" if _warns(check) and _warns(now) else direction
            )
        if check.severity is not now.severity:
            yield _severity(check, now)
    for key, check in after.items():
        if key not in before:
            yield Difference(
                what=f"new: {check.says}", direction="same" if _warns(check) else "stronger"
            )


def _severity(check: checks.Check, now: checks.Check) -> Difference:
    what = f"{now.says}: {now.severity}, it was {check.severity}"
    if _warns(check) == _warns(now):
        return Difference(what=what, direction="same")
    return Difference(what=what, direction="stronger" if _warns(check) else "weaker")


def _warns(check: checks.Check) -> bool:
    return check.severity is Severity.WARN


def _paired(spec: ContractSpec) -> Mapping[tuple[object, ...], checks.Check]:
    """Give the checks by what they are about, so that a changed one is found again."""
    found: dict[tuple[object, ...], checks.Check] = {}
    for check in spec.checks:
        about = check.reads if not isinstance(check, checks.Expression | checks.Pattern) else ()
        key: tuple[object, ...] = (type(check).__name__, *about)
        if isinstance(check, checks.Expression | checks.Pattern):
            key = (*key, check.given_name or check.says)
        if isinstance(check, checks.References):
            key = (*key, check.table, *check.parent_columns)
        while key in found:
            key = (*key, "again")
        found[key] = check
    return found


def _direction(  # noqa: PLR0911 - a table of checks
    old: checks.Check, new: checks.Check, kind: ColumnType | None
) -> Direction:
    match old, new:
        case checks.Between(), checks.Between() if kind is not None:
            low, high = _read(kind, old.low), _read(kind, old.high)
            return _ranges((low, high), (_read(kind, new.low), _read(kind, new.high)))
        case checks.Length(), checks.Length():
            return _ranges((old.at_least, old.at_most), (new.at_least, new.at_most))
        case checks.Rows(), checks.Rows():
            return _ranges((old.at_least, old.at_most), (new.at_least, new.at_most))
        case checks.Completeness(), checks.Completeness():
            return _ranges((old.at_least, None), (new.at_least, None))
        case checks.Freshness(), checks.Freshness():
            return _ranges((None, old.max_age_s), (None, new.max_age_s))
        case checks.RowsChange(), checks.RowsChange() if old.over == new.over:
            return _ranges((old.low, old.high), (new.low, new.high))
        case checks.CompletenessChange(), checks.CompletenessChange() if old.over == new.over:
            return _ranges((old.low, old.high), (new.low, new.high))
        case checks.OneOf(), checks.OneOf():
            was, now = set(old.values), set(new.values)
            return "weaker" if was < now else "stronger" if now < was else "breaking"
        case _:
            anonymous = msgspec.structs.replace(new, given_name=old.given_name)
            return "same" if anonymous == old else "breaking"


def _read(kind: ColumnType, end: checks.Scalar | None) -> object:
    return None if end is None else comparable(kind, end)


def _ranges(old: tuple[object, object], new: tuple[object, object]) -> Direction:
    """Compare closed ranges; None is no limit."""
    narrower = wider = False
    above: tuple[Callable[[object, object], bool], ...] = (_greater, lambda a, b: _greater(b, a))
    for was, now, beyond in zip(old, new, above, strict=True):
        if was == now:
            continue
        if was is None or (now is not None and beyond(now, was)):
            narrower = True
        else:
            wider = True
    if narrower and wider:
        return "breaking"
    return "stronger" if narrower else "weaker" if wider else "same"


def _greater(one: object, other: object) -> bool:
    return bool(one > other)  # type: ignore[operator]
