"""What is imported before anything is asked for stays light: no engine, no Iceberg, no parser."""

import subprocess
import sys

import pytest

HEAVY = ("duckdb", "numpy", "pandas", "polars", "pyarrow", "pyiceberg", "sqlglot")
GROUND = ("errors", "names", "digests", "clock", "events", "filesets", "verdicts")
DOORS = ("lake", "contracts", "engines", "sources", "pipelines", "runs", "project")


def loaded_by(module: str) -> set[str]:
    """Give the top-level modules that importing one adds to a fresh interpreter."""
    program = (
        f"import sys; before = set(sys.modules); import {module}; "
        "print(*{name.split('.')[0] for name in set(sys.modules) - before})"
    )
    command = [sys.executable, "-c", program]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


@pytest.mark.parametrize("module", ["headgate", *(f"headgate.{name}" for name in GROUND + DOORS)])
def test_importing_a_door_loads_nothing_heavy(module: str) -> None:
    assert not loaded_by(module) & set(HEAVY)


@pytest.mark.parametrize("module", ["errors", "names", "digests", "clock", "events", "verdicts"])
def test_the_ground_floor_needs_the_standard_library_only(module: str) -> None:
    strangers = loaded_by(f"headgate.{module}") - set(sys.stdlib_module_names) - {"headgate"}
    assert not {name for name in strangers if not name.startswith("_")}
