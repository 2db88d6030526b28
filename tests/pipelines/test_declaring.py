from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import get_args

import pytest

from headgate.errors import Invalid
from headgate.pipelines import Declared, Graph, Step, collect

BASE = """
import headgate as hg

flights = hg.files("data/flights*.csv")
airlines = hg.files("data/airlines.csv", table="raw.airlines", format="csv", delimiter=";")

@hg.step
def delays(flights: "list[dict]") -> "list[dict]":
    return flights

worst = hg.sql_step("select * from delays", after=[airlines, "flights"])
"""


def by_name(declared: Declared) -> dict[str, Step]:
    return {step.name: step for step in declared.steps}


def test_a_declaration_is_named_by_its_attribute(declare: Callable[..., Declared]) -> None:
    steps = by_name(declare(flow=BASE))
    assert list(steps) == ["flights", "airlines", "delays", "worst"]
    assert steps["flights"].table == "flights"
    assert steps["airlines"].table == "raw.airlines"
    assert steps["worst"].after == ("airlines", "flights")
    assert [str(step.place) for step in steps.values()] == [
        "flow.py:4",
        "flow.py:5",
        "flow.py:7",
        "flow.py:11",
    ]


def test_a_source_is_declared_without_looking_at_it(declare: Callable[..., Declared]) -> None:
    source = by_name(declare(flow=BASE))["airlines"].source
    assert source is not None
    assert source.kind == "files"
    assert source.options == {"paths": ("data/airlines.csv",), "format": "csv", "delimiter": ";"}
    assert by_name(declare(flow=BASE))["airlines"].kind == "ingest"


def test_other_kinds_of_sources_are_named(declare: Callable[..., Declared]) -> None:
    (step,) = declare(flow="import headgate as hg\nx = hg.source('kafka', topic='t')").steps
    assert step.source is not None
    assert (step.source.kind, step.source.options, step.mode) == ("kafka", {"topic": "t"}, "append")


def test_a_name_wins_over_the_attribute_and_needs_none(declare: Callable[..., Declared]) -> None:
    declared = declare(
        flow="""
        import headgate as hg
        some = hg.files("a.csv", name="a")
        for letter in "bc":
            hg.files(f"{letter}.csv", name=letter)
        def make(name):
            @hg.step(name=name)
            def _(a: list[dict]) -> list[dict]: return a
        make("d")
        """
    )
    assert list(by_name(declared)) == ["a", "b", "c", "d"]


def test_a_step_made_elsewhere_is_named_where_it_is_bound(declare: Callable[..., Declared]) -> None:
    declared = declare(
        factory="import headgate as hg\ndef made(path): return hg.files(path)",
        flow="import factory\nflights = factory.made('a.csv')",
    )
    assert list(by_name(declared)) == ["flights"]


def test_an_imported_step_keeps_the_name_of_its_home(
    write: Callable[..., ModuleType], tmp_path: Path
) -> None:
    flow = write(
        base="import headgate as hg\nflights = hg.files('a.csv')",
        flow="import headgate as hg\nfrom base import flights as f\n"
        "x = hg.sql_step('from flights', after=[f])",
    )
    import base

    assert [s.name for s in collect([base, flow], root=tmp_path).steps] == ["flights", "x"]
    assert [s.name for s in collect([flow, base], root=tmp_path).steps] == ["x", "flights"]


UNNAMED = "What is declared at flow.py:{} has no name"


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("hg.files('a.csv')", "step-unnamed", UNNAMED.format(2)),
        ("\nlist = [hg.files('a.csv'), 1]", "step-unnamed", UNNAMED.format(3)),
        ("hg.sql_step('select 1')", "step-unnamed", UNNAMED.format(2)),
        ("hg.pipeline()", "step-unnamed", UNNAMED.format(2)),
        (
            "@hg.step\ndef a() -> None: ...\n\n@hg.step\ndef a() -> None: ...",
            "step-unnamed",
            "The step a declared at flow.py:2 is lost: a is defined again at flow.py:6.",
        ),
        (
            "a = hg.files('a.csv')\n\nb = a",
            "step-bound-twice",
            "What is declared at flow.py:2 has two names: a at flow.py:2 and b at flow.py:4.",
        ),
        (
            "@hg.step\ndef a() -> None: ...\nb = a",
            "step-bound-twice",
            "What is declared at flow.py:2 has two names: a at flow.py:3 and b at flow.py:4.",
        ),
        (
            "a = hg.files('a.csv')\nb = hg.files('b.csv', name='a')",
            "step-named-twice",
            "Two declarations are named a: at flow.py:2 and at flow.py:3.",
        ),
        (
            "a = hg.files('a.csv', table='t')\nb = hg.files('b.csv', table='t')",
            "table-written-twice",
            "The steps a and b both write the table t: at flow.py:2 and at flow.py:3.",
        ),
        (
            "a = hg.sql_step('from b')\nb = hg.sql_step('from a')",
            "step-cycle",
            (
                "The steps need each other in a circle:\n  a reads b (flow.py:2)\n"
                "  b reads a (flow.py:3)"
            ),
        ),
        (
            "flights = hg.files('a')\nb = hg.sql_step('select 1', after=['flihgts'])",
            "after-unknown-step",
            "Step b (flow.py:3) names 'flihgts', which is no step of the project.",
        ),
        (
            "b = hg.sql_step('select 1', after=[print])",
            "after-unknown-step",
            "Step b (flow.py:2) names <built-in function print>, which is no step of the project.",
        ),
        (
            "p = hg.pipeline('nothing')",
            "after-unknown-step",
            "The pipeline p (flow.py:2) names 'nothing', which is no step of the project.",
        ),
        (
            "@hg.step(mode='append')\ndef a() -> None: ...",
            "step-without-table",
            "Step a (flow.py:2) returns None: it has no table, but has mode='append'.",
        ),
        (
            "p = hg.pipeline(isolation='none')",
            "unknown-isolation",
            "'none' is no level of isolation.",
        ),
        ("a = hg.files()", "files-without-path", "files() names no file."),
    ],
)
def test_a_mistake_is_shown_with_its_places(
    text: str, code: str, message: str, declare: Callable[..., Declared]
) -> None:
    with pytest.raises(Invalid) as caught:
        declare(flow=f"import headgate as hg\n{text}")
    assert caught.value.code == code
    assert caught.value.message.startswith(message)


def test_without_a_pipeline_all_steps_are_one(declare: Callable[..., Declared]) -> None:
    declared = declare(flow=BASE)
    (pipeline,) = declared.pipelines
    assert pipeline.name == "main"
    assert pipeline.steps == declared.steps
    assert pipeline.isolation == "serializable"


def test_a_pipeline_holds_its_modules_steps_or_those_it_names(
    write: Callable[..., ModuleType], tmp_path: Path
) -> None:
    flow = write(
        other="import headgate as hg\nz = hg.files('z')\n",
        flow=BASE
        + "every = hg.pipeline()\n"
        + "few = hg.pipeline(flights, 'delays', isolation='snapshot-isolation')\n"
        + "renamed = hg.pipeline('flights', name='one')\n",
    )
    other = write(other="import headgate as hg\nz = hg.files('z')\n")
    declared = collect([other, flow], root=tmp_path)
    found = {p.name: [step.name for step in p.steps] for p in declared.pipelines}
    assert found == {
        "every": ["flights", "airlines", "delays", "worst"],
        "few": ["flights", "delays"],
        "one": ["flights"],
    }
    assert {p.isolation for p in declared.pipelines} == {"serializable", "snapshot-isolation"}


def test_a_pipeline_that_does_not_say_takes_the_projects_isolation(
    write: Callable[..., ModuleType], tmp_path: Path
) -> None:
    implied = write(flow=BASE)
    declared = write(flow=BASE + "a = hg.pipeline()\nb = hg.pipeline(isolation='serializable')\n")
    found = {
        pipeline.name: pipeline.isolation
        for module in (implied, declared)
        for pipeline in collect([module], root=tmp_path, isolation="fresh").pipelines
    }
    assert found == {"main": "fresh", "a": "fresh", "b": "serializable"}


def test_no_declarations_make_no_pipeline(declare: Callable[..., Declared]) -> None:
    assert declare(flow="x = 1") == Declared()


def test_a_contracts_references_order_the_steps(declare: Callable[..., Declared]) -> None:
    declared = declare(
        flow="""
        from typing import Annotated
        import headgate as hg

        class Flight(hg.Contract):
            carrier: Annotated[str, hg.references("airlines.carrier")]

        flights = hg.files("f.csv", contract=Flight)
        airlines = hg.files("a.csv")
        """
    )
    graph = Graph(declared.steps)
    assert graph.order == ("airlines", "flights")
    assert graph.reason("flights", "airlines") == "references"
    assert graph["flights"].source.contract.__name__ == "Flight"


def test_a_notebook_may_run_its_cells_again(tmp_path: Path) -> None:
    module = ModuleType("__main__")
    for number in range(2):
        code = compile("import headgate as hg\nx = hg.files('a')", f"<cell {number}>", "exec")
        exec(code, vars(module))
    assert [step.name for step in collect([module], root=tmp_path).steps] == ["x"]


def test_sql_may_write_tables_in_another_case(declare: Callable[..., Declared]) -> None:
    steps = by_name(
        declare(
            flow="""
            import headgate as hg
            flights = hg.files("a.csv", table="raw.flights")
            x = hg.sql_step("select * from RAW.Flights a join raw.flights b using (c) join Old")
            """
        )
    )
    assert [one.table for one in steps["x"].inputs] == ["raw.flights", "Old"]
    assert Graph(steps.values()).upstream("x") == ("flights",)


def test_file_options_are_those_the_source_knows() -> None:
    from headgate.pipelines.file_steps import FileOptions, Format
    from headgate.pipelines.source_steps import StepOptions
    from headgate.sources.files import _OWN_OPTIONS
    from headgate.sources.formats.formats import FORMATS, options_of
    from headgate.sources.places.opening import OPTIONS

    assert get_args(Format) == FORMATS
    known = {"connection", *OPTIONS, *_OWN_OPTIONS}.union(*map(options_of, FORMATS))
    declared = set(FileOptions.__annotations__) - set(StepOptions.__annotations__)
    assert declared == known - {"paths", "format"}
