"""A function is declared as a source; it stays a function."""

from collections.abc import Callable

import pytest

import headgate as hg
from headgate.errors import Invalid
from headgate.pipelines import Declaration, Step
from headgate.pipelines.declared_steps import declaration_of


def test_a_function_with_a_cursor_appends_and_one_without_replaces() -> None:
    @hg.source
    def events(cursor: int = 0) -> None: ...

    @hg.source(retries=2)
    def rates() -> None: ...

    @hg.source(mode="upsert", key="id")
    def users(cursor: int) -> None: ...

    found = {f.__name__: declaration_of(f) for f in (events, rates, users)}
    assert {name: d.settings.mode for name, d in found.items() if d} == {
        "events": "append",
        "rates": "replace",
        "users": "upsert",
    }
    events(cursor=3)


def test_a_text_declares_a_source_of_that_kind() -> None:
    declared = hg.source("radio", frequency=98.5)
    assert isinstance(declared, Declaration)
    assert declared.source is not None
    assert declared.source.kind == "radio"


def test_an_option_nobody_knows_is_refused() -> None:
    with pytest.raises(Invalid, match="no option 'frequency'"):
        hg.source(frequency=3)  # type: ignore[call-overload]


def test_a_source_has_no_tables_to_read(step_of: Callable[[str], Step]) -> None:
    with pytest.raises(Invalid, match="asks for users: a source has no tables"):
        step_of(
            """
            import polars as pl
            import headgate as hg

            @hg.source
            def events(users: pl.LazyFrame):
                yield {}
            """
        )


def test_other_arguments_are_parameters(step_of: Callable[[str], Step]) -> None:
    step = step_of(
        """
        import headgate as hg

        @hg.source
        def events(cursor, now: hg.Now, size: int = 10):
            "What happened."
            return [{"size": size, "cursor": cursor}]
        """
    )
    assert [p.name for p in step.parameters] == ["size"]
    assert step.cursor is not None
    assert step.description == "What happened."
    assert step.reader({"size": 3})(7) == [{"size": 3, "cursor": 7}]
    assert step.reader({})(None) == [{"size": 10, "cursor": None}]
