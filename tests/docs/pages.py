"""Pages of blocks that are worked through from top to bottom in a new project.

A block that begins with a comment that is a file's name is that file; ``, below`` after the name
adds to it. Other Python runs statement by statement: what a statement prints stands below it, after
``#>``. Other SQL is a query of the lake. Consoles are typed. Ids in commands are those of the page;
what takes their place is told from what was printed.
"""

import ast
import io
import re
from collections.abc import Iterator, Mapping
from contextlib import chdir, redirect_stdout
from dataclasses import dataclass, field, replace
from pathlib import Path

from transcripts import FENCE, Command, Terminal, agrees, commands

import headgate as hg

FILE = re.compile(r"\A(?:#|--) (?P<name>[\w./-]+\.(?:py|sql|toml|yaml))(?P<below>, below)?\n")
ID = re.compile(r"\b(?:resume|adopt|revert|abandon|see|run/|Published .* as|as) ?([0-9a-f]{6})\b")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block, and the line of the page it begins in."""

    language: str
    body: str
    line: int


@dataclass(slots=True)
class Reading:
    """A page being read: the project it works in, the names of its Python, the ids it has met."""

    terminal: Terminal
    names: dict[str, object] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)

    def work_through(self, block: Block) -> None:
        """Do what a block says and compare what comes of it."""
        if found := FILE.match(block.body):
            self._write(found["name"], block.body[found.end() :], below=bool(found["below"]))
        elif block.language == "console":
            self._type(block)
        elif block.language == "python":
            self._execute(block)
        elif block.language == "sql":
            with hg.open(self.terminal.directory) as project:
                project.at("main").sql(block.body).to_arrow()
        else:
            raise AssertionError(f"line {block.line}: nothing runs a block of {block.language}")

    def _write(self, name: str, text: str, *, below: bool) -> None:
        path = self.terminal.directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(path.read_text() + "\n\n" + text if below else text)

    def _type(self, block: Block) -> None:
        for command in commands(block.body):
            code, printed = self.terminal.run(substituted(command, self.ids))
            shown = f"line {block.line}: $ {command.text}\n" + "\n".join(printed)
            assert code == command.exit_code, shown
            assert agrees(command.output, printed), shown
            said, seen = ID.findall("\n".join(command.output)), ID.findall("\n".join(printed))
            self.ids |= dict(zip(said, seen, strict=False))

    def _execute(self, block: Block) -> None:
        for statement, said in statements(block.body):
            printed = io.StringIO()
            with chdir(self.terminal.directory), redirect_stdout(printed):
                exec(compile(statement, f"line {block.line}", "exec"), self.names)
            lines = printed.getvalue().splitlines()
            shown = f"line {block.line}: {statement}\n" + "\n".join(lines)
            assert agrees(tuple(said), lines), shown


def blocks(page: Path) -> Iterator[Block]:
    """Give every fenced block of a page, in order."""
    text = page.read_text()
    for found in FENCE.finditer(text):
        yield Block(found["language"], found["body"], text.count("\n", 0, found.start()) + 1)


def statements(body: str) -> Iterator[tuple[str, list[str]]]:
    """Give each top-level statement with the lines it is said to print."""
    lines = body.splitlines()
    nodes = ast.parse(body).body
    ends = [*(n.lineno - 1 for n in nodes[1:]), len(lines)]
    for node, end in zip(nodes, ends, strict=True):
        stop = node.end_lineno or end
        said = [line[2:].removeprefix(" ") for line in lines[stop:end] if line.startswith("#>")]
        yield "\n".join(lines[node.lineno - 1 : stop]), said


def substituted(command: Command, ids: Mapping[str, str]) -> Command:
    """Give the command with this project's ids for the page's."""
    text = re.sub(r"\b[0-9a-f]{6}\b", lambda m: ids.get(m[0], m[0]), command.text)
    return replace(command, text=text)
