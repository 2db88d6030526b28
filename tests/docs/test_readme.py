"""The README tells the truth: its commands are typed, what they print is compared."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from transcripts import Terminal, agrees, blocks, commands

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"


def test_the_quick_start_prints_what_it_says(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    for block in blocks(README, "console"):
        for command in commands(block):
            code, printed = terminal.run(command)
            shown = "\n".join(printed)
            assert code == command.exit_code, f"$ {command.text}\n{shown}"
            assert agrees(command.output, printed), f"$ {command.text}\n{shown}"
    program = blocks(README, "python")[-1]
    said = re.findall(r"# (.+)$", program, re.MULTILINE)
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=terminal.directory,
        env=terminal.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == said


def test_the_pipeline_it_shows_is_the_one_it_makes(tmp_path: Path) -> None:
    Terminal(tmp_path).run(next(commands(blocks(README, "console")[0])))
    made = (tmp_path / "shop" / "shop.py").read_text()
    assert blocks(README, "python")[0].strip() == made.partition('"""\n\n')[2].strip()


LINKING = [
    "CONTRIBUTING.md",
    "README.md",
    *(f"docs/{name}.md" for name in ("contracts", "index", "pipelines", "python")),
]


@pytest.mark.parametrize("page", LINKING)
def test_links_lead_somewhere(page: str) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / page).read_text())
    broken = [
        link
        for link in links
        if not link.startswith("https://") and not (ROOT / page).parent.joinpath(link).exists()
    ]
    assert not broken


def test_the_two_commands_are_named() -> None:
    assert {"make demo", "make test"} <= set(re.findall(r"make \w+", README.read_text()))
