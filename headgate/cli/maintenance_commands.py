"""Maintenance: ``table compact`` and ``maintain``."""

from collections.abc import Iterable
from threading import Lock
from typing import TYPE_CHECKING

import click

from headgate.cli.options import Call, command, named
from headgate.cli.phrases import counted, duration, short, size
from headgate.cli.tables import aligned
from headgate.events import Event, StepProgressed

if TYPE_CHECKING:
    from headgate.cli.terminal import Terminal
    from headgate.runs import Compaction, CompactionPlan

_branch = click.option(
    "--ref", metavar="BRANCH", callback=named, help="The branch. [default: lake.target]"
)
_plan = click.option(
    "--plan", "only_plan", is_flag=True, help="Say what would be done, and do nothing."
)


@click.command()
@click.argument("tables", metavar="[TABLE]...", nargs=-1)
@_plan
@_branch
@command()
def compact(call: Call, tables: tuple[str, ...], ref: str | None, *, only_plan: bool) -> None:
    """Rewrite small files of tables into files of 128 to 512 MB; all tables if none is named.

    Rows stay as they are, in a commit of their own. Runs and readers go on meanwhile. The old
    files stay on disk as long as commits refer to them.
    """
    _compact(call, tables, ref, only_plan=only_plan, due=False)


@click.command()
@_plan
@_branch
@command()
def maintain(call: Call, ref: str | None, *, only_plan: bool) -> None:
    """Do what is due: compact tables of too many small files.

    A partition is due with lake.compact_after files of about one size. Publications have it done
    behind them; where that is switched off, run this from time to time.
    """
    _compact(call, (), ref, only_plan=only_plan, due=True)


def _compact(
    call: Call, tables: tuple[str, ...], ref: str | None, *, only_plan: bool, due: bool
) -> None:
    project = call.project
    if only_plan:
        plans = project.plan_compaction(*tables, target=ref, due=due)
        if call.json:
            call.terminal.document({"tables": [plan_document(plan) for plan in plans]})
        else:
            _show_plans(call.terminal, plans)
        return
    progress = _Progress(call.terminal)
    try:
        done = project.compact(
            *tables, target=ref, due=due, listeners=(progress,), done=progress.finished
        )
    finally:
        progress.close()
    if call.json:
        call.terminal.document({"tables": [compaction_document(each) for each in done]})
    elif not any(each.commits or each.busy for each in done):
        call.terminal.words("Nothing to do: no small files lie beside each other.")


def _show_plans(terminal: "Terminal", plans: Iterable["CompactionPlan"]) -> None:
    rows = [
        (
            plan.table,
            f"{plan.files:,}",
            f"{plan.files_to_rewrite:,}",
            size(plan.bytes_to_rewrite),
            f"{len(plan.groups):,}",
        )
        for plan in plans
        if plan.groups
    ]
    if not rows:
        terminal.words("Nothing to do: no small files lie beside each other.")
        return
    names = ("table", "files", "to rewrite", "size", "groups")
    for line in aligned(names, rows, right=names[1:]):
        terminal.data(line)


class _Progress:
    """Tells each table when it is finished, and on a terminal what is under way."""

    def __init__(self, terminal: "Terminal") -> None:
        self._terminal = terminal
        self._lock = Lock()
        self._shown = ""

    def __call__(self, event: Event) -> None:
        if isinstance(event, StepProgressed) and self._terminal.moves:
            with self._lock:
                self._show(f"  {event.step}   {counted(event.rows, 'row')} rewritten")

    def finished(self, done: "Compaction") -> None:
        """Tell one table."""
        with self._lock:
            self._show("")
            if done.commits or done.busy:
                self._terminal.words(said(done))

    def close(self) -> None:
        """Take the moving line away."""
        with self._lock:
            self._show("")

    def _show(self, line: str) -> None:
        if self._terminal.moves and (line or self._shown):
            self._terminal.err.write("\r" + line.ljust(len(self._shown)) + ("" if line else "\r"))
            self._terminal.err.flush()
        self._shown = line


def said(done: "Compaction") -> str:
    """Say what became of a table in one line."""
    parts = []
    if done.commits:
        was = f"{counted(done.files_removed, 'file')} ({size(done.bytes_removed)})"
        now = f"{done.files_added:,} ({size(done.bytes_added)})"
        commits = ", ".join(short(commit) for commit in done.commits)
        parts.append(
            f"Compacted {done.table}: {was} into {now} as {commits}, {duration(done.wall_s)}"
        )
    if done.busy:
        parts.append(f"{done.table} is left as it is: {done.busy}")
    return ". ".join(parts) + "."


def compaction_document(done: "Compaction") -> dict[str, object]:
    """Give what became of a table as JSON."""
    return {
        "table": done.table,
        "branch": done.target,
        "commits": list(done.commits),
        "files_before": done.files_before,
        "files_after": done.files_after,
        "files_removed": done.files_removed,
        "files_added": done.files_added,
        "bytes_removed": done.bytes_removed,
        "bytes_added": done.bytes_added,
        "rows": done.rows,
        "wall_s": done.wall_s,
        "busy": done.busy,
    }


def plan_document(plan: "CompactionPlan") -> dict[str, object]:
    """Give a plan as JSON; files by their paths in the lake."""
    return {
        "table": plan.table,
        "branch": plan.target,
        "files": plan.files,
        "size_bytes": plan.size_bytes,
        "groups": [
            {
                "partition": dict(group.files[0].partition),
                "files": [file.path for file in group.files],
                "rows": group.rows,
                "size_bytes": group.size_bytes,
            }
            for group in plan.groups
        ],
    }
