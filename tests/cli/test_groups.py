"""What is kept under names is listed by its command alone, and shown by its name."""

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LISTS = ("branch", "contract", "quarantine", "sinks", "sources", "tag")


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """Give the project that init makes, run once."""
    root = tmp_path_factory.mktemp("shop")
    for arguments in (["init", "."], ["run"]):
        done = headgate(root, *arguments)
        assert done.returncode == 0, done.stderr
    return root


def headgate(root, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "headgate", *arguments]
    return subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, check=False, timeout=120
    )


def on_a_terminal(root, *arguments, columns):
    """Give what a command writes on a terminal of so many columns."""
    mine, theirs = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": str(columns), "LINES": "50"}
    command = [sys.executable, "-m", "headgate", *arguments]
    process = subprocess.Popen(command, cwd=root, env=environment, stdout=theirs, stderr=theirs)
    os.close(theirs)
    said = b""
    while True:
        try:
            part = os.read(mine, 4096)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        said += part
    os.close(mine)
    assert process.wait(timeout=60) == 0
    return said.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("group", LISTS)
def test_a_group_alone_lists(shop, group):
    alone, listed = headgate(shop, group), headgate(shop, group, "list")
    assert alone.returncode == 0
    assert _timeless(alone) == _timeless(listed)
    assert alone.stdout or alone.stderr
    as_json = json.loads(headgate(shop, group, "--json").stdout)
    assert as_json.keys() == json.loads(headgate(shop, group, "list", "--json").stdout).keys()


def _timeless(done):
    """Give what was said without how long ago something was."""
    return re.sub(r"[\d.]+ (ms|s|min)\b", "", done.stdout + done.stderr)


@pytest.mark.parametrize("group", ["contract", "quarantine", "sources", "table"])
def test_a_name_shows_what_has_it(shop, group):
    shown = headgate(shop, group, "orders")
    assert shown.returncode == 0
    assert shown.stdout == headgate(shop, group, "show", "orders").stdout
    missing = headgate(shop, group, "ordres")
    assert missing.returncode == 6
    assert "orders" in missing.stderr


@pytest.mark.parametrize(
    "arguments", [["sources"], ["quarantine"], ["contract"], ["plan"], ["status"]]
)
def test_lists_fit_a_narrow_terminal(shop, arguments):
    lines = on_a_terminal(shop, *arguments, columns=60).splitlines()
    assert lines
    assert max(map(len, lines)) <= 60


def test_a_table_is_no_file_to_copy_and_the_way_is_told(shop):
    done = headgate(shop, "copy", "orders", "x.csv")
    assert done.returncode == 6
    assert "headgate sql 'select * from orders' --format csv" in done.stderr
