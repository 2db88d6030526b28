"""``contract`` and ``check``: what tables promise, and whether they keep it."""

from collections.abc import Sequence

import click
import msgspec

from headgate.cli.exit_codes import CHECKS_FAILED
from headgate.cli.history import verdict_document, verdict_phrase
from headgate.cli.options import Call, command, ref_option
from headgate.cli.phrases import counted
from headgate.cli.progress import failure
from headgate.cli.tables import aligned
from headgate.verdicts import Verdict


@click.group()
def contract() -> None:
    """Show what tables promise."""


@contract.command("list")
@ref_option("The ref to look at.")
@command()
def list_contracts(call: Call, ref: str | None) -> None:
    """List the contracts that hold at a ref."""
    found = call.project.contracts(ref=ref)
    if call.json:
        call.terminal.document({"contracts": {table: spec.digest for table, spec in found.items()}})
        return
    rows = [
        (table, spec.name, len(spec.columns), len(spec.checks), spec.undeclared)
        for table, spec in found.items()
    ]
    names = ("table", "contract", "columns", "checks", "undeclared columns")
    for line in aligned(names, rows, right=("columns", "checks")):
        call.terminal.data(line)


@contract.command("show")
@click.argument("table")
@ref_option("The ref to look at.")
@command()
def show_contract(call: Call, table: str, ref: str | None) -> None:
    """Show a table's contract: columns, types, checks and what each does on a violation."""
    spec = call.project.contract(table, ref=ref)
    terminal = call.terminal
    if call.json:
        terminal.document(
            {"table": table, "digest": spec.digest, "contract": msgspec.to_builtins(spec)}
        )
        return
    terminal.data(f"{terminal.style_data(spec.name, 'strong')} of {table}, {spec.digest[:8]}")
    if spec.description:
        terminal.data(f"  {spec.description.splitlines()[0]}")
    terminal.data("")
    columns = [(c.name, c.type, f"from {c.raw}" if c.raw else "") for c in spec.columns]
    for line in aligned(("column", "type", ""), columns):
        terminal.data(f"  {line}")
    terminal.data(f"  Undeclared columns: {spec.undeclared}")
    terminal.data("")
    checks = [(check.name, check.severity.value) for check in spec.checks]
    for line in aligned(("check", "on violation"), checks):
        terminal.data(f"  {line}")


@click.command()
@click.argument("table", required=False)
@ref_option("The ref to judge.")
@command()
def check(call: Call, table: str | None, ref: str | None) -> None:
    """Judge the contracts of tables at a ref.

    Of one table, or of all. Changes nothing. Ends with 4 where one fails.
    """
    verdicts = call.project.check(ref, table=table)
    if call.json:
        call.terminal.document({"verdicts": [verdict_document(verdict) for verdict in verdicts]})
    else:
        _say(call, verdicts)
    if any(verdict.failures for verdict in verdicts):
        click.get_current_context().exit(CHECKS_FAILED)


def _say(call: Call, verdicts: Sequence[Verdict]) -> None:
    terminal = call.terminal
    width = max((len(verdict.table) for verdict in verdicts), default=0)
    for verdict in verdicts:
        good = not verdict.failures
        mark = terminal.marks.done if good else terminal.marks.failed
        sign = terminal.style_data(mark, "good" if good else "bad")
        terminal.data(f"{sign} {verdict.table.ljust(width)}  {verdict_phrase(verdict)}")
        for result in verdict.failures:
            terminal.data(f"    {failure(verdict.table, result)}")
        for result in verdict.warnings:
            terminal.data(f"    warning: {failure(verdict.table, result)}")
    if not verdicts:
        terminal.words("No table has a contract.")
    else:
        failed = sum(1 for verdict in verdicts if verdict.failures)
        terminal.words(f"{counted(len(verdicts), 'contract')} judged, {failed} failed.")
