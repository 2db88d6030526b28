"""Which checks a difference of rows decides, when a verdict on what was there before is at hand.

Pure: the rows that came and went are counted elsewhere (``key_deltas.py`` has the questions about
keys). Sound whatever was done to the tables: all rows after are those before, without those that
went, with those that came.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from headgate.contracts import checks
from headgate.contracts.judging import EPOCH, EVALUATOR, Measure
from headgate.contracts.specs import ContractSpec
from headgate.verdicts import State, Verdict

_SHARES = (checks.Completeness, checks.CompletenessChange)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowChange:
    """How a table's rows differ from those a verdict was given for.

    ``added`` and ``removed`` count the rows of files that came and went; a row that is in both did
    not change. ``same`` names the columns whose rows in all other files read as they did.
    """

    same: frozenset[str]
    added: int = 0
    removed: int = 0

    @property
    def nothing(self) -> bool:
        """Whether no row came or went."""
        return not (self.added or self.removed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """How each check of a contract is judged after a change.

    ``carried`` measures hold as they are. ``added`` checks are asked of the rows that came, those
    of them in ``removed`` also of the rows that went; ``keys`` are followed key by key; ``full``
    ones are asked of the whole table. ``before`` is what was measured, ``rows`` how many there
    were, ``change`` how the rows changed since.
    """

    full: tuple[str, ...]
    carried: Mapping[str, Measure]
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    keys: tuple[checks.KeyCheck, ...] = ()
    before: Mapping[str, Measure]
    rows: int = 0
    change: RowChange = RowChange(same=frozenset())

    def combined(
        self,
        spec: ContractSpec,
        added: Mapping[str, Measure],
        removed: Mapping[str, Measure],
    ) -> Mapping[str, Measure]:
        """Give the whole table's measures of the ``added`` checks from those of both bags."""
        return {
            name: self._combined(spec.by_name[name], added.get(name), removed.get(name))
            for name in self.added
        }

    def _combined(
        self, check: checks.Check, added: Measure | None, removed: Measure | None
    ) -> Measure:
        old, new = self.before[check.name], added or Measure()
        gone = removed or Measure()
        match check:
            case checks.Rows() | checks.RowsChange():
                count = int(old.measured or 0) + self.change.added - self.change.removed
                return Measure(measured=count)
            case checks.Completeness() | checks.CompletenessChange():
                rows = self.rows + self.change.added - self.change.removed
                known = (
                    _known(old, self.rows)
                    + _known(new, self.change.added)
                    - _known(gone, self.change.removed)
                )
                return Measure(measured=known / rows if rows else None)
            case checks.Freshness():
                found = [m.measured for m in (old, new) if m.measured is not None]
                return Measure(measured=max(found, default=None))
            case _:
                violations = old.violations + new.violations - gone.violations
                shown = new.examples if self.change.removed else (*new.examples, *old.examples)
                return Measure(violations=violations, examples=shown if violations else ())


def delta(
    spec: ContractSpec,
    table: str,
    baseline: Verdict | None,
    changes: Mapping[str, RowChange | None],
) -> Delta:
    """Decide how each check is judged, from a verdict on the contents before.

    Args:
        spec: the contract.
        table: the table's name.
        baseline: the verdict on exactly the contents from which ``changes`` lead here.
        changes: for the table and every table it refers to, how the rows differ; None or absent
            where that is not known.
    """
    names = tuple(spec.by_name)
    change = changes.get(table)
    if (
        baseline is None
        or baseline.contract != spec.digest
        or baseline.evaluator != EVALUATOR
        or baseline.state is not State.PASSED
        or baseline.rows is None
        or change is None
        or not change.same.issuperset(spec.kinds)
    ):
        return Delta(full=names, carried={}, before={})
    before = measures_of(spec, baseline)
    carried: dict[str, Measure] = {}
    added: list[str] = []
    removed: list[str] = []
    keys: list[checks.KeyCheck] = []
    for name, measure in before.items():
        check = spec.by_name[name]
        if isinstance(check, checks.KeyCheck):
            parent = change if isinstance(check, checks.Unique) else changes.get(check.table)
            if parent is None or not parent.same.issuperset(_looked_up(check)):
                continue
            if change.nothing and parent.nothing:
                carried[name] = measure
            else:
                keys.append(check)
        elif change.nothing:
            carried[name] = measure
        elif isinstance(check, checks.Freshness):
            if not change.removed:
                added.append(name)
        else:
            added.append(name)
            if change.removed and (isinstance(check, _SHARES) or measure.violations):
                removed.append(name)
    decided = {*carried, *added, *(check.name for check in keys)}
    return Delta(
        full=tuple(name for name in names if name not in decided),
        carried=carried,
        added=tuple(added),
        removed=tuple(removed),
        keys=tuple(keys),
        before=before,
        rows=baseline.rows,
        change=change,
    )


def measures_of(spec: ContractSpec, verdict: Verdict) -> Mapping[str, Measure]:
    """Give what a verdict's checks had measured; without those that could not be asked then."""
    found: dict[str, Measure] = {}
    for result in verdict.results:
        check = spec.by_name.get(result.check)
        measured = result.measured
        match check:
            case None:
                continue
            case checks.Freshness():
                try:
                    number = _microseconds(measured)
                except ValueError:  # a reason, or beyond the calendar
                    continue
                found[result.check] = Measure(measured=number)
            case (
                checks.Rows()
                | checks.Completeness()
                | checks.RowsChange()
                | checks.CompletenessChange()
            ):
                if not isinstance(measured, str):
                    found[result.check] = Measure(measured=measured)
            case _:
                if measured is None:  # a text says why it could not be asked
                    found[result.check] = Measure(
                        violations=result.violations, examples=result.examples
                    )
    return found


def _looked_up(check: checks.KeyCheck) -> Collection[str]:
    return check.parent_columns if isinstance(check, checks.References) else check.columns


def _known(share: Measure, rows: int) -> int:
    """Give the count a share was made of: rounding finds it for as many rows as there can be."""
    return round((share.measured or 0) * rows)


def _microseconds(text: float | str | None) -> int | None:
    if text is None:
        return None
    return (datetime.fromisoformat(str(text)) - EPOCH) // timedelta(microseconds=1)
