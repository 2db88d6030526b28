"""``contract`` and ``check``: what tables promise, and whether they keep it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import click
import msgspec

from headgate.cli.exit_codes import CHECKS_FAILED, exit_code
from headgate.cli.history import verdict_document, verdict_phrase
from headgate.cli.options import Call, command, ref_option
from headgate.cli.phrases import counted
from headgate.cli.progress import failure
from headgate.cli.shown_by_name import ShownByName
from headgate.cli.tables import aligned
from headgate.contracts import (
    ContractSpec,
    contract_files,
    contract_of_file,
    contract_schema,
    differences,
    overall,
)
from headgate.errors import HeadgateError
from headgate.verdicts import Verdict


@click.group(cls=ShownByName, invoke_without_command=True)
@ref_option("The ref to look at.")
@command()
def contract(call: Call, ref: str | None) -> None:
    """List, show, validate and compare what tables promise."""
    if click.get_current_context().invoked_subcommand is None:
        _list(call, ref)


@contract.command("list")
@ref_option("The ref to look at.")
@command()
def list_contracts(call: Call, ref: str | None) -> None:
    """List the contracts that hold at a ref."""
    _list(call, ref)


def _list(call: Call, ref: str | None) -> None:
    found = call.project.contracts(ref=ref)
    if call.json:
        call.terminal.document({"contracts": {table: spec.digest for table, spec in found.items()}})
        return
    if not found:
        at = ref or call.project.settings.target
        call.terminal.words(f"No contract holds at {at}; docs/contracts.md shows how to write one.")
        return
    rows = [
        (table, spec.name, len(spec.columns), len(spec.checks), spec.undeclared)
        for table, spec in found.items()
    ]
    names = ("table", "contract", "columns", "checks", "undeclared columns")
    for line in aligned(names, rows, right=("columns", "checks"), width=call.terminal.width):
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


@contract.command("validate")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@command()
def validate_contract(call: Call, files: tuple[Path, ...]) -> None:
    """Read contract files, conditions and patterns included; opens no lake.

    Without FILES, those of the project's directory contracts. Ends with 2 where one is wrong.
    """
    from headgate.contracts import validate_expressions  # noqa: PLC0415 - loads the SQL parser

    root = None if files else call.root()
    chosen = files or tuple(contract_files(call.root()))
    problems: list[HeadgateError] = []
    read: dict[str, ContractSpec] = {}
    for file in chosen:
        try:
            spec = contract_of_file(file, root)
            validate_expressions(spec)
            read[str(file.relative_to(root) if root else file)] = spec
        except HeadgateError as error:
            problems.append(error)
    _tell_read(call, read, problems)
    if problems:
        click.get_current_context().exit(exit_code(problems[0]))


def _tell_read(
    call: Call, read: Mapping[str, ContractSpec], problems: Sequence[HeadgateError]
) -> None:
    terminal = call.terminal
    if call.json:
        good = {file: {"contract": s.name, "digest": s.digest} for file, s in read.items()}
        bad = [{"code": e.code, "message": e.message, **e.facts} for e in problems]
        terminal.document({"contracts": good, "problems": bad})
        return
    for file, spec in read.items():
        sign = terminal.style_data(terminal.marks.done, "good")
        columns = counted(len(spec.columns), "column")
        checks = counted(len(spec.checks), "check")
        terminal.data(f"{sign} {file}  {spec.name}, {columns}, {checks}, {spec.digest[:8]}")
    for error in problems:
        sign = terminal.style_data(terminal.marks.failed, "bad")
        terminal.data(f"{sign} {error.message}")
        if error.hint:
            terminal.data(f"    {error.hint}")
    if not read and not problems:
        terminal.words("The project has no contract files; they are contracts/NAME.yaml.")


@contract.command("diff")
@click.argument("old")
@click.argument("new")
@click.option(
    "--require",
    type=click.Choice(["backward", "forward", "full"]),
    help="End with 4 unless the new one is compatible so.",
)
@command()
def diff_contracts(call: Call, old: str, new: str, require: str | None) -> None:
    """Say what became of a contract: weaker, stronger or breaking, and for whom.

    OLD and NEW are files (contracts/orders.yaml), tables (orders), or tables at a ref (orders@dev).
    Backward compatible: what satisfied the old one satisfies the new one, producers go on. Forward
    compatible: what satisfies the new one satisfied the old one, consumers go on.
    """
    found = differences(_named(call, old), _named(call, new))
    direction = overall(found)
    backward, forward = all(d.backward for d in found), all(d.forward for d in found)
    if call.json:
        listed = [{"what": d.what, "direction": d.direction} for d in found]
        call.terminal.document(
            {
                "direction": direction,
                "backward": backward,
                "forward": forward,
                "differences": listed,
            }
        )
    else:
        width = max((len(d.direction) for d in found), default=0)
        for each in found:
            call.terminal.data(f"{each.direction.ljust(width)}  {each.what}")
        call.terminal.words(_WORDS[direction])
    if (require in {"backward", "full"} and not backward) or (
        require in {"forward", "full"} and not forward
    ):
        click.get_current_context().exit(CHECKS_FAILED)


_WORDS = {
    "same": "They promise the same.",
    "weaker": "The new one is weaker: producers go on, consumers may miss what they relied on.",
    "stronger": "The new one is stronger: consumers go on, producers may be refused.",
    "breaking": "The new one breaks both producers and consumers of the old one.",
}


@contract.command("schema")
@command()
def show_schema(call: Call) -> None:
    """Give the JSON schema of contract files, for editors."""
    call.terminal.document(contract_schema())


def _named(call: Call, name: str) -> ContractSpec:
    """Give the contract of a file, a table, or a table at a ref."""
    if name.endswith((".yaml", ".yml")):
        return contract_of_file(Path(name))
    table, _, ref = name.partition("@")
    return call.project.contract(table, ref=ref or None)


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
