"""Airbyte connectors: every record, its state in the cursor, no process and no file left behind."""

import fcntl
import json
import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from headgate.errors import HeadgateError, Invalid, NotFound, Refused, Unavailable
from headgate.project import open_project
from headgate.secrets import Secret
from headgate.sources import Setting
from headgate.sources.airbyte.kept_files import PREFIX, kept_files, sweep
from headgate.sources.airbyte.messages import kept_state
from headgate.sources.airbyte.source import AirbyteSource
from headgate.testing.source_suite import Situation, SourceSuite

CONNECTOR = Path(__file__).with_name("connector.py")
COMMAND = [sys.executable, str(CONNECTOR)]


def write_rows(file, first, count, **more):
    rows = [
        {"id": n, "name": f"ä{n}", "at": "2026-01-01T00:00:00Z", **more}
        for n in range(first, first + count)
    ]
    with file.open("a", encoding="utf-8") as lines:
        lines.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    return rows


@pytest.fixture
def file(tmp_path):
    file = tmp_path / "rows.jsonl"
    write_rows(file, 1, 5)
    return file


@pytest.fixture
def source(tmp_path, file):
    """Make a source over the file of five rows."""

    def source(*, appends=False, config=None, **options):
        setting = Setting(
            root=tmp_path,
            cache=tmp_path / "cache",
            appends=appends,
            reveal=lambda value: "canary-1" if isinstance(value, Secret) else value,
        )
        given = {"command": COMMAND, "stream": "orders", **options}
        return AirbyteSource({**given, "config": {"file": str(file), **(config or {})}}, setting)

    return source


def records(batches):
    return [json.loads(text) for batch in batches for text in batch.rows["_hg_record"].to_pylist()]


class TestAirbyte(SourceSuite):
    def situation(self, directory):
        file = directory / "rows.jsonl"
        rows = write_rows(file, 1, 5)
        setting = Setting(root=directory, cache=directory / "cache")
        options = {"command": COMMAND, "config": {"file": str(file)}, "stream": "orders"}

        return Situation(
            open=lambda: AirbyteSource(options, setting),
            rows=rows,
            grow=lambda: write_rows(file, 6, 3),
            widen=lambda: write_rows(file, 6, 2, more=1),
            empty=lambda: AirbyteSource({**options, "config": {"file": "/dev/null"}}, setting),
            unreachable=lambda: AirbyteSource({**options, "command": ["no-such-source"]}, setting),
        )


def test_records_arrive_with_the_state_that_covers_them(source):
    batches = list(source().read(None))
    assert [row["id"] for row in records(batches)] == [1, 2, 3, 4, 5]
    assert [batch.rows.num_rows for batch in batches] == [2, 2, 1]
    states = [json.loads(batch.cursor.sequence[1]) for batch in batches]
    assert [state[0]["stream"]["stream_state"]["id"] for state in states] == [2, 4, 5]
    assert "sourceStats" not in batches[0].cursor.text()


def test_records_behind_the_last_state_do_not_move_the_cursor(source):
    *_, last = source(config={"way": "no last state", "every": 2}).read(None)
    assert json.loads(last.cursor.sequence[1])[0]["stream"]["stream_state"] == {"id": 4}


def test_a_stream_that_can_only_be_read_whole_is(source):
    made = source(config={"way": "full"})
    assert {batch.cursor for batch in made.read(None)} == {None}


def test_numbers_keep_every_digit_and_texts_theirs(source, file):
    file.write_text('{"id": 1, "big": 123456789012345678901234567890.10, "text": "\\u00e4 \\n"}\n')
    (batch,) = source().read(None)
    (text,) = batch.rows["_hg_record"].to_pylist()
    # The connector of the tests prints floats as Python does; what it prints is kept as it is.
    assert text == '{"id": 1, "big": 1.2345678901234568e+29, "text": "\\u00e4 \\n"}'


def test_secrets_reach_the_program_in_files_that_only_it_may_read(source, tmp_path, monkeypatch):
    monkeypatch.setenv("HEADGATE_SECRET_OTHER", "canary-2")
    seen = tmp_path / "seen"
    made = source(
        config={"token": Secret("token"), "seen": str(seen), "nested": [{"a": Secret("b")}]},
        environment={"API_TOKEN": Secret("token")},
    )
    list(made.read(None))
    told = [json.loads(line) for line in seen.read_text().splitlines()]
    assert [each["verb"] for each in told] == ["check", "discover", "read"]
    for each in told:
        assert each["modes"] == ["0o700", "0o600"]
        assert each["config"]["token"] == "canary-1"
        assert each["config"]["nested"] == [{"a": "canary-1"}]
        assert "API_TOKEN" in each["environment"]
        assert "HEADGATE_SECRET_OTHER" not in each["environment"]
        assert not Path(each["directory"]).exists()
        assert not Path(each["directory"]).is_relative_to(tmp_path)


def test_the_next_reading_is_told_the_state_and_the_catalog(source, tmp_path):
    seen = tmp_path / "seen"
    *_, last = source().read(None)
    list(source(config={"seen": str(seen)}, primary_key="id").read(last.cursor))
    told = {each["verb"]: each for each in map(json.loads, seen.read_text().splitlines())}
    assert "check" not in told
    assert told["read"]["state"][0]["stream"]["stream_state"] == {"id": 5}
    (stream,) = told["read"]["catalog"]["streams"]
    assert stream["stream"]["name"] == "orders"
    assert stream["sync_mode"] == "incremental"
    assert stream["cursor_field"] == ["id"]
    assert stream["primary_key"] == [["id"]]


# -- what goes wrong


def failure(made):
    with pytest.raises(HeadgateError) as caught:
        list(made.read(None))
    return caught.value


def test_an_error_is_told_with_what_the_program_said(source):
    error = failure(source(config={"way": "trace at 4"}))
    assert isinstance(error, Unavailable)
    assert error.code == "connector-failed"
    assert "read ended with 1: the API is away" in error.message
    assert "broke in the depths" in error.message


def test_what_was_given_before_it_failed_was_given(source):
    given = []
    with pytest.raises(HeadgateError):
        given.extend(source(config={"way": "exit at 4"}).read(None))
    got = []
    made = source(config={"way": "exit at 4"}).read(None)
    with pytest.raises(HeadgateError):
        for batch in made:
            got.append(batch)  # noqa: PERF402 - what came before the error counts
    assert [row["id"] for row in records(got)] == [1, 2]


def test_an_exit_code_counts_also_after_the_last_record(source):
    error = failure(source(config={"way": "bad end"}))
    assert "ended with 3" in error.message
    assert "it fails at last" in error.message


def test_a_refused_configuration_is_said_before_anything_is_read(source, file):
    error = failure(source(config={"way": "check", "token": "x"}))
    assert (error.code, error.category) == ("connector-refused", "invalid")
    assert "401 for x" in error.message


def test_a_configuration_that_lacks_something_is_said_by_name(tmp_path):
    options = {"command": COMMAND, "stream": "orders"}
    made = AirbyteSource(options, Setting(root=tmp_path, cache=tmp_path))
    error = failure(made)
    assert "lacks file" in error.message


def test_an_unknown_stream_is_refused_with_what_was_meant(source):
    error = failure(source(stream="ordrs"))
    assert isinstance(error, NotFound)
    assert error.hint == "Did you mean orders?"


def test_lines_that_are_none_of_the_protocols_are_passed_over(source):
    assert len(records(source(config={"way": "rubbish at 2"}).read(None))) == 5


def test_a_program_that_is_not_there_is_named(source, tmp_path):
    assert failure(source(command=["no-such-source"])).code == "connector-missing"
    (tmp_path / "plain").write_text("#!/bin/sh\n")
    assert failure(source(command=["./plain"])).code == "connector-not-allowed"


def test_a_program_that_speaks_otherwise_is_named(source):
    error = failure(source(command=["true"]))
    assert "gave no catalog" in error.message


def test_what_may_come_twice_is_not_appended_unless_it_is_said(source):
    assert failure(source(appends=True)).code == "connector-repeats"
    assert len(records(source(appends=True, repeats="keep").read(None))) == 5


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return stat != "Z"


def group_of(pid):
    """Give the living processes of a group."""
    found = []
    for each in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = each.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == pid and fields[0] != "Z":
            found.append(int(each.parent.name))
    return found


@pytest.mark.parametrize("way", ["hang at 4", "deaf at 4"])
def test_a_reading_that_is_closed_kills_the_program_and_what_it_started(
    source, tmp_path, monkeypatch, way
):
    monkeypatch.setattr("headgate.sources.airbyte.connector._PATIENCE_S", 0.5)
    seen = tmp_path / "seen"
    with closing(source(config={"way": way, "seen": str(seen)}).read(None)) as batches:
        next(batches)
        told = json.loads(seen.read_text().splitlines()[-1])
        assert alive(told["pid"])
    assert group_of(told["pid"]) == []
    assert not Path(told["directory"]).exists()


def test_a_program_that_says_nothing_is_ended(source, monkeypatch):
    monkeypatch.setattr("headgate.sources.airbyte.connector._PATIENCE_S", 0.5)
    error = failure(source(config={"way": "hang at 2"}, silence_s=1.5))
    assert error.code == "connector-silent"


def test_a_line_without_end_is_refused(source, monkeypatch, file):
    monkeypatch.setattr("headgate.sources.airbyte.connector.LARGEST_BYTES", 1 << 16)
    file.write_text(json.dumps({"id": 1, "text": "x" * 100_000}) + "\n")
    assert failure(source()).code == "connector-line-too-long"


def test_files_of_a_killed_maker_are_removed_by_the_next(tmp_path):
    program = (
        "import sys, os, signal\nfrom pathlib import Path\n"
        "from headgate.sources.airbyte.kept_files import kept_files\n"
        "with kept_files({'config.json': b'canary'}, within=Path(sys.argv[1])):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = str(Path(__file__).parents[3])
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path],
        env={**os.environ, "PYTHONPATH": root},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert len(list(tmp_path.glob(f"{PREFIX}*/config.json"))) == 1
    with kept_files({"config.json": b"mine"}, within=tmp_path) as mine:
        sweep(tmp_path)
        assert [each.parent for each in tmp_path.glob(f"{PREFIX}*/config.json")] == [mine]
    assert list(tmp_path.iterdir()) == []


def test_files_that_another_sweeps_before_they_are_locked_are_made_anew(tmp_path, monkeypatch):
    lock, swept = fcntl.flock, []

    def late(file, how):
        if how == fcntl.LOCK_EX and not swept:
            swept.append(file)
            sweep(tmp_path)
        lock(file, how)

    monkeypatch.setattr("headgate.sources.airbyte.kept_files.fcntl.flock", late)
    with kept_files({"config.json": b"mine"}, within=tmp_path) as mine:
        sweep(tmp_path)
        assert (mine / "config.json").read_bytes() == b"mine"
    assert swept
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "options",
    [
        {"command": []},
        {"command": 4},
        {"command": ["a", Secret("b")]},
        {"stream": ""},
        {"config": []},
        {"repeats": "sometimes"},
        {"silence_s": 0},
        {"environment": ["a"]},
        {"cursor_field": 4},
        {"comand": ["x"]},
    ],
)
def test_options_that_cannot_be_meant_are_refused(options, tmp_path):
    given = {"command": ["x"], "stream": "y", **options}
    with pytest.raises(Invalid) as caught:
        AirbyteSource(given, Setting(root=tmp_path, cache=tmp_path))
    assert caught.value.code in {"bad-option", "unknown-option"}


def test_states_of_all_kinds_are_kept_as_the_next_reading_wants_them():
    stream = {"stream_descriptor": {"name": "a"}, "stream_state": {"x": 1}}
    told = {"type": "STREAM", "stream": stream, "sourceStats": {"recordCount": 1}}
    assert json.loads(kept_state(told)) == [{"type": "STREAM", "stream": stream}]
    shared = {"shared_state": {"y": 2}, "stream_states": [stream]}
    told = {"type": "GLOBAL", "global": shared}
    assert json.loads(kept_state(told)) == [{"type": "GLOBAL", "global": shared}]
    assert json.loads(kept_state({"data": {"z": 3}})) == {"z": 3}
    with pytest.raises(Refused):
        kept_state({"type": "PLANETARY"})


# -- in a project

PIPELINE = """
import headgate as hg

orders = hg.airbyte(
    {command!r},
    stream="orders",
    config={{"file": {file!r}, "token": hg.secret("token"), "way": {way!r}}},
    key="id",
)
"""


def test_a_stream_becomes_a_table_and_its_state_a_cursor_of_the_same_commit(tmp_path, file):
    (tmp_path / "headgate.toml").write_text('[project]\nname = "shop"\npipelines = ["pipe.py"]\n')
    (tmp_path / "pipe.py").write_text(PIPELINE.format(command=COMMAND, file=str(file), way=""))
    environment = {"HEADGATE_SECRET_TOKEN": "canary-1"}
    with open_project(tmp_path, environment=environment) as project:
        project.run()
        table = project.table("orders").to_arrow()
        assert table.sort_by("id").column("id").to_pylist() == [1, 2, 3, 4, 5]
        assert str(table.schema.field("at").type).startswith("timestamp")
        assert project.run().state.value == "nothing-to-do"
        write_rows(file, 5, 3)
        project.run()
        assert project.table("orders").to_arrow().num_rows == 7
    (tmp_path / "pipe.py").write_text(
        PIPELINE.format(command=COMMAND, file=str(file), way="exit at 1")
    )
    write_rows(file, 10, 1)
    with open_project(tmp_path, environment=environment) as project:
        with pytest.raises(HeadgateError) as caught:
            project.run()
        assert "password secret('token') is wrong" in caught.value.message
        assert project.table("orders").to_arrow().num_rows == 7
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path.name for path in kept if b"canary-1" in path.read_bytes()] == []


@pytest.mark.parametrize(
    "at", [pytest.param(1, marks=pytest.mark.soak), 3, pytest.param(5, marks=pytest.mark.soak)]
)
def test_a_reader_that_is_killed_loses_and_doubles_nothing_and_leaves_no_file(tmp_path, file, at):
    (tmp_path / "headgate.toml").write_text('[project]\nname = "shop"\npipelines = ["pipe.py"]\n')
    pipeline = PIPELINE.format(command=COMMAND, file=str(file), way=f"kill at {at}")
    (tmp_path / "pipe.py").write_text(pipeline.replace('key="id"', 'mode="append", repeats="keep"'))
    (tmp_path / "tmp").mkdir()
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parents[3]),
        "TMPDIR": str(tmp_path / "tmp"),
        "HEADGATE_SECRET_TOKEN": "canary-1",
    }
    program = "import headgate; headgate.open('.').run()"
    codes = [
        subprocess.run(
            [sys.executable, "-c", program], cwd=tmp_path, env=environment, check=False
        ).returncode
        for _ in range(2)
    ]
    assert codes == [-signal.SIGKILL, 0]
    with open_project(tmp_path, environment={}) as project:
        assert sorted(project.table("orders").to_arrow()["id"].to_pylist()) == [1, 2, 3, 4, 5]
    assert list((tmp_path / "tmp").glob(f"{PREFIX}*")) == []
