"""The manual of the command line, made of the commands themselves: ``docs/cli.md``.

``python -m headgate.cli.manual > docs/cli.md`` writes it again; a test compares.
"""

import inspect
import sys
from collections.abc import Iterator

import click

from headgate.cli.commands import headgate
from headgate.cli.exit_codes import MEANINGS

_HEAD = """# The command line

Made of the commands by `python -m headgate.cli.manual`.

- The answer goes to stdout, words about the work to stderr: `headgate sql "..." > file` holds rows
  only.
- `--json` answers with one JSON document; an error is `{"error": {"code": ..., "message": ...}}`.
- Commits and runs are named by the first digits that tell them apart. A ref is a branch, a tag, a
  commit, `run/ID`, any of these with `~2` (two commits before), or `main@{2026-11-01T09:30Z}` (what
  readers saw then).
- Colours and moving lines are for terminals only; `NO_COLOR=1` takes colours away.
- Ctrl-C ends a run without publishing; its branch is kept, and the command that takes it up again
  is printed.
- Completion: `eval "$(headgate completion bash)"`, likewise `zsh` and `fish`.
- Each run's events are in `.headgate/logs/<run>.log`, a JSON object a line, without rows.
"""


def manual() -> str:
    """Give the manual as Markdown."""
    return "\n".join([_HEAD, *_exit_codes(), "", *_commands()]).rstrip() + "\n"


def _exit_codes() -> Iterator[str]:
    yield "## Exit codes\n"
    yield "| code | meaning |"
    yield "|---|---|"
    for code, meaning in MEANINGS.items():
        yield f"| {code} | {meaning} |"


def _commands() -> Iterator[str]:
    yield "## Commands\n"
    with click.Context(headgate, info_name="headgate") as context:
        for name in headgate.list_commands(context):
            command = headgate.get_command(context, name)
            if command is not None:
                yield from _command(command, f"headgate {name}")


def _command(command: click.Command, path: str) -> Iterator[str]:
    with click.Context(command, info_name=path) as context:
        usage = " ".join(part for part in command.collect_usage_pieces(context))
        yield f"### {path}\n"
        yield f"`{path} {usage}`\n"
        yield _plain(command.help or "") + "\n"
        options = [
            record
            for parameter in command.get_params(context)
            if isinstance(parameter, click.Option)
            and (record := parameter.get_help_record(context))
            and "--help" not in record[0]
        ]
        if options and not isinstance(command, click.Group):
            yield "| option | |"
            yield "|---|---|"
            for names, text in options:
                yield f"| `{_cell(names)}` | {_cell(_plain(text))} |"
            yield ""
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                inner = command.get_command(context, name)
                if inner is not None:
                    yield from _command(inner, f"{path} {name}")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _plain(text: str) -> str:
    return inspect.cleandoc(text).replace("\b", "").replace("\n\n\n", "\n\n").strip()


if __name__ == "__main__":
    sys.stdout.write(manual())
