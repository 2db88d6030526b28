"""Published commits as files, from a project."""

import json
import subprocess
import sys
from pathlib import Path

PIPELINE = """
import headgate as hg
import polars as pl

@hg.step(mode="upsert", key="id")
def customers() -> pl.DataFrame:
    return pl.read_csv("{root}/customers.csv")

@hg.step(mode="append")
def visits() -> pl.DataFrame:
    return pl.read_csv("{root}/customers.csv")

share = hg.sink("files", directory="out", format="jsonl", tables=[customers, visits])
log = hg.sink("files", directory="log", format="csv", tables=[customers], mode="insert")
"""


def headgate(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "headgate", *words],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_keyed_table_is_a_file_that_is_replaced(tmp_path):
    (tmp_path / "headgate.toml").write_text('[project]\nname = "p"\npipelines = ["p.py"]\n')
    (tmp_path / "p.py").write_text(PIPELINE.format(root=tmp_path))
    (tmp_path / "customers.csv").write_text("id,name\n1,Ann\n2,Bo\n")
    done = headgate(tmp_path, "run")
    assert done.returncode == 0, done.stderr
    (tmp_path / "customers.csv").write_text("id,name\n2,Bob\n3,Cy\n")
    done = headgate(tmp_path, "run", "--force")
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "out/customers.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert sorted(rows, key=lambda row: row["id"]) == [
        {"id": 1, "name": "Ann"},
        {"id": 2, "name": "Bob"},
        {"id": 3, "name": "Cy"},
    ]
    visits = (tmp_path / "out/visits.jsonl").read_text().splitlines()
    assert len(visits) == 4  # those of the first commit are still there
    (first,) = (tmp_path / "log/customers").iterdir()
    assert first.read_text().splitlines()[1:] == ['1,"Ann"', '2,"Bo"']
    states = json.loads(headgate(tmp_path, "sinks", "--json").stdout)
    assert {each["sink"]: each["behind"] for each in states["sinks"]} == {"share": 0, "log": 1}
