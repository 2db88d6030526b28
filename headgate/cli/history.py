"""The history in words: commits and runs, in a line or whole, and as JSON."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from headgate.cli.changes import is_table, matters, table_of, written
from headgate.cli.phrases import counted, duration, instant, short, short_run, shortened
from headgate.cli.terminal import Terminal
from headgate.errors import NotFound
from headgate.lake import Commit, RunRow, StepRow, Write
from headgate.verdicts import Verdict

if TYPE_CHECKING:
    from headgate.lake import Lake

_LISTED_TABLES = 4


def changed_tables(lake: "Lake", commit: Commit) -> tuple[str, ...]:
    """Give the tables that are others than in the commit before.

    Where either was swept away, those it wrote, as its record tells them.
    """
    if commit.parent is None:
        return ()
    try:
        changes = tuple(lake.tree(lake.commit(commit.parent)).diff(lake.tree(commit)))
    except NotFound:
        wrote = [w.key for w in commit.record.writes if w.before != w.content and is_table(w.key)]
        return tuple(sorted({table_of(key) for key in wrote}))
    return tuple(table_of(change.key) for change in changes if matters(change))


def commit_line(commit: Commit, tables: Sequence[str], terminal: Terminal) -> str:
    """Give a commit in a line: id, instant, who, what."""
    record = commit.record
    parts = [terminal.style_data(short(commit.id), "notice"), instant(record.at), _who(commit)]
    if tables:
        listed = ", ".join(tables[:_LISTED_TABLES])
        more = f" and {len(tables) - _LISTED_TABLES} more" if len(tables) > _LISTED_TABLES else ""
        parts.append(f"{counted(len(tables), 'table')}: {listed}{more}")
    if record.message and record.kind != "checkpoint":
        parts.append(shortened(record.message.splitlines()[0]))
    return "  ".join(parts)


def commit_lines(commit: Commit, tables: Sequence[str], terminal: Terminal) -> Iterator[str]:
    """Give a commit whole."""
    record = commit.record
    yield f"{terminal.style_data('commit ' + commit.id, 'notice')}"
    yield f"  {_who(commit)}, {instant(record.at)} UTC"
    if record.base:
        again = f", {counted(record.attempts, 'attempt')}" if record.attempts > 1 else ""
        yield f"  on {short(record.base)}, {record.isolation}{again}"
    if record.message and record.kind != "checkpoint":
        yield f"  {shortened(record.message)}"
    if record.reverts:
        runs = dict.fromkeys(short_run(each) for each in record.reverts)
        yield f"  takes back {', '.join(runs)}"
    writes = _writes(commit)
    width = max(map(len, tables), default=0)
    if tables:
        yield ""
        for table in tables:
            said = ", ".join(map(written, writes.get(table, ())))
            yield f"  {table.ljust(width)}  {said}".rstrip()
    if record.steps:
        yield ""
        width = max(len(step.step) for step in record.steps)
        for step in record.steps:
            if step.skipped:
                yield f"  step {step.step.ljust(width)}  as in {short(step.skipped.commit)}"
                continue
            aside = f", {step.rows_quarantined:,} quarantined" if step.rows_quarantined else ""
            rows = counted(step.rows_out, "row")
            yield f"  step {step.step.ljust(width)}  {rows}{aside}, {duration(step.wall_s)}"
    if record.verdicts:
        yield ""
        for verdict in record.verdicts:
            yield f"  contract of {verdict.table}: {verdict_phrase(verdict)}"
            for result in verdict.warnings:
                yield f"    warning: {result.check}, {counted(result.violations, 'row')}"


def verdict_phrase(verdict: Verdict) -> str:
    """Say how a verdict ended: ``passed, 7 checks, 1 warning``."""
    parts = [verdict.state.value, counted(len(verdict.results), "check")]
    if verdict.failures:
        parts.append(f"{len(verdict.failures)} failed")
    if verdict.warnings:
        parts.append(counted(len(verdict.warnings), "warning"))
    return ", ".join(parts)


def run_lines(run: RunRow, steps: tuple[StepRow, ...], terminal: Terminal) -> Iterator[str]:
    """Give a run whole: its state, its steps, why it ended."""
    yield f"{terminal.style_data('run ' + run.id, 'notice')}  {run.state.value}"
    yield f"  {run.pipeline} for {run.target}, began {instant(run.began)} UTC, on {short(run.base)}"
    if run.commit:
        yield f"  published as {short(run.commit)}"
    width = max((len(step.step) for step in steps), default=0)
    if steps:
        yield ""
    for step in steps:
        commit = f"  {short(step.commit)}" if step.commit else ""
        again = f"  attempt {step.attempt}" if step.attempt > 1 else ""
        yield f"  step {step.step.ljust(width)}  {step.state.value}{commit}{again}"
        if step.reason:
            yield f"    {first_line(step.reason.get('message'))}"
    if run.reason:
        yield ""
        for line in str(run.reason.get("message", "")).splitlines():
            yield f"  {line}"


def first_line(text: object) -> str:
    """Give a text's first line."""
    return str(text or "").partition("\n")[0]


def commit_document(commit: Commit, tables: Sequence[str]) -> dict[str, object]:
    """Give a commit as JSON."""
    record = commit.record
    return {
        "commit": commit.id,
        "parent": commit.parent,
        "number": commit.number,
        "at": record.at,
        "kind": record.kind,
        "run": record.run,
        "pipeline": record.pipeline,
        "message": record.message,
        "author": record.author,
        "base": record.base,
        "isolation": record.isolation,
        "attempts": record.attempts,
        "reverts": list(record.reverts),
        "tables": list(tables),
        "steps": [
            {
                "step": step.step,
                "skipped": step.skipped.commit if step.skipped else None,
                "commit": step.commit,
                "rows_in": step.rows_in,
                "rows_out": step.rows_out,
                "rows_quarantined": step.rows_quarantined,
                "wall_s": step.wall_s,
                "cpu_s": step.cpu_s,
                "reads": sorted({read.key for read in step.reads}),
                "writes": [write.key for write in step.writes],
            }
            for step in record.steps
        ],
        "verdicts": [verdict_document(verdict) for verdict in record.verdicts],
    }


def verdict_document(verdict: Verdict) -> dict[str, object]:
    """Give a verdict as JSON."""
    return {
        "table": verdict.table,
        "contract": verdict.contract,
        "state": verdict.state,
        "rows": verdict.rows,
        "valid_until": verdict.valid_until,
        "checks": [
            {
                "check": result.check,
                "severity": result.severity,
                "violations": result.violations,
                "measured": result.measured,
                "threshold": result.threshold,
                "examples": list(result.examples),
            }
            for result in verdict.results
        ],
    }


def run_document(run: RunRow, steps: tuple[StepRow, ...] = ()) -> dict[str, object]:
    """Give a run's row as JSON."""
    return {
        "run": run.id,
        "pipeline": run.pipeline,
        "state": run.state,
        "target": run.target,
        "branch": run.branch,
        "base": run.base,
        "commit": run.commit,
        "began": run.began,
        "reason": dict(run.reason) if run.reason else None,
        "steps": [
            {
                "step": step.step,
                "state": step.state,
                "attempt": step.attempt,
                "commit": step.commit,
                "reason": dict(step.reason) if step.reason else None,
            }
            for step in steps
        ],
    }


def in_order(steps: Iterable[StepRow]) -> tuple[StepRow, ...]:
    """Give steps in the order in which they began; those that never did come last."""
    return tuple(sorted(steps, key=lambda step: (step.started is None, step.started, step.step)))


def _writes(commit: Commit) -> dict[str, list[Write]]:
    """Give what the commit did to each table."""
    found: dict[str, list[Write]] = {}
    for write in commit.record.writes:
        if is_table(write.key):
            found.setdefault(table_of(write.key), []).append(write)
    return found


def _who(commit: Commit) -> str:
    record = commit.record
    if record.kind == "genesis":
        return "the first commit"
    kind = "" if record.kind == "run" else f"{record.kind} by "
    run = f"run {short_run(record.run)}" if record.run else ""
    pipeline = f" ({record.pipeline})" if record.pipeline else ""
    author = f" by {record.author}" if record.author else ""
    return f"{kind}{run}{pipeline}{author}".strip()
