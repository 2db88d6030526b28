"""The table of commands, loaded one by one, and the boundary where errors become exit codes."""

import errno
import os
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path

import click
from click.shell_completion import shell_complete

from headgate import __version__
from headgate.cli.exit_codes import INTERRUPTED, OK, UNEXPECTED, USAGE, exit_code
from headgate.cli.options import Call, error_document, error_words, terminal_of_this_process
from headgate.clock import SystemClock
from headgate.errors import HeadgateError, Invalid, Unavailable
from headgate.names import suggestion

COMMANDS: Mapping[str, str] = {
    "init": "project_commands:init",
    "plan": "run_commands:plan",
    "run": "run_commands:run",
    "resume": "run_commands:resume",
    "status": "run_commands:status",
    "log": "lake_commands:log",
    "show": "lake_commands:show",
    "diff": "lake_commands:diff",
    "branch": "lake_commands:branch",
    "tag": "lake_commands:tag",
    "merge": "run_commands:merge",
    "revert": "revert_commands:revert",
    "erase": "erase_commands:erase",
    "adopt": "run_commands:adopt",
    "abandon": "run_commands:abandon",
    "table": "lake_commands:table",
    "sql": "sql_commands:sql",
    "sources": "source_commands:sources",
    "deliver": "sink_commands:deliver",
    "sinks": "sink_commands:sinks",
    "contract": "contract_commands:contract",
    "check": "contract_commands:check",
    "copy": "copy_command:copy",
    "quarantine": "quarantine_commands:quarantine",
    "connections": "connection_commands:connections",
    "graph": "project_commands:graph",
    "maintain": "maintenance_commands:maintain",
    "gc": "gc_commands:gc",
    "backup": "copying_commands:backup",
    "backups": "copying_commands:backups",
    "restore": "copying_commands:restore",
    "upgrade": "copying_commands:upgrade",
    "doctor": "project_commands:doctor",
    "completion": "project_commands:completion",
}


_OUTSIDE = frozenset(
    (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EMFILE)
)
"""What the machine refuses, and no bug of ours."""

COMPLETION_VARIABLE = "_HEADGATE_COMPLETE"


class _Commands(click.Group):
    """A group that imports a command's module when the command is named, and no other."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Give the names, in the order in which a newcomer meets them."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one command."""
        del ctx
        home = COMMANDS.get(cmd_name)
        if home is None:
            return None
        module, _, attribute = home.partition(":")
        loaded = getattr(import_module(f"headgate.cli.{module}"), attribute)
        assert isinstance(loaded, click.Command)  # noqa: S101 - COMMANDS is complete by test
        return loaded

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or say which one was meant."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            meant = suggestion(args[0], COMMANDS)
            hint = f"Did you mean {meant}?" if meant else "See  headgate --help"
            ctx.fail(f"There is no command {args[0]!r}. {hint}")
        return super().resolve_command(ctx, args)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, "-V", "--version", message="headgate %(version)s")
def headgate() -> None:
    """Data pipelines in which every run is a transaction: published whole, or not at all."""


def answer(arguments: Sequence[str]) -> int:
    """Run a command line and give its exit code; every error ends here."""
    call = Call(terminal=terminal_of_this_process())
    try:
        try:
            return _answered(call, list(arguments))
        finally:
            call.close()
            call.terminal.out.flush()
    except BrokenPipeError:
        call.terminal.silence()
        return OK


def _answered(call: Call, arguments: list[str]) -> int:  # noqa: PLR0911 - a way to end each
    try:
        return _invoked(call, arguments)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        call.terminal.words(error.format_message())
        return USAGE
    except click.ClickException as error:
        if call.json or "--json" in arguments:
            wrong = Invalid("usage", error.format_message(), hint="headgate --help")
            call.terminal.document({"error": error_document(wrong)})
        error.show(file=call.terminal.err)
        return USAGE
    except (click.Abort, KeyboardInterrupt):
        call.terminal.words(call.terminal.style("Interrupted.", "bad"))
        return INTERRUPTED
    except BrokenPipeError:
        raise
    except HeadgateError as error:
        return _told(call, error)
    except OSError as error:
        if error.errno not in _OUTSIDE:
            return _confess(call)
        refused = Unavailable(
            "system-refused",
            f"The operating system refused {error.filename or 'a file'}: {error.strerror}.",
            hint="Look at the disk and at the rights on it.",
            path=str(error.filename or ""),
        )
        return _told(call, refused)
    except Exception:  # noqa: BLE001 - the boundary: a bug is written down and named
        return _confess(call)


def _told(call: Call, error: HeadgateError) -> int:
    call.clean(error)
    if call.json:
        call.terminal.document({"error": error_document(error)})
    for line in error_words(call.terminal, error):
        call.terminal.words(line)
    return exit_code(error)


def _invoked(call: Call, arguments: list[str]) -> int:
    """Do what click's ``main`` does, but leave broken pipes and interrupts to us."""
    asked = os.environ.get(COMPLETION_VARIABLE)  # noqa: TID251 - how shells ask for completions
    if asked:
        return shell_complete(headgate, {}, "headgate", COMPLETION_VARIABLE, asked)
    with headgate.make_context("headgate", arguments, obj=call) as context:
        headgate.invoke(context)
    return OK


def _confess(call: Call) -> int:
    """Write the traceback of a bug to a file, and say where it is."""
    kind, bug, _ = sys.exc_info()
    error = call.clean(bug) if bug is not None else RuntimeError("no error")
    shown = call.clean_text("".join(traceback.format_exception(error)))
    stamp = SystemClock().now().strftime("%Y%m%dT%H%M%S%f")
    file = _crash_directory(call) / f"headgate-crash-{stamp}.log"
    file.write_text(f"headgate {__version__}, python {sys.version}\n\n{shown}")
    name = kind.__name__ if kind else "error"
    call.terminal.words(
        f"{call.terminal.style('Error:', 'bad')} headgate met a bug of its own: {name}: {error}"
    )
    call.terminal.words(f"The traceback is in {file}. Please report it.")
    for note in getattr(error, "__notes__", ()):
        call.terminal.words(note)
    if call.json:
        document = {"code": "bug", "category": "internal", "message": f"{name}: {error}"}
        call.terminal.document({"error": {**document, "traceback": str(file)}})
    return UNEXPECTED


def _crash_directory(call: Call) -> Path:
    try:
        directory = call.root() / ".headgate" / "logs"
        directory.mkdir(parents=True, exist_ok=True)
    except (HeadgateError, OSError):
        return Path(tempfile.gettempdir())
    return directory
