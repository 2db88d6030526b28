from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.pipelines import Injected, Input, Parameter, Step, fingerprint

PLAIN = Step(
    name="delays",
    inputs=(Input(table="flights"),),
    parameters=(Parameter(name="minimum", annotation=int, default=1),),
)
TIMED = replace(PLAIN, injected=(Injected(argument="now", kind="now"),))
SEEDED = replace(PLAIN, injected=(Injected(argument="dice", kind="random"),))
GIVEN = {
    "parameters": {"minimum": 2, "other": 1},
    "contract_digest": "c",
    "environment": {"python": "3.11", "duckdb": "2.0.0"},
    "inputs": {"table/flights": "x", "table/weather": None},
    "clock": datetime(2026, 1, 1, tzinfo=UTC),
    "seed": 1,
}


@pytest.mark.parametrize(
    "change",
    [
        {"parameters": {"minimum": 3}},
        {"parameters": {"minimum": "2"}},
        {"contract_digest": "d"},
        {"contract_digest": None},
        {"environment": {"python": "3.12", "duckdb": "2.0.0"}},
        {"environment": {"python": "3.11"}},
        {"inputs": {"table/flights": "y", "table/weather": None}},
        {"inputs": {"table/flights": "x", "table/weather": "z"}},
        {"inputs": {"table/flights": None, "table/weather": "x"}},
    ],
)
def test_what_the_output_depends_on_changes_it(change: dict[str, object]) -> None:
    assert fingerprint(PLAIN, "code", **{**GIVEN, **change}) != fingerprint(PLAIN, "code", **GIVEN)


@pytest.mark.parametrize(
    "change",
    [
        {"parameters": {"minimum": 2, "other": 9}},
        {"environment": {"duckdb": "2.0.0", "python": "3.11"}},
        {"clock": datetime(2027, 1, 1, tzinfo=UTC)},
        {"clock": None},
        {"seed": 9},
    ],
)
def test_what_the_step_does_not_use_changes_nothing(change: dict[str, object]) -> None:
    assert fingerprint(PLAIN, "code", **{**GIVEN, **change}) == fingerprint(PLAIN, "code", **GIVEN)


def test_clock_and_seed_count_where_they_are_used() -> None:
    later = {**GIVEN, "clock": datetime(2027, 1, 1, tzinfo=UTC)}
    other = {**GIVEN, "seed": 2}
    assert fingerprint(TIMED, "code", **GIVEN) != fingerprint(TIMED, "code", **later)
    assert fingerprint(TIMED, "code", **GIVEN) == fingerprint(TIMED, "code", **other)
    assert fingerprint(SEEDED, "code", **GIVEN) != fingerprint(SEEDED, "code", **other)
    assert fingerprint(SEEDED, "code", **GIVEN) == fingerprint(SEEDED, "code", **later)


@pytest.mark.parametrize(
    "change",
    [
        {"table": "other"},
        {"mode": "append"},
        {"key": ("a",)},
        {"partition_by": ("day(t)",)},
        {"sort_by": ("t",)},
    ],
)
def test_how_the_table_is_written_counts(change: dict[str, object]) -> None:
    assert fingerprint(replace(PLAIN, **change), "code") != fingerprint(PLAIN, "code")


@pytest.mark.parametrize(
    "change", [{"name": "x", "table": "delays"}, {"retries": 3}, {"after": ("x",)}]
)
def test_how_the_step_is_run_does_not_count(change: dict[str, object]) -> None:
    assert fingerprint(replace(PLAIN, **change), "code") == fingerprint(PLAIN, "code")


def test_the_code_counts() -> None:
    assert fingerprint(PLAIN, "one") != fingerprint(PLAIN, "two")


@given(st.dictionaries(st.text(), st.text() | st.none()), st.randoms(use_true_random=False))
def test_the_order_of_inputs_does_not_count(contents: dict[str, str], random: object) -> None:
    shuffled = list(contents.items())
    random.shuffle(shuffled)
    assert fingerprint(PLAIN, "c", inputs=contents) == fingerprint(
        PLAIN, "c", inputs=dict(shuffled)
    )
