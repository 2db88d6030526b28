"""Print the lowest allowed version of each dependency as a constraint for pip.

usage: python tools/lowest.py [EXTRA...]
"""

import re
import sys
import tomllib
from pathlib import Path

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]


def main() -> None:
    """Print the core's constraints, and those of the extras named."""
    wanted = list(PROJECT["dependencies"])
    for extra in sys.argv[1:]:
        wanted += PROJECT["optional-dependencies"][extra]
    for requirement in wanted:
        print(re.sub(r"\s*>=\s*", "==", requirement).partition(",")[0])


if __name__ == "__main__":
    main()
