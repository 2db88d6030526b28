"""Run rows of the performance table, print them and keep them in ``benchmarks/results``."""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import page
from benchmarks.goals import ROWS, Row
from benchmarks.machine import facts
from benchmarks.measuring import WORK
from benchmarks.table import COLUMNS, Line, cells

RESULTS = Path(__file__).parent / "results"


def main() -> int:
    """Run the rows named on the command line, or all; 1 where a script failed."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(ROWS))
    wanted = [name.upper() for name in parser.parse_args().rows] or list(ROWS)
    unknown = [name for name in wanted if name not in ROWS]
    if unknown:
        parser.error(f"no row {', '.join(unknown)}; there are {', '.join(ROWS)}")
    WORK.mkdir(parents=True, exist_ok=True)
    machine = facts()
    print(
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gb']} GB, "
        f"Python {machine['python']}, load {machine['load']}"
    )
    failed = [name for name in wanted if not _run(name)]
    page.write()
    if failed:
        print(f"\nDid not finish: {', '.join(failed)}")
    return 1 if failed else 0


def _run(name: str) -> bool:
    row = ROWS[name]
    print(f"\n{name}  {row.work}", flush=True)
    if not Path(__file__).with_name(f"{row.script}.py").exists():
        print(f"  benchmarks/{row.script}.py is not there")
        return False
    before = facts()
    lines, status = _lines(row)
    table = [cells(line, row.must) for line in lines]
    _print(table)
    if status == 0:
        RESULTS.mkdir(exist_ok=True)
        result = {"row": name, "must": row.must, "machine": before, "figures": lines}
        (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    return status == 0


def _lines(row: Row) -> tuple[list[Line], int]:
    """Give the JSON lines a script prints; anything else it says goes to standard error."""
    command = [sys.executable, "-m", f"benchmarks.{row.script}", *row.arguments]
    lines: list[Line] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for text in process.stdout or ():
            if text.startswith("{"):
                lines.append(json.loads(text))
            else:
                sys.stderr.write(text)
    return lines, process.returncode


def _print(table: Sequence[tuple[str, ...]]) -> None:
    rows = [COLUMNS, *table]
    widths = [max(len(row[i]) for row in rows) for i in range(len(COLUMNS))]
    for row in rows:
        print(
            "  "
            + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )
