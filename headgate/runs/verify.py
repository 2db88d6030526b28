"""Verification: the contracts of the tree that would be published, judged on exactly that tree.

What is judged: every contract of a table that changed, or that looks up in a table that changed, or
that changed itself. What was counted while the rows were written is not counted again, and a
contract whose contents are those of an earlier verdict is not judged again.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from headgate.contracts import (
    EVALUATOR,
    ContractSpec,
    Measure,
    judge,
    questions,
)
from headgate.errors import CheckFailed, Internal
from headgate.events import ContractJudged
from headgate.lake import Commit, Entry, Tree, contract_key, operations_by_key, plain, table_key
from headgate.runs.attempt import Attempt
from headgate.runs.outputs import reference_key
from headgate.runs.rejudging import measured_by_delta
from headgate.runs.row_changes import changes_of
from headgate.runs.standing_verdicts import measured_before, standing_key, standing_verdict
from headgate.runs.wiring import Wiring
from headgate.verdicts import State, Verdict

REFERENCES = "reference/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A contract on one tree: what it reads there, by content.

    ``baseline`` names the verdict that checks of changes compare with, as it is before the tree.
    """

    table: str
    spec: ContractSpec
    contents: Mapping[str, str]
    baseline: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> tuple[object, ...]:
        """Equal key, equal verdict (while its time lasts)."""
        read = (tuple(sorted(each.items())) for each in (self.contents, self.baseline))
        return (self.table, self.spec.digest, EVALUATOR, *read)


def cases_of(tree: Tree, changed: Mapping[str, object]) -> list[Case]:
    """Give the contracts that changes of these keys put in question on a tree."""
    tables: dict[str, None] = {}
    for key in changed:
        kind, _, name = key.partition("/")
        if kind == "table":
            tables[name] = None
            tables.update(
                (child.rpartition("/")[2], None) for child in tree.keys(reference_key(name, ""))
            )
        elif kind == "contract":
            tables[name] = None
    return [case for table in sorted(tables) if (case := case_of(tree, table)) is not None]


def case_of(tree: Tree, table: str) -> Case | None:
    """Give a table's contract on a tree, None where it has none, or is not there."""
    stored = tree.get(contract_key(table))
    if stored is None or stored.data is None or tree.get(table_key(table)) is None:
        return None
    spec = ContractSpec.from_json(stored.data)
    contents = {
        table_key(name): entry.content
        for name in (table, *spec.references)
        if (entry := tree.get(table_key(name))) is not None
    }
    standing = tree.get(standing_key(table)) if spec.compared_over else None
    baseline = {standing_key(table): standing.content} if standing is not None else {}
    return Case(table=table, spec=spec, contents=contents, baseline=baseline)


class Verifier:
    """Judges the trees one attempt wants to publish; remembers what it has judged."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._known: dict[tuple[object, ...], Verdict] = {}
        self.footprint: tuple[str, ...] = ()

    def wants(self, tree: Tree, changes: Mapping[str, Entry | None]) -> bool:
        """Whether a contract must be judged for this tree; sets ``footprint``, its keys."""
        cases = cases_of(tree, changes)
        self.footprint = tuple(sorted({key for case in cases for key in case.contents}))
        return any(self._remembered(case) is None for case in cases)

    def judge(
        self, tree: Tree, changes: Mapping[str, Entry | None], *, head: Commit
    ) -> tuple[Verdict, ...]:
        """Judge what changes put in question.

        Raises:
            CheckFailed: ``checks-failed``, with every violated check.
        """
        attempt = self._attempt
        verdicts = []
        for case in cases_of(tree, changes):
            verdict = self._remembered(case)
            if verdict is None:
                began = attempt.wiring.clock.monotonic_s()
                verdict = judge_case(
                    attempt.wiring,
                    tree,
                    case,
                    head=head,
                    measured=self._measured(tree, case, head),
                )
                self._known[case.key] = verdict
                attempt.wiring.tell(
                    ContractJudged(
                        run=attempt.id,
                        at=attempt.wiring.clock.now(),
                        verdict=verdict,
                        wall_s=attempt.wiring.clock.monotonic_s() - began,
                    )
                )
            verdicts.append(verdict)
        failed = [verdict for verdict in verdicts if verdict.state is State.FAILED]
        if failed:
            raise self._failure(failed, verdicts, head)
        return tuple(verdicts)

    def _measured(self, tree: Tree, case: Case, head: Commit) -> Mapping[str, Measure]:
        """Give what is known of a case: counted while it was written, or by delta from the head."""
        attempt = self._attempt
        if measured := attempt.measured(case.table, case.contents):
            return measured
        there = attempt.wiring.lake.tree(head)
        names = (case.table, *case.spec.references)
        before = {name: there.get(table_key(name)) for name in names}
        contents = {table_key(n): entry.content for n, entry in before.items() if entry is not None}
        baseline = standing_verdict(attempt.wiring.lake, head, case.table, contents)
        if baseline is None:
            return {}
        done = operations_by_key(step.record for step in attempt.done.values())
        return measured_by_delta(
            attempt.wiring,
            case.spec,
            case.table,
            baseline=baseline,
            changes=changes_of(
                attempt.wiring.lake.tables,
                before,
                {name: tree.get(table_key(name)) for name in names},
                {name: done.get(table_key(name), ()) for name in names},
            ),
        )

    def _remembered(self, case: Case) -> Verdict | None:
        known = self._known.get(case.key)
        now = self._attempt.wiring.clock.now()
        if known is None or (known.valid_until is not None and known.valid_until < now):
            return None
        return known

    def _failure(
        self, failed: Sequence[Verdict], verdicts: Sequence[Verdict], head: Commit
    ) -> CheckFailed:
        attempt = self._attempt
        lines = [line for verdict in failed for line in violation_lines(verdict)]
        others = dict(self._last_writers(failed, head))
        if others:
            told = "; ".join(
                f"{table} was last changed by run {run}" for table, run in others.items()
            )
            lines.append(f"This is run {attempt.id}; {told}.")
        return CheckFailed(
            "checks-failed",
            "\n".join(lines),
            verdicts=tuple(verdicts),
            failed=[verdict.table for verdict in failed],
            runs=[attempt.id, *others.values()],
        )

    def _last_writers(self, failed: Sequence[Verdict], head: Commit) -> Iterator[tuple[str, str]]:
        """Give the tables of failed contracts that another run changed last, with that run."""
        attempt = self._attempt
        for key in sorted({key for verdict in failed for key in verdict.contents}):
            table = key.removeprefix("table/")
            if attempt.wrote(key) and not any(
                key in {w.key for w in commit.record.writes}
                for commit in attempt.wiring.lake.window(head, since=attempt.base.number)
            ):
                continue
            for commit in attempt.wiring.lake.log(head, table=table):
                if commit.record.kind == "maintenance":
                    continue  # it changed files, no row
                if commit.record.run is not None:
                    yield table, commit.record.run
                break


def judge_case(
    wiring: Wiring,
    tree: Tree,
    case: Case,
    *,
    head: Commit | None = None,
    measured: Mapping[str, Measure] | None = None,
) -> Verdict:
    """Judge one contract on a tree, asking only for what is not measured already.

    ``head`` is the commit before the tree: what checks of changes compare with.
    """
    spec, table = case.spec, case.table
    entries = {name: tree.get(table_key(name)) for name in (table, *spec.references)}
    schemas = {
        name: {column.name: plain(column.type) for column in entry.table.schema}
        for name, entry in entries.items()
        if entry is not None and entry.table is not None
    }
    entry = entries[table]
    if entry is None or entry.table is None:
        raise Internal("no-table", f"{table} has a contract and is no table.")
    schema = schemas[table]
    measures: dict[str, Measure] = dict(measured or {})
    asked = questions(
        spec,
        table,
        schema=schema,
        tables=schemas,
        only=[check.name for check in spec.checks if check.name not in measures],
    )
    with closing(wiring.engine().session()) as session:
        tables = wiring.lake.tables
        session.bind({n: tables.scan(e) for n, e in entries.items() if e is not None})
        for question in asked:
            measures.update(question.read(session.scalars(question.sql)))
    return judge(
        spec,
        table,
        measures,
        contents=case.contents,
        baseline=case.baseline,
        history=measured_before(wiring.lake, head, table, spec) if spec.compared_over else None,
        now=wiring.clock.now(),
        schema=schema,
        tables=schemas,
        rows=entry.table.rows,
    )


def violation_lines(verdict: Verdict) -> list[str]:
    """Give a line for each failed check: what, how many rows, and an example."""
    lines = []
    for result in verdict.failures:
        example = ""
        if result.examples:
            shown = ", ".join(f"{name}={value!r}" for name, value in result.examples[0].items())
            example = f", for example ({shown})"
        if result.violations > 1 or result.examples:
            rows = "1 row" if result.violations == 1 else f"{result.violations:,} rows"
            lines.append(f"{verdict.table}: {result.check}: {rows}{example}")
        else:
            lines.append(
                f"{verdict.table}: {result.check}: {result.measured}, not {result.threshold}"
            )
    return lines
