"""``connections``: what the settings say of places outside, without their secrets."""

import click

from headgate.cli.exit_codes import NOT_FOUND
from headgate.cli.options import Call, command
from headgate.cli.tables import aligned


@click.command()
@command()
def connections(call: Call) -> None:
    """List connections, and whether their secrets are known.

    No secret is shown. Ends with 6 where one is not known.
    """
    found = call.project.connections()
    if call.json:
        call.terminal.document({"connections": list(found)})
    elif not found:
        call.terminal.words(
            "The settings have no connections; docs/secrets.md shows how to write one."
        )
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
        for line in aligned(("connection", "option", "value", "secret"), rows):
            call.terminal.data(line)
        unused = [each.name for each in found if not each.used_by]
        if unused:
            call.terminal.words(f"Used by no step and no sink: {', '.join(unused)}.")
    if any(secret.trouble for each in found for secret in each.secrets):
        click.get_current_context().exit(NOT_FOUND)
