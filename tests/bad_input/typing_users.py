"""A project in a directory, and the command line as a user types it."""

import csv
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Answer:
    """What a command said."""

    code: int
    out: str
    words: str


class Typed:
    """A project whose pipeline is given as text."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "headgate.toml").write_text('[project]\nname = "p"\npipelines = ["steps.py"]\n')

    def steps(self, text: str) -> None:
        """Write the pipeline's file."""
        start = "import headgate as hg\nimport polars as pl\nfrom typing import Annotated\n"
        (self.root / "steps.py").write_text(start + text)

    def type(self, *words: str) -> Answer:
        """Run ``headgate`` with these words."""
        done = subprocess.run(
            [sys.executable, "-m", "headgate", *words],
            cwd=self.root,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env={**os.environ, "PYTHONPATH": ":".join(sys.path), "NO_COLOR": "1"},
        )
        assert "/headgate/" not in done.stderr, done.stderr  # no frame of ours is shown
        return Answer(done.returncode, done.stdout, done.stderr)

    def cells(self, query: str) -> list[str]:
        """Run a query; give its values, row by row."""
        answer = self.type("sql", query, "--format", "csv")
        assert answer.code == 0, answer.words
        rows = list(csv.reader(answer.out.splitlines()))
        return [cell for row in rows[1:] for cell in row]


GOOD = """
@hg.step
def good() -> pl.DataFrame:
    return pl.DataFrame({"n": [1, 2, 3]})
"""
