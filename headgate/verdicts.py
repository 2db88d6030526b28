"""What checks found: values that contracts judge, runs record and everybody shows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Severity(StrEnum):
    """What a check does on a violation; nothing is ever dropped silently."""

    FAIL = "fail"
    QUARANTINE = "quarantine"
    WARN = "warn"


class State(StrEnum):
    """A contract's judged outcome for one exact content."""

    PASSED = "passed"
    FAILED = "failed"
    WAIVED = "waived"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """One check's outcome.

    ``violations`` counts rows for row checks, and is 0 or 1 for table checks. ``measured`` and
    ``threshold`` are what a person compares. ``examples`` are up to five violating rows, JSON-able.
    """

    check: str
    severity: Severity
    violations: int
    measured: float | str | None = None
    threshold: str | None = None
    examples: tuple[Mapping[str, object], ...] = ()

    @property
    def passed(self) -> bool:
        """Whether nothing was violated, whatever the severity."""
        return self.violations == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A contract's outcome for exactly the contents it names.

    ``contents`` maps the key of every table the judgement read to its content id; ``baseline`` the
    same for entries of the commit before, where a check compares. The key of a verdict is all of
    (contract digest, contents, baseline, evaluator): equal key, equal outcome.
    """

    table: str
    contract: str
    evaluator: str
    contents: Mapping[str, str]
    state: State
    results: tuple[CheckResult, ...] = ()
    baseline: Mapping[str, str] = field(default_factory=dict)
    rows: int | None = None
    valid_until: datetime | None = None

    @property
    def failures(self) -> tuple[CheckResult, ...]:
        """The violated checks of severity ``fail``."""
        return tuple(r for r in self.results if not r.passed and r.severity is Severity.FAIL)

    @property
    def warnings(self) -> tuple[CheckResult, ...]:
        """The violated checks of severity ``warn``."""
        return tuple(r for r in self.results if not r.passed and r.severity is Severity.WARN)
