import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(headgate, tmp_path):
    made = headgate("init", "shop", check=0)
    assert made.stdout == ""
    assert made.stderr.endswith("Next:    cd shop  then  headgate run\n")
    return tmp_path / "shop"


def test_a_new_project_runs_as_its_page_says(headgate, project):
    first = headgate("run", cwd=project, check=0).stderr
    assert "38 rows   2 quarantined" in first
    assert "1 warning: discount between 0 and 0.5, 1 row" in first
    assert headgate("run", cwd=project, check=0).stderr.startswith("Nothing to do: ")
    assert headgate("sql", "select count(*) as n from revenue", cwd=project).stdout == "n\n4\n"
    assert headgate("quarantine", "list", cwd=project).stdout.splitlines()[1].split()[:2] == [
        "orders",
        "2",
    ]
    (project / "shop.py").write_text(
        (project / "shop.py").read_text().replace("hg.between(0, 10_000)", "hg.between(0, 100)")
    )
    broken = headgate("run", cwd=project, check=4).stderr
    assert "✗ orders: amount between 0 and 100: 32 rows" in broken
    assert "Readers of main still see" in broken
    assert headgate("sql", "select count(*) as n from revenue", cwd=project).stdout == "n\n4\n"


def test_a_new_projects_own_tests_pass(project):
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": ""},
    )
    assert done.returncode == 0, done.stdout
    assert "4 passed" in done.stdout
    assert not (project / "lake").exists()


def test_a_project_is_never_made_over_another(headgate, project):
    again = headgate("init", "shop", cwd=project.parent, check=7)
    assert "nothing was written" in again.stderr
