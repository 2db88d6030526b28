from pathlib import Path

from headgate.cli.manual import manual

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"


def test_the_page_of_commands_is_the_commands():
    assert PAGE.read_text() == manual(), "python -m headgate.cli.manual > docs/cli.md"
