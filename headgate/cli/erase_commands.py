"""``erase``: take a person's rows out of the whole history, for good."""

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from headgate.cli.options import Call, command
from headgate.cli.phrases import counted, short, short_run, size
from headgate.cli.tables import aligned
from headgate.errors import Invalid

if TYPE_CHECKING:
    from headgate.runs import Erased

_SHOWN = 10


@click.command()
@click.argument("tables", metavar="TABLE...", nargs=-1, required=True)
@click.option("--where", required=True, metavar="CONDITION", help="Which rows, in SQL.")
@click.option("--reason", metavar="TEXT", help="Why, without saying who; it is kept.")
@click.option("--plan", "only_plan", is_flag=True, help="Say what would go, and do nothing.")
@click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(min=0),
    default=0,
    metavar="SECONDS",
    help="Wait so long for readers of the files.",
)
@command()
def erase(
    call: Call,
    tables: tuple[str, ...],
    *,
    where: str,
    reason: str | None,
    only_plan: bool,
    wait_s: float,
) -> None:
    """Erase rows from every commit, for good.

    They go from all branches, tags and runs, from the tables' quarantine, from statistics, records
    and logs. Commits keep their ids. What is out of reach is named.
    """
    if only_plan:
        done = call.project.plan_erase(tables, where)
    elif reason is None:
        raise Invalid(
            "reason-missing",
            "An erasure is for good, and says why: the certificate keeps the reason.",
            hint='Add --reason "ticket 1234"; or look first: --plan',
        )
    else:
        wait = timedelta(seconds=wait_s)
        done = call.project.erase(tables, where, reason=reason, wait=wait)
    if call.json:
        call.terminal.document(erased_document(done))
        return
    for line in _lines(done, only_plan=only_plan):
        call.terminal.data(line)


def _lines(done: "Erased", *, only_plan: bool) -> Iterator[str]:
    if done.finished_earlier:
        yield "Did what an erasure had left to do when it was stopped."
    if done.found_nothing:
        yield "No file of the lake holds such rows."
        return
    rows = [
        (each.table, f"{each.rows:,}", f"{each.copies:,}", f"{each.files:,}", size(each.size_bytes))
        for each in done.tables
        if each.copies
    ]
    names = ("table", "rows", "in all versions", "files", "bytes")
    yield from aligned(names, rows, right=names[1:])
    runs = ", ".join(short_run(run) for run in done.runs[:_SHOWN])
    more = f" and {len(done.runs) - _SHOWN:,} more" if len(done.runs) > _SHOWN else ""
    if done.runs:
        yield f"Not reproducible any more: {counted(len(done.runs), 'run')}: {runs}{more}"
    if done.derived:
        yield f"Computed from these rows, and left as they are: {', '.join(done.derived)}"
        yield "  If they hold such rows, name them too; or compute them anew:  headgate run --force"
    for line in done.broken:
        yield f"A contract fails now: {line}"
    yield "Out of reach:"
    yield from (f"  {each}" for each in done.not_reached)
    if only_plan:
        yield "Nothing was changed."
        return
    yield f"Erased from {counted(done.commits, 'commit')}, which keep their ids."
    commit = short(done.commit.id if done.commit else None)
    yield f"Certificate {done.certificate} in {done.target}@{commit}"
    yield f"  It names the condition by its digest with this salt, which is not kept: {done.salt}"


def erased_document(done: "Erased") -> dict[str, object]:
    """Give an erasure as JSON."""
    return {
        "id": done.id,
        "at": done.at,
        "target": done.target,
        "commit": done.commit.id if done.commit else None,
        "certificate": done.certificate,
        "salt": done.salt,
        "tables": [
            {
                "table": each.table,
                "rows": each.rows,
                "copies": each.copies,
                "files": each.files,
                "bytes": each.size_bytes,
            }
            for each in done.tables
        ],
        "commits": done.commits,
        "runs": list(done.runs),
        "derived": list(done.derived),
        "broken": list(done.broken),
        "not_reached": list(done.not_reached),
        "finished_earlier": done.finished_earlier,
    }
