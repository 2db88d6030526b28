"""Transcripts in Markdown: the commands, what they are said to print, and running them."""

import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

FENCE = re.compile(r"^```(?P<language>\w+)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
EXIT = re.compile(r"\s+# exits with (\d+)$")
NOISE = (
    (
        re.compile(r"(\b[Rr]un |\b(?:commit|resume|as|in|on|see|of) |run/|@)[0-9a-f]{4,40}\b"),
        r"\1<id>",
    ),
    (re.compile(r"\([0-9a-f]{6}\)"), "(<id>)"),
    (re.compile(r"^[0-9a-f]{6}(?=  )"), "<id>"),
    (re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?(\.\d+)?(Z|\+00:00)?"), "<instant>"),
    (re.compile(r"   \d+(\.\d+)? (ms|s|min \d+ s)$"), ""),  # of what took a second or more
    (re.compile(r", \d+(\.\d+)? (ms|s)$"), ""),
    (re.compile(r" {2,}"), "  "),
)
STEP = re.compile(r"  [✓=] ")


@dataclass(frozen=True, slots=True)
class Command:
    """A line after ``$``, the exit code it is said to have, and the lines it is said to print."""

    text: str
    exit_code: int
    output: tuple[str, ...]


def blocks(page: Path, language: str) -> list[str]:
    """Give the fenced blocks of a language, in order."""
    return [m["body"] for m in FENCE.finditer(page.read_text()) if m["language"] == language]


def commands(block: str) -> Iterator[Command]:
    """Read a console block; a line ``…`` stands for any lines."""
    lines = block.splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("$ ")]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        text = lines[start][2:]
        said = EXIT.search(text)
        output = "\n".join(lines[start + 1 : end]).strip("\n").splitlines()
        yield Command(
            text=text[: said.start()] if said else text,
            exit_code=int(said[1]) if said else 0,
            output=tuple(output),
        )


class Terminal:
    """Runs commands one after the other in a directory of its own, without a network or a user."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        programs = directory / ".programs"
        programs.mkdir()
        for name, module in {"headgate": "headgate", "pytest": "pytest"}.items():
            script = programs / name
            script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m {module} "$@"\n')
            script.chmod(0o755)
        (programs / "python").symlink_to(sys.executable)
        self.environment = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "HOME": str(directory),
            "LC_ALL": "C.UTF-8",
            "COLUMNS": "100",
        }

    def run(self, command: Command) -> tuple[int, list[str]]:
        """Give the exit code and the lines printed, on both streams."""
        if command.text.startswith("cd "):
            self.directory = self.directory / command.text[3:].strip()
            return 0, []
        done = subprocess.run(
            command.text,
            shell=True,
            cwd=self.directory,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=120,
        )
        return done.returncode, done.stdout.strip("\n").splitlines()


def agrees(said: tuple[str, ...], printed: list[str]) -> bool:
    """Say whether the output is what the page says.

    Ids, durations and instants are its own; steps that run side by side end in any order.
    """
    pattern = "".join(
        r"(?:.*\n)*?" if line.strip() == "…" else f"{_pattern(line)}\n" for line in _quiet(said)
    )
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in _quiet(printed))) is not None


def _pattern(line: str) -> str:
    return ".*".join(re.escape(part) for part in line.split("…"))


def _quiet(lines: Iterable[str]) -> Iterator[str]:
    for is_step, group in groupby(map(_line, lines), key=lambda line: bool(STEP.match(line))):
        together = list(group)
        yield from sorted(together) if is_step else together


def _line(line: str) -> str:
    line = line.rstrip()
    for noise, name in NOISE:
        line = noise.sub(name, line)
    return line
