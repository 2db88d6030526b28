"""``sql``: any query over the tables of one commit, streamed to stdout."""

import sys
from importlib import import_module

import click

from headgate.cli.options import Call, command, ref_option
from headgate.errors import Invalid

FORMATS = ("table", "csv", "json", "jsonl", "parquet")
_SCREENFUL = 100


@click.command()
@click.argument("query", required=False)
@ref_option("The ref to read.")
@click.option("--format", "form", type=click.Choice(FORMATS), help="[default: table]")
@click.option("-n", "--limit", type=click.IntRange(min=0), help="At most so many rows; 0 is all.")
@click.option("-p", "--param", "params", multiple=True, metavar="NAME=VALUE", help="Binds $NAME.")
@command()
def sql(
    call: Call,
    query: str | None,
    ref: str | None,
    form: str | None,
    limit: int | None,
    params: tuple[str, ...],
) -> None:
    """Query the tables of one commit. QUERY is SQL of the engine; - reads it from stdin.

    A terminal shows the first rows; a file or a pipe gets all of them.
    Rejected rows are in "_quarantine"."flights".
    """
    if query is None or query == "-":
        query = _from_stdin(call)
    form = form or ("json" if call.json else "table")
    ref = ref or call.project.settings.target
    if limit is None and form == "table" and call.terminal.out_is_live:
        limit = _SCREENFUL
    # Arrow is loaded when there is something to query, not when the command is named.
    write_rows = import_module("headgate.cli.row_formats").write_rows
    with call.project.at(ref).sql(query, _parameters(params)).reader() as reader:
        cut = write_rows(reader, form, call.terminal, limit=limit or None)
    if cut and call.terminal.err_is_live:
        call.terminal.words(f"The first {limit:,} rows. All: --limit 0, or into a file.")


def _from_stdin(call: Call) -> str:
    stdin = sys.stdin
    if stdin is None or stdin.isatty():
        raise Invalid(
            "no-query",
            "There is no query.",
            hint='headgate sql "select ..."  or  headgate sql < query.sql',
        )
    del call
    return stdin.read()


def _parameters(given: tuple[str, ...]) -> dict[str, object]:
    values: dict[str, object] = {}
    for assignment in given:
        name, equals, text = assignment.partition("=")
        if not equals or not name:
            raise Invalid(
                "parameter-unreadable",
                f"{assignment!r} gives no parameter a value.",
                hint="Write --param name=value.",
                text=assignment,
            )
        values[name] = text
    return values
