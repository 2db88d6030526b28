"""Transcripts in Markdown: the commands, what they are said to print, and running them."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^```(?P<language>\w+)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
EXIT = re.compile(r"\s+# exits with (\d+)$")
NOISE = (
    (re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]{6,40}\b"), "<id>"),
    (re.compile(r"\b\d+(\.\d+)? (ms|s|min)\b"), "<time>"),
    (re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?(\.\d+)?(Z|\+00:00)?"), "<instant>"),
)


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
        self._environment = {
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
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=120,
        )
        return done.returncode, done.stdout.strip("\n").splitlines()


def agrees(said: tuple[str, ...], printed: list[str]) -> bool:
    """Say whether the output is what the page says, ids, durations and instants aside."""
    pattern = "".join(
        r"(?:.*\n)*?" if line.strip() == "…" else f"{_pattern(line)}\n" for line in said
    )
    return re.fullmatch(pattern, "".join(f"{_quiet(line)}\n" for line in printed)) is not None


def _pattern(line: str) -> str:
    return ".*".join(re.escape(part) for part in _quiet(line).split("…"))


def _quiet(line: str) -> str:
    for noise, name in NOISE:
        line = noise.sub(name, line)
    return re.sub(r" {2,}", "  ", line.rstrip())
