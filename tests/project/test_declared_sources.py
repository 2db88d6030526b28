"""What is wrong with a source's options is said before anything begins, whatever its kind."""

import subprocess
import sys

import pytest

from headgate.errors import HeadgateError, Invalid, NotFound

API = '"http://127.0.0.1:9/v1"'
BASE = '"postgresql://127.0.0.1:9/shop"'

WRONG = [
    (f'hg.rest({API}, pages={{"by": "pgae"}})', "pages.by is one of", "Did you mean page?"),
    (f'hg.rest({API}, pages={{"by": "offset"}})', "pages.size is needed", None),
    (f'hg.rest({API}, auth={{"bearer": 7}})', "auth.bearer is a text or a secret", None),
    (f"hg.rest({API}, retires=3)", "has no option 'retires'", "Did you mean retries?"),
    (f'hg.rest({API}, parent={{"pth": "x"}})', "no option 'pth'", "Did you mean path?"),
    (f'hg.rest({API}, mode="append")', "no way to read only what is new", "since="),
    ('hg.rest(file="away.yaml", resource="x")', "There is no file away.yaml", None),
    ('hg.rest(file="api.yaml", resource="order")', "no resource 'order'", "Did you mean orders?"),
    ('hg.pages("http://127.0.0.1:9/", select="a[")', "fields", None),
    ('hg.pages("http://127.0.0.1:9/", select="a[", fields={"x": "b"})', "no CSS selector", None),
    ('hg.files("a.csv", delimeter=";")', "no option 'delimeter'", "Did you mean delimiter?"),
    ('hg.files("a.csv", delimiter=";;")', "delimiter is one character", None),
    ('hg.files("a.csv", sheet=1)', "no option 'sheet'", "excel"),
    ('hg.files("*.dat", format="cvs")', "no file format 'cvs'", "Did you mean csv?"),
    ('hg.files("a.json.gz", compression="zip")', "no compression 'zip'", "gzip"),
    ('hg.files("a.xlsx", range="B2F100")', "range is written as in", None),
    (f'hg.database({BASE}, "orders", numbers="rounded")', "numbers", None),
    ('hg.database("shop", "orders")', "no ending of a SQLite file", None),
    ('hg.database("orders", connection="shp")', "no connection 'shp'", "Did you mean shop?"),
    (f'hg.changes({BASE}, "orders", keep="tables", key="id")', "keep", None),
    ('hg.airbyte(["none"], stream="x", silence_s=-1)', "silence_s", None),
    ('hg.source("rst", url="x")', "no source 'rst'", "Did you mean rest?"),
    ('hg.source("spoons", size=3)', "TypeError: spoons come without a size", None),
]
STRANGER = """
class Spoons:
    kind = "spoons"

    def __init__(self, options, setting):
        raise TypeError("spoons come without a size")
"""


@pytest.fixture
def declared(write, opened, tmp_path, monkeypatch):
    """Open a project with one source, beside a step that would tell that it was run."""
    monkeypatch.syspath_prepend(tmp_path)
    write("strangers.py", STRANGER)
    write("strangers-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: s\nVersion: 1.0\n")
    write("strangers-1.0.dist-info/entry_points.txt", "[headgate.sources]\nspoons=strangers:Spoons")
    write("api.yaml", f"url: {API}\nresources:\n  orders: {{path: orders}}\n")
    write("headgate.toml", '[project]\npipelines = ["shop.py"]\n[connections.shop]\nurl = "x.db"\n')

    def declared(source):
        text = f"""
            import headgate as hg
            from pathlib import Path

            @hg.step
            def first() -> list[dict]:
                Path({str(tmp_path / "ran")!r}).touch()
                return [{{"n": 1}}]

            wrong = {source}
        """
        write("shop.py", text.replace("\n            ", "\n"))
        return opened()

    yield declared
    sys.modules.pop("strangers", None)


@pytest.mark.parametrize(("source", "said", "hint"), WRONG)
def test_a_wrong_option_is_said_before_anything_begins(declared, tmp_path, source, said, hint):
    project = declared(source)
    for begin in (project.plan, project.run):
        with pytest.raises(HeadgateError) as caught:
            begin()
        assert caught.value.message.startswith("Step wrong (shop.py:10): ")
        assert said in caught.value.message
        assert hint is None or hint in (caught.value.hint or "")
    assert not (tmp_path / "ran").exists()
    with pytest.raises(NotFound, match="no lake"):
        _ = project.lake
    [finding] = [each for each in project.doctor() if each.what == "sources"]
    assert finding.level == "note"
    assert said in finding.found


def test_a_secret_is_not_needed_to_know_that_options_are_right(declared):
    project = declared(f'hg.rest({API}, auth={{"bearer": hg.secret("nobody-knows")}})')
    assert [step.action for step in project.plan().steps] == ["run", "run"]
    assert not [each for each in project.doctor() if each.what == "sources"]


def test_what_is_wrong_is_said_without_secrets(declared):
    source = f'hg.rest({API}, auth={{"basic": {{"user": "me", "pass": "canary-3f"}}}})'
    with pytest.raises(Invalid) as caught:
        declared(source).plan()
    assert "canary" not in f"{caught.value} {caught.value.facts}"


@pytest.mark.parametrize("kind", ["database", "files", "pages", "postgres_changes", "rest"])
def test_looking_at_options_loads_nothing_heavy(kind):
    program = (
        "import sys\nfrom headgate.project.plugins import plugin\n"
        f"plugin('headgate.sources', {kind!r})\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    heavy = {"duckdb", "httpx2", "numpy", "polars", "psycopg", "pyarrow", "sqlalchemy", "yaml"}
    assert not heavy & set(done.stdout.split())
