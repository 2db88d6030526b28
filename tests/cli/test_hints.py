"""Every command that a message tells people to type exists, with the options it is told with."""

import ast
import re
from pathlib import Path

import click
import pytest

from headgate.cli.commands import COMMANDS
from headgate.cli.commands import headgate as group

PACKAGE = Path(__file__).parents[2] / "headgate"
SAID = re.compile(r"\bheadgate (-?[a-z][a-z-]*)((?: [^\s.,;:`'\"]+)*)")
PROSE = {"calls", "is", "knows", "may", "met", "needs", "process"}


def texts(node):
    """Give the text of a literal; what is filled in is an X."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield "".join(part.value if isinstance(part, ast.Constant) else "X" for part in node.values)


def hints():
    for file in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call):
                spoken = [*node.args, *(keyword.value for keyword in node.keywords)]
                for argument in spoken:
                    for part in ast.walk(argument):
                        for text in texts(part):
                            for found in SAID.finditer(text):
                                yield file.relative_to(PACKAGE), found[1], found[2].split()


FOUND = sorted({(str(file), name, tuple(rest)) for file, name, rest in hints()})


@pytest.mark.parametrize(("file", "name", "rest"), FOUND)
def test_a_command_that_is_told_exists(file, name, rest):
    if name in PROSE or name.startswith("-") or name == "crash":
        return
    assert name in COMMANDS, f"{file} tells people to type: headgate {name}"
    command = group.get_command(None, name)
    for word in rest:
        if isinstance(command, click.Group) and re.fullmatch("[a-z][a-z-]*", word):
            if word in {"lists", "shows", "makes"}:  # the sentence goes on
                return
            command = command.get_command(None, word)
            assert command is not None, f"{file}: headgate {name} {word}"
        elif word.startswith("--"):
            options = {opt for p in command.params for opt in (*p.opts, *p.secondary_opts)}
            assert word in options, f"{file}: headgate {name} {word}"
