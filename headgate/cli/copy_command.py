"""``copy``: rows from any source to any sink in one line."""

import os
from pathlib import Path

import click

from headgate import project
from headgate.cli.options import Call, command
from headgate.cli.phrases import counted, duration
from headgate.clock import SystemClock
from headgate.errors import Invalid, NotFound
from headgate.names import RandomIds


@click.command()
@click.argument("source", metavar="FROM")
@click.argument("sink", metavar="TO")
@click.option("--append", is_flag=True, help="Add the rows to those that are there.")
@click.option("--upsert", metavar="KEY", help="Change rows by these columns, comma between them.")
@click.option(
    "--from", "of_source", metavar="NAME=VALUE", multiple=True, help="An option of the source."
)
@click.option("--to", "of_sink", metavar="NAME=VALUE", multiple=True, help="An option of the sink.")
@click.option(
    "--rejects",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Put records that are no rows here, as JSON lines.",
)
@command()
def copy(
    call: Call,
    source: str,
    sink: str,
    *,
    append: bool,
    upsert: str | None,
    of_source: tuple[str, ...],
    of_sink: tuple[str, ...],
    rejects: Path | None,
) -> None:
    """Copy rows from a file or database to another one.

    The rows at TO are replaced, all at once or not at all; --append and --upsert leave those that
    are there. No lake is needed, and none is touched.

    \b
    headgate copy "data/*.csv" orders.parquet
    headgate copy orders.xlsx "postgresql://me@host/shop#public.orders" --from sheet=May
    headgate copy "mysql://me@host/shop#orders" "sqlite:///shop.db#orders" --upsert id
    headgate copy connection:shop#orders s3://bucket/orders.csv.gz
    """  # noqa: D301 - click's word for lines that stay as they are
    if append and upsert:
        raise click.UsageError("--append adds rows, --upsert changes them: take one.")
    here, ids = call.directory or Path(), RandomIds()
    environment = os.environ  # noqa: TID251 - a copy may be outside of every project
    try:
        root = project.find_root(here)
    except NotFound:
        settings = project.settings_without_project(here.resolve(), ids)
    else:
        settings = project.read_settings(root, environment=environment, profile=call.profile)
    try:
        done = project.copy_rows(
            project.source_address(source, _options(of_source, "--from")),
            project.sink_address(sink, _options(of_sink, "--to"), settings.connections),
            project.CopyManner(key=tuple(upsert.split(",")) if upsert else (), append=append),
            settings=settings,
            environment=environment,
            clock=SystemClock(),
            ids=ids,
            rejects=rejects,
        )
    except NotFound as error:
        if error.code == "file-missing" and source.isidentifier() and error.hint is None:
            error.hint = (
                "If it is a table of the lake:  "
                f"headgate sql 'select * from {source}' --format csv > {source}.csv"
            )
        raise
    if call.json:
        call.terminal.document({"rows": done.rows, "left": done.left, "wall_s": done.wall_s})
        return
    left = f"; {counted(done.left, 'record')} put into {rejects}" if done.left else ""
    call.terminal.words(f"Copied {counted(done.rows, 'row')}{left}, {duration(done.wall_s)}.")


def _options(given: tuple[str, ...], name: str) -> dict[str, object]:
    options: dict[str, object] = {}
    for text in given:
        option, mark, value = text.partition("=")
        if not mark or not option:
            raise Invalid(
                "usage", f"{name} {text} is no NAME=VALUE.", hint="Write it like --from sheet=May."
            )
        options[option] = _value(value)
    return options


def _value(text: str) -> object:
    """Read a value as what it looks like; a text in quotes is a text."""
    if text in {"true", "false"}:
        return text == "true"
    if text.lstrip("-").isdecimal():
        return int(text)
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text
