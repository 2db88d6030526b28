"""Sinks are declared like steps: named by their module, with tables or the steps that make them."""

from collections.abc import Callable

import pytest

import headgate as hg
from headgate.errors import Invalid
from headgate.pipelines import Declared, DeclaredSink, SinkTable

Project = Callable[..., Declared]


@pytest.fixture
def declared(tmp_path) -> Project:
    from headgate.clock import SystemClock
    from headgate.pipelines import collect
    from headgate.project.imports import Code

    def read(text: str) -> Declared:
        file = tmp_path / "flights.py"
        file.write_text("import headgate as hg\n" + text)
        code = Code(tmp_path, clock=SystemClock())
        with code.importable():
            return collect([code.load(file)], root=tmp_path)

    return read


def test_a_sink_is_named_by_its_module_attribute(declared: Project) -> None:
    found = declared('warehouse = hg.sink("sqlite", path="out.db", tables="delays")').sinks
    assert [
        (each.name, each.kind, each.options, each.tables, str(each.place)) for each in found
    ] == [
        (
            "warehouse",
            "sqlite",
            {"path": "out.db"},
            (SinkTable(table="delays", to="delays"),),
            "flights.py:2",
        )
    ]


def test_steps_stand_for_the_tables_they_make(declared: Project) -> None:
    (found,) = declared(
        """
flights = hg.files("flights.csv", table="raw.flights")
@hg.step
def delays(): ...
tables = {flights: "f", delays: "d", "other": "o"}
out = hg.sink("duckdb", path="x", tables=tables, key={"other": "a"})
"""
    ).sinks
    assert isinstance(found, DeclaredSink)
    assert found.tables == (
        SinkTable(table="raw.flights", to="f"),
        SinkTable(table="delays", to="d"),
        SinkTable(table="other", to="o", key=("a",)),
    )


def test_modes_and_keys_may_differ_by_table(declared: Project) -> None:
    (found,) = declared(
        'out = hg.sink("x", tables=["a", "b"], mode={"a": "insert"}, key={"b": ("k", "l")})'
    ).sinks
    assert found.tables == (
        SinkTable(table="a", to="a", mode="insert"),
        SinkTable(table="b", to="b", key=("k", "l")),
    )


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('hg.sink("x", tables=["a"])', "step-unnamed"),
        ('out = hg.sink("x", tables=["a"]); two = out', "step-bound-twice"),
        ('out = hg.sink("x", tables=["a", "b"], mode={"c": "insert"})', "sink-table"),
        ('out = hg.sink("x", tables=["a"], key={"c": "k"})', "sink-table"),
        ('out = hg.sink("x", tables=[3])', "sink-table"),
        ('out = hg.sink("x", tables={"a": "c", "b": "c"})', "sink-table"),
        ('f = hg.files("f.csv"); out = hg.sink("x", tables=[f, "f"])', "sink-table"),
    ],
)
def test_what_cannot_be_meant_is_refused_at_discovery(
    declared: Project, text: str, code: str
) -> None:
    with pytest.raises(Invalid) as caught:
        declared(text)
    assert caught.value.code == code
    assert "flights.py:2" in caught.value.message


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"tables": []}, "sink-without-tables"),
        ({"tables": "a", "mode": "merge"}, "sink-mode"),
        ({"tables": "a", "mode": {"a": "merge"}}, "sink-mode"),
        ({"tables": "a", "changes": "ignore"}, "sink-mode"),
        ({"tables": "a", "name": "no name"}, "bad-step-name"),
    ],
)
def test_what_cannot_be_delivered_is_refused_where_it_is_written(options, code: str) -> None:
    with pytest.raises(Invalid) as caught:
        hg.sink("sqlite", **options)
    assert caught.value.code == code
