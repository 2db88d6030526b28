"""The reference pages tell the truth: every block is worked through, what it prints is compared."""

from pathlib import Path

import pytest
from pages import Reading, blocks
from transcripts import Command, Terminal

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(
    "page",
    [
        "pipelines.md",
        "contracts.md",
        "python.md",
        "lake.md",
        "secrets.md",
        "quarantine.md",
        "sources.md",
        "sinks.md",
    ],
)
def test_every_block_of_a_page_does_what_it_says(tmp_path: Path, page: str) -> None:
    terminal = Terminal(tmp_path)
    for text in ("headgate init shop", "cd shop"):
        terminal.run(Command(text, 0, ()))
    reading = Reading(terminal)
    for block in blocks(DOCS / page):
        reading.work_through(block)
