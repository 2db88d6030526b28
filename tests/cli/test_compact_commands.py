"""``table compact`` and ``maintain``: what they say, to people and to programs."""

import json
import re

import pytest

from headgate.cli.commands import answer
from headgate.project import open_project


@pytest.fixture
def says(tmp_path, capsys):
    """Run a command in a project with a table of six small files; give its words and its data."""
    (tmp_path / "headgate.toml").write_text('[project]\nname = "shop"\n')
    with open_project(tmp_path, environment={}) as project:
        for n in range(6):
            with project.transaction() as transaction:
                transaction.write("orders", [{"n": n}], mode="append")
        with project.transaction() as transaction:
            transaction.write("single", [{"n": 1}], mode="append")

    def run(*words, exits=0):
        capsys.readouterr()
        assert answer([*words, "-C", str(tmp_path)]) == exits
        found = capsys.readouterr()
        return found.err, found.out

    return run


def test_a_plan_is_a_table_and_changes_nothing(says):
    words, data = says("table", "compact", "--plan")
    assert words == ""
    assert re.sub(r" +", " ", data).splitlines()[0] == "table files to rewrite size groups"
    assert re.match(r"orders\s+6\s+6\s+\S+ kB\s+1$", data.splitlines()[1])
    assert len(data.splitlines()) == 2
    [plan, _] = json.loads(says("table", "compact", "--plan", "--json")[1])["tables"]
    assert len(plan["groups"][0]["files"]) == plan["files"] == 6


def test_what_was_done_is_one_line_a_table(says):
    words, data = says("table", "compact")
    assert data == ""
    shown = r"Compacted orders: 6 files \(\S+ kB\) into 1 \(\S+ (k)?B\) as [0-9a-f]{6}, .*\.\n"
    assert re.fullmatch(shown, words)
    assert says("table", "compact") == (
        "Nothing to do: no small files lie beside each other.\n",
        "",
    )
    assert "in 1 file" in says("table", "orders")[1]
    assert "compact orders" in says("show", "main")[1]
    assert says("diff")[1] == ""


def test_programs_get_a_document(says):
    [done] = json.loads(says("table", "compact", "orders", "--json")[1])["tables"]
    assert (done["files_before"], done["files_after"], done["rows"]) == (6, 1, 6)
    assert len(done["commits"]) == 1
    assert done["busy"] is None


def test_maintain_does_what_is_due_only(says):
    assert says("maintain")[0] == "Nothing to do: no small files lie beside each other.\n"
    assert json.loads(says("maintain", "--plan", "--json")[1])["tables"][0]["groups"] == []


def test_another_branch_is_named_by_ref(says):
    says("branch", "create", "dev")
    says("table", "compact", "--ref", "dev")
    assert "in 1 file" in says("table", "orders", "--ref", "dev")[1]
    assert "in 1 file" in says("table", "--ref", "dev", "orders")[1]
    assert "in 6 files" in says("table", "orders")[1]
    words, _ = says("table", "compact", "--ref", "nowhere", exits=6)
    assert "There is no branch 'nowhere'" in words


def test_a_table_is_shown_by_its_name_alone_or_with_show(says):
    assert says("table", "orders") == says("table", "show", "orders")
    words, _ = says("table", "oders", exits=6)
    assert "Did you mean orders?" in words
    words, _ = says("table", "compact", "oders", exits=6)
    assert "There is no table 'oders' on main" in words
    assert "Did you mean orders?" in words
