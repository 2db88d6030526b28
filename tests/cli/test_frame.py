import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

import headgate as hg
from headgate.cli.commands import COMMANDS, answer
from headgate.cli.commands import headgate as group

ROOT = Path(__file__).parents[2]
HEAVY = ("duckdb", "numpy", "pandas", "polars", "pyarrow", "pyiceberg", "sqlglot")


def loaded_by(code):
    program = f"{code}\nimport sys; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    return set(done.stdout.split("\n")[-2].split())


def test_the_version_is_told_without_understanding_a_command(headgate):
    assert headgate("--version", check=0).stdout == f"headgate {hg.__version__}\n"
    loaded = loaded_by("from headgate.cli.main import main; main(['--version'])")
    assert not loaded & {"click", "msgspec", "rich", "dataclasses"}


def test_the_version_is_the_distributions():
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert pyproject["project"]["version"] == hg.__version__


def test_the_package_gives_what_it_lists_and_nothing_else():
    assert dir(hg) == sorted(hg.__all__)
    for name in hg.__all__:
        assert getattr(hg, name) is not None
    assert callable(hg.files)
    with pytest.raises(AttributeError, match="no attribute 'flies'"):
        _ = hg.flies


def test_help_needs_no_engine_no_drawing_and_no_database():
    loaded = loaded_by("from headgate.cli.main import main; main(['--help'])")
    assert not loaded & {*HEAVY, "rich", "sqlite3"}


def test_a_run_with_nothing_to_do_needs_no_engine_no_arrow_and_no_parser(tmp_path):
    (tmp_path / "headgate.toml").write_text('[project]\nname = "p"\n')
    (tmp_path / "data.csv").write_text("n\n1\n")
    (tmp_path / "p.py").write_text(
        "import headgate as hg\n"
        "class Row(hg.Contract):\n    n: int\n"
        'rows = hg.files("data.csv", contract=Row)\n'
        'twice = hg.sql_step("select n * 2 as n from rows")\n'
    )
    run = f"from headgate.cli.main import main; assert main(['run', '-C', {str(tmp_path)!r}]) == 0"
    assert "duckdb" in loaded_by(run)
    assert not loaded_by(run) & {*HEAVY, "rich"}


def test_every_command_of_the_table_is_there_and_has_help():
    for name in COMMANDS:
        command = group.get_command(None, name)
        assert command.name == name
        assert command.help
        assert len(command.get_short_help_str(limit=200)) < 60


def test_a_mistyped_command_is_answered_with_the_one_that_was_meant(headgate):
    done = headgate("comit", "x", check=2)
    assert "There is no command 'comit'. See  headgate --help" in done.stderr
    assert "Did you mean status?" in headgate("statsu", check=2).stderr


def test_no_arguments_show_the_help(headgate):
    done = headgate(check=2)
    assert "Commands:" in done.stderr


def test_an_error_has_its_parts_on_stderr_and_nothing_on_stdout(headgate, tmp_path):
    done = headgate("status", check=6)
    assert done.stdout == ""
    assert done.stderr == (
        f"Error: There is no headgate.toml in {tmp_path} or above it.\n"
        "Make a project with  headgate init  or put an empty headgate.toml there.\n"
    )


def test_with_json_an_error_is_a_document(headgate):
    done = headgate("status", "--json", check=6)
    error = json.loads(done.stdout)["error"]
    assert set(error) == {"code", "category", "message", "readers", "hint", "facts"}
    assert (error["code"], error["category"]) == ("no-project", "not-found")


def test_with_json_a_usage_error_is_a_document_too(headgate):
    done = headgate("status", "--json", "--nope", check=2)
    assert json.loads(done.stdout)["error"]["code"] == "usage"


def test_the_project_is_found_from_below_and_by_option(headgate, tmp_path):
    (tmp_path / "p" / "below").mkdir(parents=True)
    (tmp_path / "p" / "headgate.toml").write_text("[engine]\nthread = 1\n")
    for done in (
        headgate("graph", cwd=tmp_path / "p" / "below", check=2),
        headgate("graph", "-C", "p/below", check=2),
    ):
        assert "headgate.toml, line 2: engine.thread is no setting." in done.stderr


def test_a_bug_is_confessed_with_the_traceback_in_a_file(headgate, tmp_path):
    (tmp_path / "headgate.toml").touch()
    code = (
        "import headgate.cli.options as o; from headgate.cli.commands import answer\n"
        "def broken(self): raise ZeroDivisionError('oh')\n"
        "o.Call.project = property(broken)\n"
        "raise SystemExit(answer(['status', '--json']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 1
    assert "met a bug of its own: ZeroDivisionError: oh" in done.stderr
    assert "Traceback" not in done.stderr
    error = json.loads(done.stdout)["error"]
    assert "ZeroDivisionError" in Path(error["traceback"]).read_text()
    assert Path(error["traceback"]).parent == tmp_path / ".headgate" / "logs"


def test_a_reader_that_goes_away_is_no_error(tmp_path):
    (tmp_path / "headgate.toml").touch()
    command = f"{sys.executable} -m headgate --help | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert (done.stdout, done.stderr) == ("0\n", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_commands_and_options(shell, headgate):
    assert "_HEADGATE_COMPLETE" in headgate("completion", shell, check=0).stdout
    complete = ShellComplete(group, {}, "headgate", "_HEADGATE_COMPLETE")
    assert [item.value for item in complete.get_completions([], "sta")] == ["status"]
    options = [item.value for item in complete.get_completions(["sql"], "--f")]
    assert options == ["--format"]
    formats = [item.value for item in complete.get_completions(["sql", "--format"], "p")]
    assert formats == ["parquet"]


def test_answer_can_be_called_again_and_again(capsys):
    assert answer(["completion", "bash"]) == 0
    assert answer(["completion", "bash"]) == 0
    assert capsys.readouterr().out
