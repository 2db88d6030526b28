import re
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.errors import HeadgateError, Invalid, NotFound
from headgate.project import KEYS, Settings, find_root, read_settings

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


@pytest.fixture
def read(tmp_path):
    def read(source="", environment=None, profile=None):
        (tmp_path / "headgate.toml").write_text(source)
        return read_settings(tmp_path, environment=environment or {}, profile=profile)

    return read


def refused(read, *arguments, **named):
    with pytest.raises(HeadgateError) as caught:
        read(*arguments, **named)
    return caught.value


def test_an_empty_file_gives_what_most_people_want(read, tmp_path):
    settings = read()
    assert settings.lake == tmp_path / "lake"
    assert settings.target == "main"
    assert settings.engine == "duckdb"
    assert settings.isolation == "serializable"
    assert settings.pipelines == ()
    assert settings.cache == tmp_path / ".headgate" / "cache"


def test_an_empty_environment_creates_nothing(read, tmp_path):
    read()
    assert [path.name for path in tmp_path.iterdir()] == ["headgate.toml"]


def test_the_name_is_the_directorys_made_into_a_name(tmp_path):
    root = tmp_path / "2013 flights (new)"
    root.mkdir()
    (root / "headgate.toml").touch()
    assert read_settings(root, environment={}).name == "project_2013_flights_new"


def test_the_stronger_source_wins(read):
    source = "[engine]\nthreads = 1\n[profile.prod.engine]\nthreads = 2\n"
    assert read(source).threads == 1
    assert read(source, profile="prod").threads == 2
    assert read(source, {"HEADGATE_PROFILE": "prod"}).threads == 2
    assert read(source, {"HEADGATE_ENGINE_THREADS": "3"}, "prod").threads == 3


def test_a_profile_changes_only_what_it_names(read, tmp_path):
    settings = read(
        '[parameters]\nsince = 2013\nuntil = 2014\n[profile.prod]\nlake.location = "/srv/lake"\n'
        "parameters.since = 2012\n",
        profile="prod",
    )
    assert settings.lake == Path("/srv/lake")
    assert dict(settings.parameters) == {"since": 2012, "until": 2014}
    assert settings.profile == "prod"


@pytest.mark.parametrize(
    ("source", "line", "meant"),
    [
        ("[engine]\n# more\nthread = 4\n", 3, "engine.threads"),
        ("engine.thread = 4\n", 1, "engine.threads"),
        ("\n\n[engin]\nthreads = 4\n", 3, "[engine]"),
        ('[profile.prod]\n\nlake.locatoin = "x"\n', 3, "lake.location"),
        ('[profile.prod.lake]\n\nlocatoin = "x"\n', 3, "lake.location"),
        ("lake = { locatoin = 'x' }\n", 1, "lake.location"),
    ],
)
def test_an_unknown_key_is_refused_with_its_line_and_what_was_meant(read, source, line, meant):
    error = refused(read, source, profile="prod" if "profile" in source else None)
    assert error.code == "unknown-setting"
    assert f"headgate.toml, line {line}:" in error.message
    assert f"Did you mean {meant}?" in error.hint


@pytest.mark.parametrize(
    "source",
    [
        '[engine]\nthreads = "4"',
        "[engine]\nthreads = true",
        "[engine]\nthreads = 0",
        '[engine]\nmemory_limit = "lots"',
        '[run]\nisolation = "none"',
        "[run]\nretries = -1",
        '[project]\nname = "a b"',
        '[project]\npipelines = "flights.py"',
        '[lake]\ntarget = "a..b"',
        '[lake]\nlocation = ""',
    ],
)
def test_a_value_that_does_not_fit_is_refused_with_what_fits(read, source):
    error = refused(read, source)
    assert (error.code, error.category) == ("bad-setting", "invalid")
    assert "line 2:" in error.message
    assert " takes " in error.message


def test_a_value_where_a_table_belongs_is_refused(read):
    assert refused(read, 'engine = "duckdb"').code == "bad-setting"


def test_a_file_that_is_not_toml_is_refused_with_the_line(read, tmp_path):
    error = refused(read, "[engine\n")
    assert error.code == "bad-settings-file"
    assert "line 1" in error.message
    (tmp_path / "headgate.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(Invalid, match="not TOML"):
        read_settings(tmp_path, environment={})


def test_an_unknown_profile_is_named_with_the_known_ones(read):
    error = refused(read, "[profile.prod]\n", profile="prd")
    assert isinstance(error, NotFound)
    assert "prod" in error.hint


def test_a_mistyped_variable_is_refused_and_a_strangers_left_alone(read):
    error = refused(read, "", {"HEADGATE_ENGINE_THREAD": "4"})
    assert "HEADGATE_ENGINE_THREADS" in error.hint
    assert read("", {"HEADGATE_SOMETHING_ELSE": "4", "PATH": "/bin"}).threads is None


@pytest.mark.parametrize("text", ["x", "--5", "1.5", "", "²"])
def test_a_bad_variable_is_named(read, text):
    error = refused(read, "", {"HEADGATE_ENGINE_THREADS": text})
    assert error.code == "bad-setting"
    assert "HEADGATE_ENGINE_THREADS" in error.message


def test_lists_in_the_environment_are_divided_by_commas(read):
    settings = read("", {"HEADGATE_PROJECT_PIPELINES": "a.py, b"})
    assert settings.pipelines == ("a.py", "b")


def test_the_project_is_found_from_below(read, tmp_path):
    read()
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert find_root(below) == tmp_path


def test_where_no_project_is_it_says_how_to_make_one(tmp_path):
    with pytest.raises(NotFound) as caught:
        find_root(tmp_path)
    assert caught.value.code == "no-project"
    assert "headgate init" in caught.value.hint


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_in_words(tmp_path_factory, source):
    root = tmp_path_factory.getbasetemp() / "any"
    root.mkdir(exist_ok=True)
    (root / "headgate.toml").write_bytes(source.encode("utf-8", "surrogatepass"))
    error = None
    try:
        read_settings(root, environment={})
    except HeadgateError as refused:
        error = refused
    assert error is None or error.code in {"bad-settings-file", "unknown-setting", "bad-setting"}


def test_every_key_fills_a_field_of_its_own():
    names = {field.name for field in fields(Settings)}
    assert {key.field for key in KEYS} <= names
    assert len({key.field for key in KEYS}) == len(KEYS)


def test_the_page_of_settings_is_the_code():
    rows = re.findall(
        r"^\| `([a-z_.]+)` \| (.*?) \| `(\w+)` \| (.*?) \|$", PAGE.read_text(), re.MULTILINE
    )
    assert rows == [(key.name, key.default, key.variable, key.meaning) for key in KEYS]
