"""What every command takes: where the project is, which profile, and whether the answer is JSON."""

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import update_wrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec

import click

from headgate import project
from headgate.cli.terminal import Terminal
from headgate.errors import HeadgateError

if TYPE_CHECKING:
    from headgate.project import Project

P = ParamSpec("P")
_PATIENCE_S = 0.5


@dataclass(kw_only=True)
class Call:
    """One command line being answered: its terminal, and the options every command takes."""

    terminal: Terminal
    directory: Path | None = None
    profile: str | None = None
    json: bool = False
    _project: "Project | None" = field(default=None, repr=False)

    @property
    def project(self) -> "Project":
        """The project, opened at the first use. The user's code is imported only when asked for."""
        if self._project is None:
            self._project = project.open_project(self.root(), profile=self.profile)
        return self._project

    def root(self) -> Path:
        """Find the project's directory."""
        return project.find_root(self.directory or Path())

    def clean(self, error: BaseException) -> BaseException:
        """Take what the project revealed out of an error."""
        return error if self._project is None else self._project.outside.redaction.error(error)

    def clean_text(self, text: str) -> str:
        """Take what the project revealed out of a text."""
        return text if self._project is None else self._project.outside.redaction.text(text)

    def close(self) -> None:
        """Close the project, if it was opened."""
        if self._project is None:
            return
        if not self._project.settle(_PATIENCE_S):
            self.terminal.words("Compacting small files; Ctrl-C leaves them as they are.")
        self._project.close()


def terminal_of_this_process() -> Terminal:
    """Give the terminal of the process's own streams; what they cannot encode becomes ``?``."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    return Terminal(out=sys.stdout, err=sys.stderr, environment=os.environ)  # noqa: TID251 - colours


def call_of(context: click.Context) -> Call:
    """Give the call a command belongs to."""
    call = context.find_root().obj
    if call is None:
        call = context.find_root().obj = Call(terminal=terminal_of_this_process())
    assert isinstance(call, Call)  # noqa: S101 - only this module sets it
    return call


def command(
    *, placed: bool = True, json: bool = True
) -> Callable[[Callable[Concatenate[Call, P], None]], Callable[P, None]]:
    """Give a command its ``Call`` as first argument, and the options that fill it.

    ``placed`` commands work in a project; ``json`` ones have an answer for programs.
    """

    def decorate(function: Callable[Concatenate[Call, P], None]) -> Callable[P, None]:
        @click.pass_context
        def with_call(context: click.Context, /, *args: Any, **options: Any) -> None:  # noqa: ANN401
            call = call_of(context)
            call.directory = options.pop("project_directory", None) or call.directory
            call.profile = options.pop("profile", None) or call.profile
            call.json = options.pop("as_json", False) or call.json
            function(call, *args, **options)

        wrapped = update_wrapper(with_call, function)
        shared = [*([_directory, _profile] if placed else []), *([_json] if json else [])]
        for option in reversed(shared):
            wrapped = option(wrapped)
        return wrapped

    return decorate


_directory = click.option(
    "-C",
    "--project",
    "project_directory",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="The project's directory, or one below it. [default: here]",
)
_profile = click.option("--profile", metavar="NAME", help="Lay [profile.NAME] over the settings.")
_json = click.option("--json", "as_json", is_flag=True, help="Answer with one JSON document.")


def error_words(terminal: Terminal, error: HeadgateError, *, message: bool = True) -> Iterator[str]:
    """Give the three parts: what happened, what readers see now, what to do next."""
    if message:
        first, *rest = error.message.splitlines() or [error.code]
        yield f"{terminal.style('Error:', 'bad')} {first}"
        yield from (f"  {line}" for line in rest)
    yield from (part for part in (error.readers, error.hint) if part)


def error_document(error: HeadgateError) -> dict[str, object]:
    """Give an error as JSON: the same keys for every error."""
    return {
        "code": error.code,
        "category": error.category,
        "message": error.message,
        "readers": error.readers,
        "hint": error.hint,
        "facts": dict(error.facts),
    }


def ref_option(text: str) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Give a command the option ``--ref``."""
    return click.option(
        "--ref", metavar="REF", callback=named, help=f"{text} [default: the target branch]"
    )


def named(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Refuse an empty name: a shell's variable that was not set must not mean the default."""
    del context
    if value is not None and not value.strip():
        raise click.BadParameter("the name is empty; is a variable not set?", param=parameter)
    return value
