"""``headgate sources`` for people and programs."""

import inspect
import json

import pytest

from headgate.cli.commands import answer
from headgate.sources import Setting, how_far
from headgate.sources.databases.database import DatabaseSource
from headgate.sources.rest.source import RestSource

API = {"url": "http://127.0.0.1:9", "records": "data"}


def stored(kind, *sequence, **items):
    place = {"items": items} if items else {"sequence": list(sequence)}
    return json.dumps({"kind": kind, **place, "version": 1})


@pytest.mark.parametrize(
    ("cursor", "said"),
    [
        (stored("generator", "one", "number", 7), "7"),
        (stored("generator", "list", "day", "2026-01-02", "number", 3), "2026-01-02, 3"),
        (stored("generator", "one", "instant", "2026-01-02T03:04:05.000000+00:00"),
         "2026-01-02 03:04:05Z"),
        (stored("generator", a='["number",4]', b='["text","x"]'), "a up to 4, b up to x"),
        (stored("files", **{"b.csv": "y", "a.csv": "x"}), "2 files: a.csv, b.csv"),
        (stored("pages", **{f"http://x/{n:02}": "s" for n in range(22)}),
         "22 pages: " + ", ".join(f"http://x/{n:02}" for n in range(20)) + ", and 2 more"),
        (stored("airbyte", 3, '{"a": [1,\n 2]}'), 'state 3: {"a": [1, 2]}'),
        (stored("strange", 12, "b"), "12, b"),
        ("{}", "{}"),
    ],
)  # fmt: skip
def test_a_cursor_is_said_in_words(cursor, said):
    assert how_far(json.loads(cursor).get("kind", "files"), cursor) == said


@pytest.mark.parametrize(
    ("options", "sequence", "said"),
    [
        ({"since": {"field": "at"}, "pages": {"by": "page"}},
         ("since", "instant", "2026-01-02T03:04:05", 1, "2026-01-02T03:04:05Z", "[]"),
         "at up to 2026-01-02 03:04:05Z"),
        ({"since": {"field": "meta.id"}}, ("since", "number", 7, 1, 7, "[]"), "meta.id up to 7"),
        ({}, ("window", "2026-01-02T00:00:00+00:00"), "up to 2026-01-02 00:00:00Z"),
        ({}, ("position", 1, 0, "{}", ""), "1 page"),
        ({}, ("position", 1200, 4, "{}", "d"), "1,200 pages and 4 records of the next"),
        ({}, ("what",), '{"kind":"rest","sequence":["what"],"version":1}'),
    ],
)  # fmt: skip
def test_an_api_says_how_far_its_list_was_read(tmp_path, options, sequence, said):
    source = RestSource({**API, **options}, Setting(root=tmp_path, cache=tmp_path))
    assert how_far("rest", stored("rest", *sequence), source) == said


def test_a_database_names_the_column_and_its_value(tmp_path):
    options = {"url": "sqlite:///x.db", "relation": "orders", "cursor": "id"}
    source = DatabaseSource(options, Setting(root=tmp_path, cache=tmp_path))
    assert how_far("database", stored("database", "id", 41, 1, 0, "*", "[]"), source) == (
        "id up to 41"
    )


@pytest.fixture
def shop(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "headgate.toml").write_text('[project]\nname = "shop"\npipelines = ["shop.py"]\n')
    (tmp_path / "a.csv").write_text("n\n1\n")
    (tmp_path / "shop.py").write_text(
        "import headgate as hg\n"
        'numbers = hg.files("*.csv", mode="append")\n'
        "@hg.source\n"
        "def ids(cursor: int = 0):\n"
        "    yield [{'id': 5}], 5\n"
    )
    assert answer(["run"]) == 0


def test_people_read_words_and_programs_the_cursor(shop, capfd):
    capfd.readouterr()
    answer(["sources"])
    listed = [line.split() for line in capfd.readouterr().out.splitlines()]
    assert [line[4:6] for line in listed[1:]] == [["1", "file"], ["5", "1"]]
    answer(["sources", "show", "numbers"])
    shown = dict(line.split(None, 1) for line in capfd.readouterr().out.splitlines())
    assert shown["read"] == "1 file: a.csv"
    answer(["sources", "show", "numbers", "--json"])
    told = json.loads(capfd.readouterr().out)
    assert told["read_to"] == "1 file: a.csv"
    assert json.loads(told["cursor"])["items"].keys() == {"a.csv"}


def test_what_only_some_sources_can_be_asked_is_seen_without_asking(shop):
    """Protocols look at attributes statically from Python 3.12 on."""
    import headgate as hg

    with hg.open() as project:
        setting = Setting(root=project.root, cache=project.root)
        rest = project.outside.source("rest", API, setting)
        files = project.outside.source("files", {"paths": "*.csv"}, setting)
    assert inspect.getattr_static(rest, "how_far", None) is not None
    assert inspect.getattr_static(files, "how_far", None) is None
