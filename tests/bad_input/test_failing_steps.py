"""Steps that raise, or whose rows or query cannot become their table."""

import pytest

from headgate.errors import StepFailed
from headgate.project import open_project


def step(*lines, form="Iterator[dict]", given="", before="", options=""):
    """Give the text of a step called bad."""
    body = "".join(f"    {line}\n" for line in lines)
    return f"{before}\n@hg.step({options})\ndef bad({given}) -> {form}:\n{body}"


def query(text):
    """Give the text of a SQL step called bad."""
    return f"bad = hg.sql_step({text!r})\n"


POLARS = {"form": "pl.DataFrame", "before": "import polars as pl\n"}
MUTE = "class Mute(Exception):\n    def __str__(self): raise RuntimeError\n"
CONTRACT = "class Bad(hg.Contract):\n    a: int\n    b: str\n"
RAISED = {
    "by its own line": (step("return {}['gone']"), "KeyError at shop.py:13: 'gone'"),
    "deep in a library": (
        step("return numbers.select('m')", given="numbers: pl.DataFrame", **POLARS),
        "ColumnNotFoundError at shop.py:14:",
    ),
    "late in a generator": (
        step("yield {'a': 1}", "raise ValueError('two\\nlines')"),
        "ValueError at shop.py:14: two",
    ),
    "sys.exit": (step("raise SystemExit(0)"), "SystemExit at shop.py:13: 0"),
    "without a message that can be shown": (
        step("raise Mute", before=MUTE),
        "Mute at shop.py:15: (its message cannot be shown)",
    ),
}
RETURNED = {
    "nothing": (step("pass", form="list[dict]"), "step-returned-nothing"),
    "a number": (step("return 42"), "step-returned-no-table"),
    "numbers": (step("yield 1"), "step-returned-wrong-type"),
    "values of two types": (step("yield {'a': 1}", "yield {'a': 'x'}"), "step-rows-differ"),
    "text that is no text": (step("yield {'a': '\\ud800'}"), "step-rows-differ"),
    "no columns": (step("return pl.DataFrame()", **POLARS), "schema-empty"),
    "a column without a name": (
        step("return pl.DataFrame({'': [1]})", **POLARS),
        "schema-name-empty",
    ),
    "a column without a type": (step("yield {'a': None}"), "schema-column-untyped"),
    "one name twice": (
        step(
            "return pa.table([pa.array([1]), pa.array([2])], names=['a', 'a'])",
            form="pa.Table",
            before="import pyarrow as pa\n",
        ),
        "ambiguous-column-name",
    ),
    "one name twice, in SQL": (query("select 1 as a, 2 as a"), "ambiguous-column-name"),
    "one name in two cases": (query("select 1 as a, 2 as A"), "ambiguous-column-name"),
    "a decimal of 41 digits": (
        step(
            "yield {'a': Decimal('1e40')}",
            "yield {'a': Decimal('0.5')}",
            before="from decimal import Decimal\n",
        ),
        "schema-type-unsupported",
    ),
    "too great a decimal": (
        query("select cast(99999.5 as decimal(5, 2)) as a"),
        "value-does-not-fit",
    ),
    "too great a product": (
        query("select n * 9223372036854775807 as a from numbers"),
        "value-does-not-fit",
    ),
    "text as a number": (
        query("select cast('x' || n as int) as a from numbers"),
        "value-does-not-fit",
    ),
    "infinity as a number": (query("select cast('inf'::double as int) as a"), "value-does-not-fit"),
    "a column that is not there": (query("select m from numbers"), "sql-does-not-bind"),
    "other columns than its contract": (
        step("yield {'a': 'x', 'c': 1}", before=CONTRACT, options="contract=Bad"),
        "step-returned-wrong-columns",
    ),
}


@pytest.mark.parametrize(("steps", "said"), RAISED.values(), ids=RAISED)
def test_what_a_step_raises_is_shown_with_its_own_line(published, steps, said):
    head = published.head()
    published.steps(steps)
    words = published("run", exits=3)
    assert f"✗ bad: raised {said}" in words.err
    assert "Traceback" in words.err  # of the user's own frames
    published.is_unchanged(head, words)
    published.steps('bad = hg.sql_step("select 1 as a")\n')
    assert "Published 1 table" in published("resume", words.resume).err


@pytest.mark.parametrize(("steps", "code"), RETURNED.values(), ids=RETURNED)
def test_rows_that_cannot_be_the_table_fail_the_step(published, steps, code):
    head = published.head()
    published.steps(steps)
    words = published("run", exits=3)
    [line] = [line for line in words.err.splitlines() if line.startswith("  ✗ bad: ")]
    assert len(line) > len("  ✗ bad: ") + 10
    assert "Traceback" not in words.err  # the message says it all
    assert "copy (" not in words.err.lower()  # nor a statement of ours
    assert words.resume
    published.is_unchanged(head, words)
    status = published.document("status")
    assert [run["state"] for run in status["unfinished"]] == ["failed"]
    error = published.error("resume", words.resume, exits=3)
    assert error["code"] == code
    assert error["message"].startswith("Step bad")
    assert error["facts"]["step"] == "bad"


def test_python_raises_a_failed_step_with_its_cause(published):
    published.steps('bad = hg.sql_step("select m from numbers")\n')
    project = open_project(published.root, environment={})
    with project, pytest.raises(StepFailed) as caught:
        project.run()
    said = str(caught.value).splitlines()
    assert said[0].startswith("Step bad: ")
    assert said[-2:] == [
        "Check the names of tables and columns, and their types.",
        f"Then:    headgate resume {caught.value.facts['run'][:6]}",
    ]


def test_numbers_that_are_none_are_judged_and_kept(published):
    published.steps(
        """
        class Measured(hg.Contract):
            a: Annotated[float, hg.between(0, 10, severity="quarantine")]

        @hg.step(contract=Measured)
        def bad() -> Iterator[dict]:
            for a in (1.5, float("nan"), float("inf"), float("-inf")):
                yield {"a": a}
        """
    )
    published("run")
    assert published.rows("select a from bad") == [{"a": 1.5}]
    kept = 'select count(*) as n from "_quarantine"."bad"'
    assert published.rows(kept) == [{"n": 3}]


def test_the_largest_decimals_are_published(published):
    published.steps(
        "bad = hg.sql_step(\"select cast('9' as decimal(38, 0)) * "
        "cast('1111111111111111111111111111111111111' as decimal(38, 0)) + n as a from numbers\")\n"
    )
    published("run")
    [found] = published.rows("select max(a) as a from bad")
    assert int(found["a"]) == 9_999_999_999_999_999_999_999_999_999_999_999_999 + 4


def test_another_type_the_next_time_is_refused_where_rows_are_added(published):
    table = 'grown = hg.sql_step("select {} as a", mode="append")\n'
    published.steps(table.format("1"))
    published("run")
    head = published.head()
    published.steps(table.format("'x'"))
    words = published("run", exits=3)
    assert "Column 'a' of table 'grown' is int, but the new rows have string." in words.err
    published.is_unchanged(head, words)
    published.steps(table.replace("append", "replace").format("'x'"))
    published("run")
    assert published.rows("select a from grown") == [{"a": "x"}]


@pytest.mark.parametrize("value", ["null", "cast(null as int)"])
def test_nothing_but_null_keeps_the_type_a_column_had(published, value):
    published.steps('t = hg.sql_step("select 1 as a, 1 as b")\n')
    published("run")
    published.steps(f't = hg.sql_step("select {value} as a, 1 as b")\n')
    published("run")
    assert published.rows("select a, typeof(a) as type from t") == [{"a": None, "type": "INTEGER"}]


def test_a_contract_that_speaks_of_a_missing_column_is_refused_before_anything_runs(published):
    for rule, code in (
        ('hg.unique("z")', "contract-unknown-column"),
        ('hg.expression("z > 0")', "contract-expression"),
    ):
        published.steps(
            f"class Bad(hg.Contract, rules=({rule},)):\n    a: int\n\n"
            "@hg.step(contract=Bad)\ndef bad() -> Iterator[dict]:\n    yield {'a': 1}\n"
        )
        error = published.error("run", exits=2)
        assert error["code"] == code
        assert "'z'" in error["message"]
    assert published.document("status")["unfinished"] == []


def test_a_reference_to_a_missing_column_fails_the_check(published):
    published.steps(
        """
        class Bad(hg.Contract):
            a: Annotated[int, hg.references("numbers.z")]

        @hg.step(contract=Bad)
        def bad() -> Iterator[dict]:
            yield {"a": 1}
        """
    )
    head = published.head()
    words = published("run", exits=4)
    assert "numbers has no column z" in words.err
    published.is_unchanged(head, words)
