"""Ctrl-C and a reader that goes away, in real processes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PIPELINE = """\
import threading

import headgate as hg

quick = hg.sql_step("select 1 as x")


@hg.step
def slow(quick: list[dict]) -> list[dict]:
    if hg.__name__:
        with open("begun", "w") as pipe:
            pipe.write("x")
        threading.Event().wait()
    return quick
"""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "headgate.toml").write_text('[project]\nname = "waiting"\n')
    (tmp_path / "waiting.py").write_text(PIPELINE)
    os.mkfifo(tmp_path / "begun")
    return tmp_path


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_keeps_its_branch_and_says_how_to_go_on(project, headgate, number):
    run = subprocess.Popen(
        [sys.executable, "-m", "headgate", "run"],
        cwd=project,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    (project / "begun").read_text()
    run.send_signal(number)
    _, words = run.communicate(timeout=60)
    assert run.returncode == 130, words
    assert "Traceback" not in words
    id_ = words.partition("headgate resume ")[2].split()[0]
    assert "Not published. Readers of main still see" in words
    assert headgate("sql", "--ref", f"run/{id_}", "select * from quick").stdout == "x\n1\n"
    (project / "waiting.py").write_text(PIPELINE.replace("if hg.__name__", "if False"))
    resumed = headgate("resume", id_, check=0)
    assert "Published 2 tables to main" in resumed.stderr


def test_rows_into_a_closed_pipe_are_no_error(project):
    (project / "waiting.py").write_text('import headgate as hg\nx = hg.sql_step("select 1 as n")\n')
    script = (
        f"{sys.executable} -m headgate run 2>/dev/null; "
        f"{sys.executable} -m headgate sql 'select * from range(1000000)' --format csv | head -n2; "
        "echo ${PIPESTATUS[0]}"
    )
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=project,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.stdout == '"range"\n0\n0\n'
    assert done.stderr == ""
