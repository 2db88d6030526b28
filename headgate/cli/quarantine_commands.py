"""``quarantine list`` and ``quarantine show``: rows that were set aside, and why."""

from importlib import import_module

import click

from headgate.cli.options import Call, command, ref_option
from headgate.cli.phrases import counted
from headgate.cli.tables import aligned

_FORMATS = ("table", "csv", "json", "jsonl", "parquet")
_SHOWN_ROWS = 20


@click.group()
def quarantine() -> None:
    """Look at rows that were set aside. No row is ever dropped in silence."""


@quarantine.command("list")
@ref_option("The ref to look at.")
@command()
def list_quarantine(call: Call, ref: str | None) -> None:
    """Count the rows in quarantine, by table and reason."""
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
    for line in aligned(("table", "rows", "because"), rows, right=("rows",)):
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
