"""What the first touch of each door's name loads: never an engine, a parser or Iceberg."""

import subprocess
import sys

import pytest

import headgate as hg

HEAVY = {
    "duckdb",
    "numpy",
    "pandas",
    "polars",
    "pyarrow",
    "pydantic",
    "pyiceberg",
    "sqlglot",
    "yaml",
}
DECLARING = sorted(set(hg.__all__) - {"Project", "open"})


def loaded_by(program: str) -> set[str]:
    program += "\nimport sys; print(*{name.partition('.')[0] for name in sys.modules})"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_headgate_loads_the_standard_library_only() -> None:
    more = loaded_by("import headgate") - loaded_by("")  # some machines load a sitecustomize
    strangers = more - set(sys.stdlib_module_names) - {"headgate"}
    assert {name for name in strangers if not name.startswith("_")} == set()


def test_importing_headgate_loads_no_room() -> None:
    program = (
        "import headgate, sys\n"
        "print('rooms', *[name for name in sys.modules if name.startswith('headgate.')])"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["rooms"]


def test_declaring_a_pipeline_loads_nothing_heavy() -> None:
    touched = "".join(f"hg.{name}\n" for name in DECLARING)
    assert not loaded_by(f"import headgate as hg\n{touched}") & HEAVY


@pytest.mark.parametrize("name", ["Graph", "CodeDigests", "collect", "settle", "as_svg"])
def test_reading_a_pipeline_loads_nothing_heavy(name: str) -> None:
    assert not loaded_by(f"from headgate.pipelines import {name}") & HEAVY
