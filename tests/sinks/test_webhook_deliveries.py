"""Commits reach a webhook in order, each whole, also past outages and kills of the sender."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hooks import receiver

from headgate.errors import Unavailable
from headgate.project import open_project

ROOT = Path(__file__).parents[2]
SETTINGS = """
[project]
name = "shop"
pipelines = ["pipe.py"]
[connections.hook]
url = "{url}"
secret = {{ secret = "key" }}
attempts = 1
"""
PIPELINE = """
from collections.abc import Iterator
import headgate as hg

@hg.step(mode="append")
def orders(first: int = 0) -> Iterator[dict]:
    for n in range(first, first + 5):
        yield {"n": n}

hook = hg.sink("webhook", connection="hook", tables=[orders], most_rows=2)
"""
KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def hook():
    with receiver() as hook:
        yield hook


@pytest.fixture
def project(tmp_path, hook):
    (tmp_path / "headgate.toml").write_text(SETTINGS.format(url=hook.url))
    (tmp_path / "pipe.py").write_text(PIPELINE)
    with open_project(tmp_path, environment={"HEADGATE_SECRET_KEY": KEY}) as project:
        yield project


def taken(hook):
    """Give what a receiver keeps: messages with an id it has seen are left out; rows by commit."""
    seen, commits = set(), {}
    for (headers, _), data in zip(hook.messages, hook.data, strict=True):
        if headers["webhook-id"] not in seen:
            seen.add(headers["webhook-id"])
            rows = commits.setdefault((data["number"], data["after"] is None), [])
            rows += [row["n"] for table in data["tables"] for row in table.get("rows", ())]
    return commits


def test_the_first_commit_comes_whole_and_then_what_was_added(project, hook):
    project.run(parameters=["first=0"])
    project.run(parameters=["first=5"])
    project.deliver()
    project.run(parameters=["first=10"])
    project.deliver()
    (first, whole), (second, also_whole) = taken(hook)
    assert (whole, also_whole) == (True, False)
    assert list(map(sorted, taken(hook).values())) == [list(range(10)), list(range(10, 15))]
    assert first < second
    assert [data["part"] for data in hook.data] == [1, 2, 3, 4, 5, 1, 2, 3]


def test_a_receiver_that_was_away_for_ten_commits_gets_all_in_order(project, hook):
    project.run(parameters=["first=0"])
    project.deliver()
    hook.usual = lambda _: (503, {})
    for number in range(1, 11):
        project.run(parameters=[f"first={number * 5}"])
        with pytest.raises(Unavailable):
            project.deliver()
    (state,) = project.sinks()
    assert state.behind == 10
    hook.messages.clear()
    hook.usual = lambda _: (204, {})
    project.deliver()
    assert list(taken(hook).values()) == [list(range(n * 5, n * 5 + 5)) for n in range(1, 11)]
    (state,) = project.sinks()
    assert state.behind == 0


def test_a_sender_that_is_killed_in_the_middle_sends_the_same_messages_again(
    project, hook, tmp_path
):
    project.run(parameters=["first=0"])
    project.close()
    program = "import headgate; headgate.open('.').deliver()"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HEADGATE_SECRET_KEY": KEY}
    senders = []

    def killing(count):
        if count in {2, 3}:
            os.kill(senders[-1].pid, signal.SIGKILL)
        return 204, {}

    hook.usual = killing
    for _ in range(3):
        sender = subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path, env=environment)
        senders.append(sender)
        sender.wait(60)
    assert [each.returncode for each in senders] == [-signal.SIGKILL, -signal.SIGKILL, 0]
    assert [data["part"] for data in hook.data] == [1, 2, 1, 1, 2, 3]
    assert list(taken(hook).values()) == [[0, 1, 2, 3, 4]]
    bodies = {}
    for headers, body in hook.messages:
        assert bodies.setdefault(headers["webhook-id"], body) == body
