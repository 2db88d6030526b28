"""What is wrong with a sink is said before anything begins; nothing outside is met for it."""

import subprocess
import sys

import pytest

from headgate.errors import HeadgateError, NotFound

SHOP = """
import headgate as hg
from pathlib import Path


class Order(hg.Contract, undeclared="refuse"):
    order: int
    customer: str


@hg.step(contract=Order)
def orders() -> list[dict]:
    Path({ran!r}).touch()
    return [{{"order": 1, "customer": "Ada"}}]


@hg.step(mode="upsert", key="id")
def keyed() -> list[dict]:
    return [{{"id": 1}}]


wrong = {sink}
"""
FILES = 'hg.sink("files", directory="out", format="csv", tables=[...])'
WRONG = [
    ('hg.sink("sqlit", tables=orders)', "no sink 'sqlit'", "Did you mean sqlite?"),
    ('hg.sink("csv", tables=orders)', "no sink 'csv'", FILES),
    ('hg.sink("out.csv", tables=orders)', "no sink 'out.csv'", FILES),
    ('hg.sink("s3://b/x", tables=orders)', "no sink", 'directory="s3://BUCKET/PREFIX"'),
    ('hg.sink("mariadb", tables=orders)', "no sink", 'hg.sink("mysql", url="mysql://...'),
    ('hg.sink("postgres://h/d", tables=orders)', "no sink", 'hg.sink("postgresql", url='),
    ('hg.sink("https://x/y", tables=orders)', "no sink", 'hg.sink("webhook", url='),
    ('hg.sink("snowflake", tables=orders)', "no sink", 'hg.sink("sqlalchemy", url="snowflake'),
    ('hg.sink("x.db", tables=orders)', "no sink 'x.db'", 'hg.sink("sqlite", path='),
    ('hg.sink("sqlite", pth="o.db", tables=orders)', "'pth'", "did you mean path"),
    ('hg.sink("sqlite", tables=orders)', "sqlite needs path", None),
    ('hg.sink("sqlite", path=7, tables=orders)', "'path' of a sink: it takes a text", None),
    ('hg.sink("postgresql", tables=orders)', "postgresql needs url or host", None),
    ('hg.sink("mysql", host="h", tables=orders)', "mysql needs url or database", None),
    ('hg.sink("sqlalchemy", url="x", user="me", tables=orders)', "'user'", None),
    ('hg.sink("webhook", url="ftp://x", tables=orders)', "'url'", None),
    ('hg.sink("files", path="out.csv", tables=orders)', "'path'", "Did you mean directory?"),
    ('hg.sink("files", directory="o", format="cvs", tables=orders)', "'cvs'", None),
    ('hg.sink("sqlite", connection="shp", tables=orders)', "no connection 'shp'", "mean shop?"),
    ('hg.sink("sqlite", connection="shop", tables=orders)', "'url'", None),
    ('hg.sink("sqlite", path="o", tables="ordrs")', "no table ordrs", "Did you mean orders?"),
    ('hg.sink("sqlite", path="o", tables=["x", "y"])', "no table x or y", "Steps make"),
    ('hg.sink("sqlite", path="o", tables=orders, mode="upsert")', "nobody said by which", "key="),
    ('hg.sink("sqlite", path="o", tables=orders, key="ordr")', "by ordr", "Did you mean order?"),
    ('hg.sink("spoons", tables=orders, size=3)', "TypeError: spoons come without a size", None),
]
STRANGER = """
class Spoons:
    kind = "spoons"

    def __init__(self, options, setting):
        raise TypeError("spoons come without a size")
"""
RIGHT = [
    'hg.sink("postgresql", url=hg.secret("nobody-knows"), tables=orders)',
    'hg.sink("mysql", url="mysql://127.0.0.1:9/shop", tables=orders)',
    'hg.sink("sqlalchemy", url="nosuch://x", tables=orders)',
    'hg.sink("sqlite", path="no/such/place.db", tables=[keyed, orders], mode={"keyed": "upsert"})',
    'hg.sink("duckdb", path="o.duckdb", tables=["orders", "to_come"])',
    'hg.sink("webhook", url="http://127.0.0.1:9/", tables=orders)',
    'hg.sink("files", directory="s3://nobody/here", tables=orders)',
]


@pytest.fixture
def declared(write, opened, tmp_path, monkeypatch):
    """Open a project with one sink, beside a step that would tell that it was run."""
    monkeypatch.syspath_prepend(tmp_path)
    write("strangers.py", STRANGER)
    write("strangers-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: s\nVersion: 1.0\n")
    write("strangers-1.0.dist-info/entry_points.txt", "[headgate.sinks]\nspoons=strangers:Spoons")
    write("headgate.toml", '[project]\npipelines = ["shop.py"]\n[connections.shop]\nurl = "x"\n')

    def declared(sink):
        write("shop.py", SHOP.format(ran=str(tmp_path / "ran"), sink=sink))
        return opened()

    yield declared
    sys.modules.pop("strangers", None)


@pytest.mark.parametrize(("sink", "said", "hint"), WRONG)
def test_what_is_wrong_with_a_sink_is_said_before_anything_begins(
    declared, tmp_path, sink, said, hint
):
    project = declared(sink)
    for begin in (project.plan, project.run):
        with pytest.raises(HeadgateError) as caught:
            begin()
        assert caught.value.message.startswith("Sink wrong (shop.py:22): ")
        assert said in caught.value.message
        assert hint is None or hint in str(caught.value)
    assert not (tmp_path / "ran").exists()
    with pytest.raises(NotFound, match="no lake"):
        _ = project.lake
    [finding] = [each for each in project.doctor() if each.what == "sinks"]
    assert said in finding.found


@pytest.mark.parametrize("sink", RIGHT)
def test_what_is_right_with_a_sink_needs_no_driver_and_nobody_there(declared, sink):
    assert [step.action for step in declared(sink).plan().steps] == ["run", "run"]


def test_a_table_that_only_the_lake_has_is_known(declared):
    project = declared('hg.sink("sqlite", path="o", tables="by_hand")')
    with pytest.raises(HeadgateError, match="no table by_hand"):
        project.plan()
    with project.transaction() as tx:
        tx.write("by_hand", [{"n": 1}])
    assert len(project.plan().steps) == 2


def test_looking_at_sinks_loads_no_driver(tmp_path, declared):
    sinks = "hg\n" + "\n".join(f"s{n} = {each}" for n, each in enumerate(RIGHT))
    declared(sinks)
    program = (
        "import sys, headgate as hg\nhg.open('.').plan()\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    heavy = {"duckdb", "httpx2", "psycopg", "pyarrow", "pymysql", "sqlalchemy", "polars"}
    assert not heavy & set(done.stdout.split())
