"""Judging: measures in, a verdict out. Pure: the same measures give the same verdict."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median

from headgate.contracts import checks
from headgate.contracts.layouts import Schema, layout_problems, unanswerable
from headgate.contracts.specs import ContractSpec
from headgate.digests import digest_json
from headgate.errors import Internal
from headgate.verdicts import CheckResult, Severity, State, Verdict

EVALUATOR = "headgate-contracts/1"
"""Which rules judged. It changes whenever equal contract and content could be judged otherwise."""

MAX_EXAMPLES = 5
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """What was counted for one check.

    ``violations``: rows for checks of rows, keys and references, 0 for those of tables, which
    ``measured``
    decides: the number of rows, the share that is complete, the newest instant (microseconds since
        1970).
    """

    violations: int = 0
    measured: float | None = None
    examples: tuple[Mapping[str, object], ...] = ()


def judge(
    spec: ContractSpec,
    table: str,
    measures: Mapping[str, Measure],
    *,
    contents: Mapping[str, str],
    now: datetime,
    schema: Schema,
    tables: Mapping[str, Schema],
    baseline: Mapping[str, str] | None = None,
    history: Mapping[str, Sequence[float]] | None = None,
    rows: int | None = None,
) -> Verdict:
    """Judge a table's content.

    Args:
        spec: the contract.
        table: the table's name in the lake.
        measures: one per check that ``questions`` asked, by the check's name.
        contents: content ids of every table that was read, by key.
        now: the instant for which the verdict is given; aware.
        schema: the table's columns and their type texts.
        tables: the same for every table there is that the contract refers to.
        baseline: content ids of the entries that were compared with.
        history: what checks that compare had measured before, by name; newest first.
        rows: how many rows the table has.

    Raises:
        Internal: ``contract-unanswered``, a check has neither a measure nor a reason why not.
    """
    results: list[CheckResult] = []
    if problems := layout_problems(spec, schema):
        problem = CheckResult(
            check=checks.LAYOUT,
            severity=Severity.FAIL,
            violations=len(problems),
            measured="; ".join(problems),
            threshold="as declared",
        )
        results.append(problem)
    cannot = unanswerable(spec, schema, tables)
    until: list[datetime] = []
    for check in spec.checks:
        if reason := cannot.get(check.name):
            severity = Severity.WARN if check.severity is Severity.WARN else Severity.FAIL
            results.append(
                CheckResult(check=check.name, severity=severity, violations=1, measured=reason)
            )
            continue
        measure = measures.get(check.name)
        if measure is None:
            raise Internal(
                "contract-unanswered", f"{spec.name}: {check.name!r} was never measured."
            )
        if isinstance(check, checks.ChangeCheck):
            results.append(_compared(check, measure, (history or {}).get(check.name, ())))
            continue
        result, holds_until = _result(check, measure, now)
        results.append(result)
        if holds_until is not None:
            until.append(holds_until)
    failed = any(not r.passed and r.severity is not Severity.WARN for r in results)
    return Verdict(
        table=table,
        contract=spec.digest,
        evaluator=EVALUATOR,
        contents=dict(contents),
        baseline=dict(baseline or {}),
        state=State.FAILED if failed else State.PASSED,
        results=tuple(results),
        rows=rows,
        valid_until=min(until) if until else None,
    )


def _result(
    check: checks.Check, measure: Measure, now: datetime
) -> tuple[CheckResult, datetime | None]:
    """Give one check's result, and until when time alone leaves it as it is."""
    until: datetime | None = None
    measured: float | str | None = measure.measured
    violations = measure.violations
    match check:
        case checks.Rows(at_least=at_least, at_most=at_most):
            count = int(measure.measured or 0)
            violations = int(
                (at_least is not None and count < at_least)
                or (at_most is not None and count > at_most)
            )
            measured = count
        case checks.Completeness(at_least=at_least):
            violations = int(measure.measured is not None and measure.measured < at_least)
        case checks.Freshness(max_age_s=max_age_s):
            measured, until, violations = _freshness(measure.measured, max_age_s, now)
        case _:
            pass
    severity = check.severity
    if severity is Severity.QUARANTINE and violations:
        # A row that should have been set aside is in the table: it came another way, or by a merge.
        severity = Severity.FAIL
    result = CheckResult(
        check=check.name,
        severity=severity,
        violations=violations,
        measured=measured,
        threshold=check.says,
        examples=measure.examples[:MAX_EXAMPLES],
    )
    return result, until


def _compared(check: checks.ChangeCheck, measure: Measure, history: Sequence[float]) -> CheckResult:
    """Judge a change; what was never published before has none."""
    measured, threshold, violated = measure.measured, check.says, False
    before = history[: check.over]
    if not before or measured is None:
        threshold += "; nothing to compare with yet"
    else:
        middle = median(before)
        change = measured - middle
        if isinstance(check, checks.RowsChange) and change:
            change = change / middle if middle else math.inf
        violated = (check.low is not None and change < check.low) or (
            check.high is not None and change > check.high
        )
        threshold += f"; it was {middle:.10g}"
    return CheckResult(
        check=check.name,
        severity=check.severity,
        violations=int(violated),
        measured=measured,
        threshold=threshold,
    )


def _freshness(
    newest_us: float | None, max_age_s: float, now: datetime
) -> tuple[str | None, datetime | None, int]:
    if newest_us is None:
        return None, None, 1
    try:
        newest = EPOCH + timedelta(microseconds=int(newest_us))
        until = newest + timedelta(seconds=max_age_s)
    except OverflowError:
        return "beyond the calendar", None, int(newest_us < 0)
    if now > until:
        return newest.isoformat(), None, 1
    return newest.isoformat(), until, 0


def verdict_key(verdict: Verdict) -> str:
    """Give the digest under which a verdict may be found again: equal key, equal outcome."""
    return digest_json(
        [verdict.contract, dict(verdict.contents), dict(verdict.baseline), verdict.evaluator]
    )


def still_valid(
    verdict: Verdict,
    spec: ContractSpec,
    *,
    contents: Mapping[str, str],
    now: datetime,
    baseline: Mapping[str, str] | None = None,
) -> bool:
    """Say whether a verdict holds for these contents now, so that nothing need be judged again.

    A failed verdict of a contract with a freshness check can pass by no passing of time, so it
    holds, too.
    """
    return (
        verdict.contract == spec.digest
        and verdict.evaluator == EVALUATOR
        and dict(verdict.contents) == dict(contents)
        and dict(verdict.baseline) == dict(baseline or {})
        and (verdict.valid_until is None or now <= verdict.valid_until)
    )
