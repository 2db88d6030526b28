"""Write the figures kept in ``benchmarks/results`` into ``docs/performance.md``."""

import json
from collections.abc import Iterator
from pathlib import Path

from benchmarks.goals import ROWS
from benchmarks.table import COLUMNS, cells

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "performance.md"
BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"


def write() -> None:
    """Replace what stands between the page's two marks."""
    before, rest = PAGE.read_text().split(BEGIN)
    after = rest.split(END)[1]
    figures = "\n".join(_lines())
    PAGE.write_text(f"{before}{BEGIN}\n{figures}\n{END}{after}")


def _lines() -> Iterator[str]:
    for name, row in ROWS.items():
        file = HERE / "results" / f"{name}.json"
        if not file.exists():
            continue
        result = json.loads(file.read_text())
        machine = result["machine"]
        yield ""
        yield f"### {name}: {row.work}"
        yield (
            f"{machine['at'][:10]}, {machine['processor']}, {machine['cores']} cores, "
            f"{machine['memory_gb']} GB, load {machine['load'][0]} before."
        )
        yield ""
        yield f"| {' | '.join(COLUMNS)} |"
        yield "|---" * len(COLUMNS) + "|"
        for line in result["figures"]:
            yield f"| {' | '.join(cells(line, row.must))} |"
    yield ""
