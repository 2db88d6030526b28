"""A planted secret is found nowhere, however a source fails and whatever it says.

Not in the lake, its metastore, logs, the cache, nor on a terminal.
"""

import base64
import json
import re
import sys
import urllib.parse

import pytest

from headgate.cli.commands import answer
from headgate.clock import ManualClock
from headgate.errors import HeadgateError

CANARY = "Canary/7+ü 'x\"Y="
LEAKY = """
import pyarrow as pa

from headgate.errors import Invalid, Unavailable
from headgate.sources import Batch, Cursor, Description


class DriverError(Exception):
    def __init__(self, url):
        super().__init__("no")
        self.url = url

    def __str__(self):
        return f"could not connect to {self.url}"


class Leaky:
    kind = "leaky"

    def __init__(self, options, setting):
        self.options, self.setting = options, setting
        self.way = options["way"]
        self.value = ""
        self.at("made")

    def at(self, where):
        if self.way.partition(" ")[0] != where:
            return
        value = self.value = self.setting.reveal(self.options["password"])
        from urllib.parse import quote
        url = f"postgres://me:{quote(value, safe='')}@host/db"
        how = self.way.partition(" ")[2]
        if how == "text":
            raise RuntimeError(f"password {value} is wrong")
        if how == "driver":
            try:
                raise DriverError(url)
            except DriverError as cause:
                raise Unavailable("down", f"no answer of {url}", hint=url, url=url) from cause
        if how == "own":
            raise DriverError(url)
        if how == "system":
            raise FileNotFoundError(2, "No such file", f"/tmp/{value}")
        if how == "invalid":
            error = Invalid("bad", value, hint=value, readers=value, options=[{value: value}])
            error.add_note(url)
            raise error
        if how == "group":
            raise ExceptionGroup(url, [KeyError(value), ValueError(value.encode())])
        if how == "bytes":
            raise ValueError(value.encode(), {"header": "Basic " + __import__("base64").b64encode(
                f"me:{value}".encode()).decode()})
        if how == "interrupt":
            raise KeyboardInterrupt(value)

    def describe(self):
        return Description(kind="leaky", title=f"leaky {self.value}", facts={"x": self.value})

    def cursor(self, text):
        return Cursor.parse(text, kind="leaky")

    def fingerprint(self):
        self.at("fingerprint")
        return None

    def native(self, cursor):
        self.at("native")
        return None

    def read(self, cursor):
        self.value = value = self.setting.reveal(self.options["password"])
        first = 0 if cursor is None else cursor.sequence[0]
        self.at("read")
        names, columns = ["n"], [pa.array([first])]
        if self.way == "position":
            names.append("_hg_position")
            columns.append(pa.array([f"https://x/?key={value} row 1"]))
        unread = None
        if self.way == "unread":
            unread = pa.table({
                "_position": [f"https://x/?key={value} row 2"], "_raw": ["{"],
                "_column": ["n"], "_reason": [f"cannot fetch with {value}"],
            })
        where = (value,) if self.way == "cursor" else ()
        yield Batch(
            rows=pa.table(columns, names=names),
            cursor=Cursor(kind="leaky", sequence=(first + 1, *where)),
            unread=unread,
        )
        self.at("midway")

    def acknowledge(self, cursor):
        self.at("acknowledge")

    def close(self):
        self.at("closed")
"""
PIPELINE = """
import headgate as hg

class Number(hg.Contract):
    n: int

leak = hg.source("leaky", way={way!r}, password=hg.secret("shop"), retries={retries}, {more})
"""
PLACES = ("made", "fingerprint", "native", "read", "midway", "acknowledge", "closed")
HOWS = ("text", "driver", "own", "system", "invalid", "group", "bytes")
WAYS = [f"{place} {how}" for place in PLACES for how in HOWS]
OTHERS = ["position", "unread", "cursor", "read interrupt", "nothing"]


@pytest.fixture
def shop(write, tmp_path, monkeypatch):
    """A project whose source is a stranger's, and says what it knows in some way."""
    packages = tmp_path / "packages"
    write("packages/leaky.py", LEAKY)
    about = "packages/leaky-1.0.dist-info"
    write(f"{about}/METADATA", "Metadata-Version: 2.1\nName: leaky\nVersion: 1\n")
    write(f"{about}/entry_points.txt", "[headgate.sources]\nleaky = leaky:Leaky\n")
    write("headgate.toml", '[project]\nname = "shop"\npipelines = ["pipe.py"]\n')
    monkeypatch.syspath_prepend(packages)
    monkeypatch.setenv("HEADGATE_SECRET_SHOP", CANARY)
    monkeypatch.chdir(tmp_path)

    def shop(way, retries=0, more=""):
        write("pipe.py", PIPELINE.format(way=way, retries=retries, more=more))

    yield shop
    sys.modules.pop("leaky", None)


def shapes(value=CANARY):
    raw = value.encode()
    yield raw
    for safe in ("", "/"):
        yield urllib.parse.quote(value, safe=safe).encode()
        yield urllib.parse.quote_plus(value, safe=safe).encode()
    yield json.dumps(value)[1:-1].encode()
    yield json.dumps(json.dumps(value))[2:-2].encode()
    yield repr(value)[1:-1].encode()
    yield repr(raw)[2:-1].encode()
    yield raw.hex().encode()
    for before in (b"", b"x", b"xx", b"me:"):
        yield base64.b64encode(before + raw)[3:-4]


def found_in(directory):
    """Give the files that hold the value in any shape, by its middle: nothing of it may be left."""
    wanted = [*shapes(), b"Canary"]
    return [
        str(path.relative_to(directory))
        for path in directory.rglob("*")
        if path.is_file() and any(each in path.read_bytes() for each in wanted)
    ]


def assert_nothing_is_said(directory, capfd):
    out, err = capfd.readouterr()
    assert "Canary" not in out + err
    for shape in shapes():
        assert shape.decode() not in out + err, out + err
    assert found_in(directory) == []
    return out + err


@pytest.mark.parametrize("way", [*WAYS, *OTHERS])
def test_a_planted_secret_is_found_nowhere(shop, tmp_path, capfd, way):
    shop(way)
    for arguments in (["run"], ["run", "--json"], ["status", "--json"], ["log", "--json"]):
        answer([*arguments])
    said = assert_nothing_is_said(tmp_path, capfd)
    if way.startswith(("read ", "midway ")) and "interrupt" not in way:
        assert "secret('shop')" in said


def test_a_failure_that_is_tried_again_says_nothing(shop, opened, tmp_path, capfd):
    shop("read driver", retries=1)
    project = opened(environment={"HEADGATE_SECRET_SHOP": CANARY}, clock=ManualClock())
    with pytest.raises(HeadgateError) as caught:
        project.run()
    seen = []
    error = caught.value
    while error is not None:
        seen += [str(error), repr(error), repr(vars(error)), repr(getattr(error, "__notes__", ""))]
        error = error.__cause__ or error.__context__
    assert not any("Canary" in each for each in seen)
    project.close()
    assert_nothing_is_said(tmp_path, capfd)


def test_quarantine_keeps_the_record_and_says_no_secret(shop, opened, tmp_path):
    shop("unread", more="contract=Number")
    project = opened(environment={"HEADGATE_SECRET_SHOP": CANARY})
    project.run()
    row = project.quarantine("leak").to_arrow().to_pylist()[0]
    assert row["position"] == "https://x/?key=secret('shop') row 2"
    assert "cannot fetch with secret('shop')" in row["payload"]
    assert found_in(tmp_path / "lake") == []


def test_rows_are_data_and_stay(shop, opened, write):
    write("packages/leaky.py", LEAKY.replace("pa.array([first])", "pa.array([value])"))
    shop("nothing")
    project = opened(environment={"HEADGATE_SECRET_SHOP": CANARY})
    project.run()
    assert project.table("leak").to_arrow().to_pylist() == [{"n": CANARY}]


def test_another_value_runs_nothing_again_by_itself(shop, opened, write):
    end = "return {}\n\n    def native"
    write("packages/leaky.py", LEAKY.replace(end.format(None), end.format("'same'")))
    shop("nothing", more='mode="replace"')
    opened(environment={"HEADGATE_SECRET_SHOP": CANARY}).run()
    again = opened(environment={"HEADGATE_SECRET_SHOP": "rotated value"}).run()
    assert again.state.value == "nothing-to-do"


def test_a_cursor_that_holds_a_secret_is_refused(shop, opened):
    shop("cursor")
    with pytest.raises(HeadgateError) as caught:
        opened(environment={"HEADGATE_SECRET_SHOP": CANARY}).run()
    assert caught.value.code == "secret-in-cursor"


def test_a_secret_nobody_knows_fails_the_step_and_says_where_it_was_looked_for(shop, opened):
    shop("nothing")
    with pytest.raises(HeadgateError) as caught:
        opened().run()
    assert caught.value.code == "unknown-secret"
    assert re.search("HEADGATE_SECRET_SHOP, the file /run/secrets/shop", caught.value.message)


def test_a_bug_writes_a_crash_log_without_it(shop, tmp_path, capfd, monkeypatch):
    shop("nothing")
    from headgate.cli.progress import Progress

    def buggy(self):
        raise RuntimeError(f"a bug that knows {CANARY}")

    monkeypatch.setattr(Progress, "close", buggy)
    assert answer(["run"]) == 1
    said = assert_nothing_is_said(tmp_path, capfd)
    assert "a bug that knows secret('shop')" in said
    assert list((tmp_path / ".headgate" / "logs").glob("headgate-crash-*.log"))


def test_a_connection_brings_the_secret(shop, opened, write, tmp_path, capfd):
    write(
        "headgate.toml",
        '[project]\nname = "shop"\npipelines = ["pipe.py"]\n'
        '[connections.shop]\npassword = { secret = "other" }\nway = "read driver"\n',
    )
    write("pipe.py", 'import headgate as hg\nleak = hg.source("leaky", connection="shop")\n')
    with pytest.raises(HeadgateError) as caught:
        opened(environment={"HEADGATE_SECRET_OTHER": CANARY}).run()
    assert "secret('other')" in str(caught.value)
    assert_nothing_is_said(tmp_path, capfd)


def test_a_password_in_plain_is_kept_as_well(shop, opened, write, tmp_path):
    shop("read driver")
    plain = f'hg.source("leaky", way="read driver", password={CANARY!r})'
    write("pipe.py", f"import headgate as hg\nleak = {plain}\n")
    with pytest.raises(HeadgateError) as caught:
        opened().run()
    assert "me:***@host" in str(caught.value)
    assert found_in(tmp_path / "lake") == found_in(tmp_path / ".headgate") == []


def test_a_line_of_code_with_a_password_in_a_traceback_does_not_show_it(shop, opened, write, capfd):
    write(
        "pipe.py",
        "import headgate as hg\n"
        'leak = hg.source("leaky", way="nothing", url="https://me:canary-plain@host/x",\n'
        '    password=hg.secret("shop"))\n'
        "@hg.step(after=[leak])\n"
        "def broken() -> list[dict]:\n"
        "    raise ValueError('https://me:canary-plain@host/x')\n",
    )
    write("headgate.toml", '[project]\nname = "shop"\npipelines = ["pipe.py"]\n')
    with pytest.raises(HeadgateError):
        opened(environment={"HEADGATE_SECRET_SHOP": CANARY}).run()
    answer(["run"])
    out, err = capfd.readouterr()
    assert "raise ValueError('https://me:***@host/x')" in out + err
    assert "canary-plain" not in out + err


def test_an_unknown_connection_is_refused_before_anything_runs(shop, opened, write):
    write("pipe.py", 'import headgate as hg\nleak = hg.source("leaky", connection="shop")\n')
    project = opened()
    with pytest.raises(HeadgateError) as caught:
        project.run()
    assert caught.value.code == "unknown-connection"
    assert not (project.root / "lake").exists()
