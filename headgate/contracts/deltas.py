"""Which checks need only the added rows, when a verdict for the table before is at hand."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from headgate.contracts import checks
from headgate.contracts.judging import EVALUATOR, Measure
from headgate.contracts.specs import ContractSpec
from headgate.verdicts import State, Verdict

APPEND = "append"
REWRITE = "rewrite"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """How a contract is judged after a change.

    ``added`` checks are asked of the added rows only, and ``combined`` with the verdict before;
    ``full`` ones of the whole table.
    """

    added: tuple[str, ...]
    full: tuple[str, ...]
    before: Mapping[str, Measure]

    def combined(self, added: Mapping[str, Measure]) -> Mapping[str, Measure]:
        """Give the measures of the whole table from those of the added rows."""
        found: dict[str, Measure] = {}
        for name in self.added:
            old, new = self.before[name], added[name]
            measured = new.measured
            if old.measured is not None and new.measured is not None:
                measured = old.measured + new.measured
            found[name] = Measure(
                violations=old.violations + new.violations,
                measured=measured,
                examples=(*new.examples, *old.examples),
            )
        return found


def delta(
    spec: ContractSpec, operations: Collection[str], baseline: Verdict | None, *, same_schema: bool
) -> Delta:
    """Decide which checks the added rows decide.

    Sound only from a verdict of the same contract on the content before, when nothing but appends
    happened since (``operations`` are their tags; rewriting files changes no row) and the schema is
    the same. Checks of rows and row counts add up. Keys, references, freshness and shares are
    judged in full.

    Args:
        spec: the contract.
        operations: the tags of everything done to the table since the baseline's content.
        baseline: the verdict on the content before, None where there is none.
        same_schema: whether columns and types are those the baseline was judged with.
    """
    names = tuple(spec.by_name)
    usable = (
        baseline is not None
        and baseline.contract == spec.digest
        and baseline.evaluator == EVALUATOR
        and baseline.state is State.PASSED
        and same_schema
        and set(operations) <= {APPEND, REWRITE}
    )
    if not usable or baseline is None:
        return Delta(added=(), full=names, before={})
    before: dict[str, Measure] = {}
    for result in baseline.results:
        check = spec.by_name.get(result.check)
        if isinstance(check, checks.Rows) and isinstance(result.measured, int | float):
            before[result.check] = Measure(measured=result.measured)
        elif isinstance(check, checks.RowCheck):
            before[result.check] = Measure(violations=result.violations, examples=result.examples)
    added = tuple(name for name in names if name in before)
    return Delta(added=added, full=tuple(n for n in names if n not in before), before=before)
