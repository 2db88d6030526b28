"""Every command's answer for programs, and what it is in words; in this process, on a real lake."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headgate.cli.commands import answer

PIPELINE = """\
from collections.abc import Iterator
from typing import Annotated

import headgate as hg


class Number(hg.Contract, rules=(hg.unique("n"),)):
    n: int
    square: Annotated[int, hg.between(0, 10_000)]
    odd: Annotated[str | None, hg.one_of("yes", severity="quarantine")]


@hg.step(contract=Number)
def numbers(count: int = 4) -> Iterator[dict]:
    for n in range(count):
        yield {"n": n, "square": n * n, "odd": "yes" if n % 2 else "no"}


total = hg.sql_step("select sum(square)::bigint as total from numbers")
"""


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """A project that was run twice; the tests that share it change nothing."""
    root = tmp_path_factory.mktemp("project")
    (root / "headgate.toml").write_text(
        '[project]\nname = "squares"\npipelines = ["squares.py"]\n[engine]\nthreads = 1\n'
    )
    (root / "squares.py").write_text(PIPELINE)
    for count in ("4", "9"):
        assert answer(["run", "-C", str(root), "-p", f"count={count}"]) == 0
    return root


@pytest.fixture
def fresh(tmp_path):
    """A project that was never run."""
    (tmp_path / "headgate.toml").write_text('[project]\nname = "squares"\n')
    (tmp_path / "squares.py").write_text(PIPELINE)
    return tmp_path


@pytest.fixture
def ask(capfdbinary):
    """Ask a command; give what it wrote to stdout and stderr."""

    def ask(root, *arguments, exits=0):
        capfdbinary.readouterr()
        assert answer([*arguments, "-C", str(root)]) == exits
        written = capfdbinary.readouterr()
        return written.out, written.err.decode()

    return ask


@pytest.fixture
def document(ask):
    def document(root, *arguments, exits=0):
        out, _ = ask(root, *arguments, "--json", exits=exits)
        return json.loads(out)

    return document


def lines(written):
    return written[0].decode().splitlines()


def test_log(lake, ask, document):
    commits = document(lake, "log")["commits"]
    assert [commit["number"] for commit in commits] == [2, 1, 0]
    assert commits[0]["tables"] == ["numbers", "total"]
    assert len(lines(ask(lake, "log", "-n", "1"))) == 1
    assert len(document(lake, "log", "total")["commits"]) == 2
    assert document(lake, "log", "nope", exits=6)["error"]["code"] == "unknown-table"


def test_show(lake, ask, document):
    commit = document(lake, "show", "main")
    assert [step["step"] for step in commit["steps"]] == ["numbers", "total"]
    assert commit["steps"][0]["rows_quarantined"] == 5
    assert commit["verdicts"][0]["state"] == "passed"
    run = document(lake, "show", f"run/{commit['run'][:4]}")
    assert (run["run"], run["state"]) == (commit["run"], "published")
    assert document(lake, "show", commit["run"])["run"] == commit["run"]
    assert document(lake, "show", "main~1")["number"] == 1
    assert "replaced, 4 rows" in ask(lake, "show", "main")[0].decode()
    assert document(lake, "show", "nope", exits=6)["error"]["code"] == "unknown-ref"


def test_diff(lake, ask, document):
    found = document(lake, "diff", "main~1", "main")
    assert {change["key"]: change["change"] for change in found["changes"]} == {
        "table/numbers": "changed",
        "table/total": "changed",
    }
    assert lines(ask(lake, "diff")) == ["~ numbers  2 to 4 rows", "~ total    1 row, changed"]
    assert lines(ask(lake, "diff", "main~1")) == ["+ numbers  2 rows", "+ total    1 row"]
    assert lines(ask(lake, "diff", "main", "main")) == []
    assert len(document(lake, "diff", "--all")["changes"]) > 2


def test_table(lake, ask, document):
    tables = document(lake, "table")["tables"]
    assert set(tables) == {"numbers", "total"}
    one = document(lake, "table", "numbers", "--ref", "main~1")
    assert (one["rows"], [column["name"] for column in one["columns"]]) == (
        2,
        ["n", "square", "odd"],
    )
    listed = lines(ask(lake, "table"))
    assert listed[0].split() == ["table", "rows", "size", "columns"]
    assert lines(ask(lake, "table", "total"))[0].startswith("total of main (")
    assert ask(lake, "table", "totl", exits=6)[1].endswith("Did you mean total?\n")


def test_sql(lake, ask):
    query = "select n, square from numbers order by n"
    assert lines(ask(lake, "sql", query)) == [
        "n  square",
        "1       1",
        "3       9",
        "5      25",
        "7      49",
    ]
    assert json.loads(ask(lake, "sql", query, "--json")[0])[0] == {"n": 1, "square": 1}
    assert lines(ask(lake, "sql", query, "--format", "csv"))[:2] == ['"n","square"', "1,1"]
    assert lines(ask(lake, "sql", query, "--format", "jsonl", "-n", "1")) == ['{"n":1,"square":1}']
    parquet = ask(lake, "sql", query, "--format", "parquet")[0]
    assert pq.read_table(pa.BufferReader(parquet)).num_rows == 4
    assert lines(ask(lake, "sql", "select sum(n) as s from numbers", "--ref", "main~1"))[1] == "4"
    assert lines(ask(lake, "sql", "select $x::int + 1 as y", "-p", "x=41"))[1] == "42"


def test_sql_that_is_wrong_is_explained(lake, ask, document):
    assert document(lake, "sql", "selec 1", exits=2)["error"]["code"] == "bad-sql"
    error = document(lake, "sql", "select * from nubmers", exits=6)["error"]
    assert (error["code"], error["hint"]) == ("unknown-table", "Did you mean numbers?")
    error = document(lake, "sql", "select nn from numbers", exits=2)["error"]
    assert error["code"] == "sql-does-not-bind"
    assert document(lake, "sql", "select 1", "--ref", "mian", exits=6)["error"]["hint"] == (
        "Did you mean main?"
    )
    assert document(lake, "sql", "select 1", "-p", "x", exits=2)["error"]["code"] == (
        "parameter-unreadable"
    )


def test_status(lake, ask, document):
    status = document(lake, "status")
    assert [branch["name"] for branch in status["branches"]] == ["main"]
    assert [run["state"] for run in status["runs"]] == ["published", "published"]
    assert status["unfinished"] == []
    assert lines(ask(lake, "status"))[0].startswith("main  ")


def test_quarantine(lake, ask, document):
    listed = document(lake, "quarantine", "list")["quarantine"]
    assert listed == [{"table": "numbers", "rows": 5, "reasons": {"odd in ('yes')": 5}}] or (
        listed[0]["table"],
        listed[0]["rows"],
        list(listed[0]["reasons"].values()),
    ) == ("numbers", 5, [5])
    reason = next(iter(listed[0]["reasons"]))
    assert reason in lines(ask(lake, "quarantine", "list"))[1]
    rows = document(lake, "quarantine", "show", "numbers")
    assert json.loads(rows[0]["payload"])["n"] == 0
    assert rows[0]["checks"] == [reason]
    assert len(document(lake, "quarantine", "show", "numbers", "--because", reason)) == 5
    assert document(lake, "quarantine", "show", "numbers", "--because", "nothing") == []
    shown = lines(ask(lake, "quarantine", "show", "numbers"))
    assert shown[0].split() == ["position", "because", "row"]
    assert reason in shown[1]
    error = document(lake, "quarantine", "show", "total", exits=6)["error"]
    assert error["code"] == "nothing-quarantined"


def test_contracts(lake, ask, document):
    assert list(document(lake, "contract", "list")["contracts"]) == ["numbers"]
    shown = document(lake, "contract", "show", "numbers")
    assert [column["name"] for column in shown["contract"]["columns"]] == ["n", "square", "odd"]
    assert "quarantine" in ask(lake, "contract", "show", "numbers")[0].decode()
    assert document(lake, "contract", "show", "total", exits=6)["error"]["code"] == "no-contract"
    assert [v["state"] for v in document(lake, "check")["verdicts"]] == ["passed"]
    assert lines(ask(lake, "check", "numbers"))[0].startswith("✓ numbers  passed")


def test_plan(lake, ask, document):
    plan = document(lake, "plan", "-p", "count=9")
    assert plan["nothing_to_do"]
    assert [step["action"] for step in document(lake, "plan")["steps"]] == ["run", "maybe"]
    assert "nothing to do" in ask(lake, "plan", "-p", "count=9")[1]


def test_graph(lake, ask, document):
    graph = document(lake, "graph")
    assert [step["step"] for step in graph["steps"]] == ["numbers", "total"]
    assert graph["steps"][1]["reads"] == ["numbers"]
    assert graph["steps"][0]["parameters"] == ["count"]
    assert lines(ask(lake, "graph", "--format", "mermaid"))[0] == "flowchart LR"
    assert ask(lake, "graph", "--format", "svg")[0].startswith(b"<svg")
    assert document(lake, "graph", "nope", exits=6)["error"]["code"] == "unknown-pipeline"


def test_doctor(lake, ask, document):
    findings = document(lake, "doctor", "--files")["findings"]
    assert {finding["level"] for finding in findings} == {"ok"}
    assert "every byte read" in findings[-1]["found"]
    assert all(line.startswith("✓ ") for line in lines(ask(lake, "doctor")))


def test_run(fresh, document, ask):
    run = document(fresh, "run")
    assert (run["state"], run["tables"]) == ("published", ["numbers", "total"])
    assert run["steps"][0]["rows_quarantined"] == 2
    again = document(fresh, "run")
    assert (again["state"], again["commit"]) == ("nothing-to-do", run["commit"])
    assert document(fresh, "run", "--force")["state"] == "published"
    assert ask(fresh, "run", "nope", exits=6)[1].startswith("Error: There is no pipeline 'nope'")


def test_a_failed_run_is_one_document_with_what_failed(fresh, document):
    (fresh / "squares.py").write_text(PIPELINE.replace("10_000", "3"))
    failed = document(fresh, "run", exits=4)
    assert failed["error"]["category"] == "check-failed"
    assert failed["state"] == "failed"
    assert failed["verdicts"][0]["state"] == "failed"
    events = [json.loads(line)["event"] for line in Path(failed["log"]).read_text().splitlines()]
    assert (events[0], events[-1]) == ("run-started", "run-failed")
    resumed = document(fresh, "resume", failed["run"][:4], exits=4)
    assert resumed["run"] == failed["run"]
    (fresh / "squares.py").write_text(PIPELINE)
    assert document(fresh, "resume", failed["run"])["state"] == "published"
    assert document(fresh, "resume", failed["run"], exits=7)["error"]["code"] == "run-is-final"


def test_branches_and_tags(fresh, ask, document):
    document(fresh, "run")
    assert document(fresh, "branch", "dev")["branch"] == "dev"
    assert [b["name"] for b in document(fresh, "branch")["branches"]] == ["dev", "main"]
    assert document(fresh, "branch", "dev", exits=7)["error"]["code"] == "ref-exists"
    assert "Did you mean delete?" in ask(fresh, "branch", "delet", "dev", exits=2)[1]
    assert "no longer protected" in ask(fresh, "branch", "unprotect", "main")[1]
    assert "main is protected" in ask(fresh, "branch", "protect", "main")[1]
    assert "Deleted" in ask(fresh, "branch", "delete", "dev")[1]
    assert document(fresh, "branch", "delete", "main", exits=7)["error"]["code"] == "main-branch"
    assert document(fresh, "tag", "v1", "main~1")["tag"] == "v1"
    assert [tag["name"] for tag in document(fresh, "tag")["tags"]] == ["v1"]
    assert "Deleted" in ask(fresh, "tag", "delete", "v1")[1]
    assert len(lines(ask(fresh, "branch", "list", "--all"))) == 3


def test_merge_and_revert(fresh, ask, document):
    document(fresh, "run")
    document(fresh, "run", "--branch", "dev", "-p", "count=9")
    merged = document(fresh, "merge", "dev")
    assert merged["state"] == "published"
    assert "Nothing to do: all of dev is in" in ask(fresh, "merge", "dev")[1]
    plan = document(fresh, "revert", "main", "--plan")
    assert plan["run"] == merged["run"]
    assert ask(fresh, "revert", "main", "--plan")[0].decode().startswith("Taking back run ")
    assert document(fresh, "revert", merged["run"])["state"] == "published"
    rows = json.loads(ask(fresh, "sql", "select count(*) as n from numbers", "--json")[0])
    assert rows == [{"n": 2}]


def test_a_run_is_adopted_or_given_up(fresh, ask, document):
    broken = PIPELINE.replace("sum(square)", "sum(square) // 0 + error('no')")
    (fresh / "squares.py").write_text(broken)
    first = document(fresh, "run", exits=3)["run"]
    second = document(fresh, "run", exits=3)["run"]
    assert document(fresh, "adopt", first)["tables"] == ["numbers"]
    assert "is given up" in ask(fresh, "abandon", second[:4])[1]
    assert document(fresh, "adopt", second, exits=7)["error"]["code"] == "run-is-final"


def test_doctor_names_a_damaged_file_and_a_dead_run(fresh, ask, document):
    document(fresh, "run")
    file = next((fresh / "lake" / "data").rglob("*.parquet"))
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    findings = document(fresh, "doctor", "--files", exits=9)["findings"]
    bad = [finding for finding in findings if finding["level"] == "bad"]
    assert len(bad) == 1
    assert file.name in bad[0]["found"]
    assert bad[0]["hint"]
    file.unlink()
    assert "✗" in ask(fresh, "doctor", exits=9)[0].decode()


def test_doctor_without_a_lake_or_with_broken_code_goes_on(fresh, document):
    (fresh / "squares.py").write_text("import headgate\n1 / 0\n")
    findings = {f["what"]: f for f in document(fresh, "doctor")["findings"]}
    assert "ZeroDivisionError" in findings["pipelines"]["found"]
    assert findings["lake"]["hint"] == "The first  headgate run  makes one."
