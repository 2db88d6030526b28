import sys
import tomllib
from pathlib import Path

import pytest

from headgate.errors import Invalid, NotFound, Unavailable
from headgate.project.plugins import BUILT_IN, plugin, plugin_names

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


@pytest.fixture
def package(tmp_path, monkeypatch):
    def package(name, entries, code="class Engine: ...\n"):
        (tmp_path / f"{name}.py").write_text(code)
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[headgate.engines]\n{entries}\n")

    monkeypatch.syspath_prepend(tmp_path)
    yield package
    for name in ("stranger", "double"):
        sys.modules.pop(name, None)


def test_the_names_we_ship_are_the_entry_points_we_declare():
    declared = tomllib.loads(PYPROJECT.read_text())["project"]["entry-points"]
    assert {group: dict(names) for group, names in BUILT_IN.items()} == declared


def test_a_strangers_plugin_is_found_like_ours(package):
    package("stranger", "spark = stranger:Engine")
    assert plugin("headgate.engines", "spark").__name__ == "Engine"
    assert plugin_names("headgate.engines") == ("duckdb", "spark")


def test_a_stranger_cannot_take_our_name(package):
    package("stranger", "duckdb = stranger:Engine")
    assert plugin("headgate.engines", "duckdb").__module__ == "headgate.engines.duckdb"


def test_an_unknown_plugin_is_refused_with_what_was_meant():
    with pytest.raises(NotFound, match="no engine 'duckbd'") as caught:
        plugin("headgate.engines", "duckbd")
    assert caught.value.hint == "Did you mean duckdb?"


def test_a_plugin_that_cannot_be_imported_is_named(package):
    package("stranger", "spark = stranger:Engine", code="import no_such_module\n")
    with pytest.raises(Unavailable, match="no_such_module"):
        plugin("headgate.engines", "spark")


def test_two_packages_with_one_name_are_refused(package):
    package("stranger", "spark = stranger:Engine")
    package("double", "spark = double:Engine")
    with pytest.raises(Invalid, match="Two packages"):
        plugin("headgate.engines", "spark")
