"""``connections``: what the settings say of places outside, without their secrets."""

from typing import TYPE_CHECKING

import click

from headgate.cli.exit_codes import NOT_FOUND, OK, exit_code
from headgate.cli.options import Call, command, error_document
from headgate.cli.tables import aligned

if TYPE_CHECKING:
    from headgate.project import Reached


@click.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--test", "tried", is_flag=True, help="Reach each of them once.")
@command()
def connections(call: Call, names: tuple[str, ...], *, tried: bool) -> None:
    """List connections, and whether their secrets are known.

    With  --test  each is reached as those who use it would, and nothing is read: a web server is
    asked once for its address with the credentials, a database "select 1", a bucket for its first
    object. No secret is shown. Ends with 6 where a secret is not known, or with what the first
    connection failed by.
    """
    if tried:
        _try(call, names)
    else:
        _list(call, names)


def _list(call: Call, names: tuple[str, ...]) -> None:
    found = call.project.connections(*names)
    if call.json:
        call.terminal.document({"connections": list(found)})
    elif not found:
        call.terminal.words(_NONE)
    else:
        troubles = {
            (each.name, secret.option): secret.trouble or "known"
            for each in found
            for secret in each.secrets
        }
        rows = [
            (each.name, option, text, troubles.get((each.name, option), ""))
            for each in found
            for option, text in (each.options or {"": ""}).items()
        ]
        heads = ("connection", "option", "value", "secret")
        for line in aligned(heads, rows, width=call.terminal.width):
            call.terminal.data(line)
        unused = [each.name for each in found if not each.used_by]
        if unused:
            call.terminal.words(f"Used by no step and no sink: {', '.join(unused)}.")
    if any(secret.trouble for each in found for secret in each.secrets):
        click.get_current_context().exit(NOT_FOUND)


_NONE = "The settings have no connections; docs/secrets.md shows how to write one."


def _try(call: Call, names: tuple[str, ...]) -> None:
    terminal, ends_with = call.terminal, OK
    documents = []
    for each in call.project.try_connections(*names):
        if each.error is not None:
            ends_with = ends_with or exit_code(each.error)
        if call.json:
            error = None if each.error is None else error_document(each.error)
            documents.append({"name": each.name, "answer": each.answer, "error": error})
        else:
            _tell(call, each)
    if call.json:
        terminal.document({"connections": documents})
    elif not call.project.settings.connections:
        terminal.words(_NONE)
    if ends_with != OK:
        click.get_current_context().exit(ends_with)


def _tell(call: Call, reached: "Reached") -> None:
    terminal = call.terminal
    error = reached.error
    if error is not None:
        first, *rest = error.message.splitlines()
        sign = terminal.style_data(terminal.marks.failed, "bad")
        terminal.data(f"{sign} {reached.name}: {first}")
        for line in (*rest, *(error.hint or "").splitlines()):
            terminal.data(f"    {line}")
    elif reached.answer is None:
        sign = terminal.style_data("!", "notice")
        terminal.data(f"{sign} {reached.name}: names no address, so that there is none to reach")
    else:
        sign = terminal.style_data(terminal.marks.done, "good")
        terminal.data(f"{sign} {reached.name}: {reached.answer}")
