"""A sink that says what it knows, in every way, tells nobody a secret either."""

import sys

import pytest

from headgate.cli.commands import answer
from headgate.errors import HeadgateError
from headgate.project import open_project

CANARY = "Canary/7+ü 'x\"Y="
LEAKY = """
from headgate.errors import Conflict, Invalid, Refused, Unavailable
from headgate.sinks import Description, Position


class LeakySink:
    kind = "leaky"
    remembers = edits = True

    def __init__(self, options, setting):
        self.way, self.options, self.setting, self.value = options["way"], options, setting, ""
        self.at("made")

    def at(self, where):
        place, _, how = self.way.partition(" ")
        if place != where:
            return
        value = self.value = self.setting.reveal(self.options["password"])
        if how == "unavailable":
            raise Unavailable("down", f"no {value}", hint=value, readers=value, url=[value])
        if how == "invalid":
            raise Invalid("bad", value, hint=value, key={value: value})
        if how == "bug":
            try:
                raise KeyError(value)
            except KeyError as cause:
                raise RuntimeError(f"a bug with {value}") from cause
        if how == "system":
            raise OSError(5, f"no {value}", f"/tmp/{value}")

    def describe(self):
        return Description(kind="leaky", title=f"leaky {self.value}", facts={"x": self.value})

    def position(self):
        self.at("position")
        return None

    def deliver(self, delivery):
        self.at("deliver")
        for table in delivery.tables:
            with table.rows() as rows:
                rows.read_all()
        return {each.table: 1 for each in delivery.tables}

    def place(self, position):
        self.at("place")

    def close(self):
        self.at("closed")
"""
PIPELINE = """
from collections.abc import Iterator
import headgate as hg

@hg.step
def numbers() -> Iterator[dict]:
    yield {{"n": 1}}

out = hg.sink("leaky", way={way!r}, password=hg.secret("shop"), tables=[numbers])
"""
WAYS = [
    f"{place} {how}"
    for place in ("made", "position", "deliver", "closed")
    for how in ("unavailable", "invalid", "bug", "system")
]


@pytest.fixture
def shop(write, tmp_path, monkeypatch):
    write("packages/leaky_sink.py", LEAKY)
    about = "packages/leaky_sink-1.0.dist-info"
    write(f"{about}/METADATA", "Metadata-Version: 2.1\nName: leaky-sink\nVersion: 1\n")
    write(f"{about}/entry_points.txt", "[headgate.sinks]\nleaky = leaky_sink:LeakySink\n")
    write("headgate.toml", '[project]\nname = "shop"\npipelines = ["pipe.py"]\n')
    monkeypatch.syspath_prepend(tmp_path / "packages")
    monkeypatch.setenv("HEADGATE_SECRET_SHOP", CANARY)
    monkeypatch.chdir(tmp_path)
    yield lambda way: write("pipe.py", PIPELINE.format(way=way))
    sys.modules.pop("leaky_sink", None)


@pytest.mark.parametrize("way", WAYS)
def test_a_planted_secret_of_a_sink_is_found_nowhere(shop, tmp_path, capfd, way):
    shop(way)
    for arguments in (["run"], ["deliver"], ["sinks"], ["sinks", "--json"], ["status", "--json"]):
        answer([*arguments])
    out, err = capfd.readouterr()
    assert "anary" not in out + err
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path.name for path in kept if b"anary" in path.read_bytes()] == []


def test_in_python_errors_of_deliveries_say_nothing(shop, tmp_path):
    shop("deliver unavailable")
    with open_project(tmp_path, environment={"HEADGATE_SECRET_SHOP": CANARY}) as project:
        project.run()
        with pytest.raises(HeadgateError) as caught:
            project.deliver()
        assert "no secret('shop')" in caught.value.message
        assert "anary" not in repr(vars(caught.value))
        (state,) = project.sinks()
        assert "anary" not in repr(state)
