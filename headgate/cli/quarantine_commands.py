"""``quarantine``: rows that were set aside, why, and what becomes of them."""

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from headgate.cli.options import Call, command, named, ref_option
from headgate.cli.phrases import counted, short
from headgate.cli.run_commands import follow
from headgate.cli.shown_by_name import ShownByName
from headgate.cli.tables import aligned

if TYPE_CHECKING:
    from headgate.runs import RunResult

_FORMATS = ("table", "csv", "json", "jsonl", "parquet")
_SHOWN_ROWS = 20


@click.group(cls=ShownByName, invoke_without_command=True)
@ref_option("The ref to look at.")
@command()
def quarantine(call: Call, ref: str | None) -> None:
    """Count, look at, mend and replay rows that were set aside.

    No row is ever dropped in silence.
    """
    if click.get_current_context().invoked_subcommand is None:
        _list(call, ref)


def _chosen_rows(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command what chooses rows of a table's quarantine, and the branch."""
    for option in reversed(
        (
            click.argument("table"),
            click.option("--because", metavar="CHECK", help="Only rows that violate this check."),
            click.option("--where", metavar="SQL", help="Only rows for which this is true."),
            click.option(
                "--branch",
                metavar="NAME",
                callback=named,
                help="The branch to publish to. [default: lake.target]",
            ),
        )
    ):
        function = option(function)
    return function


@quarantine.command("list")
@ref_option("The ref to look at.")
@command()
def list_quarantine(call: Call, ref: str | None) -> None:
    """Count the rows in quarantine, by table and reason."""
    _list(call, ref)


def _list(call: Call, ref: str | None) -> None:
    view = call.project.at(ref or call.project.settings.target)
    counts = [
        (table, reason, rows)
        for table in view.quarantines
        for reason, rows in view.quarantine_reasons(table).items()
    ]
    if call.json:
        call.terminal.document(
            {
                "ref": view.ref,
                "commit": view.commit.id,
                "quarantine": [
                    {"table": table, "rows": rows, "reasons": view.quarantine_reasons(table)}
                    for table, rows in view.quarantines.items()
                ],
            }
        )
        return
    if not counts:
        call.terminal.words(f"No row is in quarantine at {view.ref}.")
        return
    rows = [(table, f"{count:,}", reason) for table, reason, count in counts]
    for line in aligned(
        ("table", "rows", "because"), rows, right=("rows",), width=call.terminal.width
    ):
        call.terminal.data(line)


@quarantine.command("show")
@click.argument("table")
@ref_option("The ref to look at.")
@click.option("--because", metavar="CHECK", help="Only rows that violate this check.")
@click.option("--format", "form", type=click.Choice(_FORMATS), help="[default: table]")
@click.option("-n", "--limit", type=click.IntRange(min=0), help="At most so many rows; 0 is all.")
@command()
def show_quarantine(
    call: Call,
    table: str,
    ref: str | None,
    because: str | None,
    form: str | None,
    limit: int | None,
) -> None:
    """Show the rows set aside from TABLE: where they stood, what they violate, the row itself.

    The formats for programs have the run, step, attempt, instant and contract, too.
    """
    view = call.project.at(ref or call.project.settings.target)
    handle = view.quarantine(table)
    form = form or ("json" if call.json else "table")
    if limit is None and form == "table" and call.terminal.out_is_live:
        limit = _SHOWN_ROWS
    # Arrow is loaded when there are rows to show, not when the command is named.
    formats = import_module("headgate.cli.row_formats")
    with view.quarantined(table, because=because).reader() as reader:
        rows = formats.rejected_rows(reader) if form == "table" else reader
        cut = formats.write_rows(rows, form, call.terminal, limit=limit or None)
    if cut:
        first = counted(limit or 0, "row")
        if because is None:
            first = f"{limit} of {counted(handle.rows, 'row')}"
        call.terminal.words(f"The first {first}. All: --limit 0, or into a file.")


@quarantine.command("replay")
@_chosen_rows
@click.option("--overwrite", is_flag=True, help="Also rows whose keys were written again since.")
@command()
def replay_quarantine(
    call: Call,
    table: str,
    because: str | None,
    where: str | None,
    branch: str | None,
    *,
    overwrite: bool,
) -> None:
    """Put rows of TABLE through the repaired contract once more.

    In one commit, accepted rows come to the table and leave the quarantine, and the steps after the
    table run; rows that are rejected again stay, with their new reasons. SQL sees a row as it came,
    and _position, _checks, _attempt, _run, _step, _quarantined_at and _id.
    """
    follow(
        call,
        lambda project, listener: project.quarantine(table, ref=branch).replay(
            because=because, where=where, overwrite=overwrite, listeners=(listener,)
        ),
        nothing="Nothing to do: another replay has taken the rows",
    )


@quarantine.command("edit")
@_chosen_rows
@click.option(
    "--set",
    "values",
    metavar="COLUMN=SQL",
    multiple=True,
    required=True,
    help="A column and its new value, as in  --set \"tailnum = 'N1'\"; may be repeated.",
)
@command()
def edit_quarantine(
    call: Call,
    table: str,
    because: str | None,
    where: str | None,
    branch: str | None,
    values: tuple[str, ...],
) -> None:
    """Give rows set aside from TABLE other values, ready to be replayed.

    SQL sees a row as it came. A record that was no row becomes one of exactly these values.
    """
    handle = call.project.quarantine(table, ref=branch)
    result = handle.edit(*values, because=because, where=where)
    _say(call, table, result, "mended", f"headgate quarantine replay {table}")


@quarantine.command("discard")
@_chosen_rows
@click.option("--reason", metavar="TEXT", required=True, help="Why; it is kept in the commit.")
@command()
def discard_quarantine(
    call: Call,
    table: str,
    because: str | None,
    where: str | None,
    branch: str | None,
    reason: str,
) -> None:
    """Take rows set aside from TABLE out for good, and say why.

    History keeps them.
    """
    handle = call.project.quarantine(table, ref=branch)
    result = handle.discard(reason=reason, because=because, where=where)
    _say(call, table, result, "discarded", None)


def _say(call: Call, table: str, result: "RunResult", done: str, then: str | None) -> None:
    rows = sum(step.rows_in for step in result.steps)
    if call.json:
        document = {"table": table, "rows": rows, "commit": result.commit.id}
        call.terminal.document({**document, "target": result.target, "run": result.id})
        return
    commit = short(result.commit.id)
    where = f"{result.target} as {commit}"
    call.terminal.words(f"{counted(rows, 'row')} of {table} {done}, on {where}.")
    if then is not None:
        call.terminal.words(f"Then:    {then}")
