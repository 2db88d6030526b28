"""What people see, word for word; only ids, times and paths are made equal."""

import json
import re

import pytest

SETTINGS = '[project]\nname = "squares"\npipelines = ["squares.py"]\n'
PIPELINE = """\
from collections.abc import Iterator
from typing import Annotated

import headgate as hg


class Number(hg.Contract, rules=(hg.unique("n"),)):
    n: int
    square: Annotated[int, hg.between(0, 10_000)]
    half: Annotated[float | None, hg.between(0, 1.25, severity="warn")]


@hg.step(contract=Number)
def numbers(count: int = 4) -> Iterator[dict]:
    for n in range(count):
        yield {"n": n, "square": n * n, "half": n / 2}


@hg.step
def evens(numbers: Iterator[dict]) -> Iterator[dict]:
    for row in numbers:
        if row["n"] % 2 == 0:
            yield row


total = hg.sql_step("select sum(square)::bigint as total from evens")
"""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "headgate.toml").write_text(SETTINGS)
    (tmp_path / "squares.py").write_text(PIPELINE)
    return tmp_path


@pytest.fixture
def says(headgate, project):
    """Run a command; give its words and data with ids numbered in the order they appear."""
    seen = {}

    def anonymous(text):
        def name(match):
            digits = match[0]
            known = next((k for k in seen if k.startswith(digits) or digits.startswith(k)), None)
            key = known or digits
            seen.setdefault(key, f"<{len(seen) + 1}>")
            return seen[key]

        text = text.replace(str(project), "PROJECT")
        text = re.sub(r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\b", "WHEN", text)
        text = re.sub(r"   \d+(\.\d)? (ms|s)\b", "", text)
        text = re.sub(r"\b\d+(\.\d)? (ms|s)\b", "TIME", text)
        return re.sub(r"\b([0-9a-f]{40}|[0-9a-f]{12}|[0-9a-f]{6}|[0-9a-f]{4})\b", name, text)

    def says(*arguments, exits=0):
        done = headgate(*arguments, check=exits)
        return anonymous(done.stderr + done.stdout)

    says.raw = headgate
    return says


def broken(project):
    (project / "squares.py").write_text(PIPELINE.replace("10_000", "3"))


def raising(project):
    (project / "squares.py").write_text(PIPELINE.replace("yield row", "yield -row"))


FIRST = """\
squares  run <1>  on main@<2>
  ✓ numbers   4 rows
  ✓ evens     2 rows
  ✓ total     1 row
  ✓ 4 checks passed, 1 warning: half between 0 and 1.25, 1 row
Published 3 tables to main as <3>.
"""


def test_a_run_publishes_and_the_next_has_nothing_to_do(says):
    assert says("run") == FIRST
    assert says("run") == "Nothing to do: code, parameters and inputs are those of <3>.\n"


def test_a_broken_contract_publishes_nothing_and_is_mended(says, project):
    assert says("run") == FIRST
    broken(project)
    assert (
        says("run", exits=4)
        == """\
squares  run <4>  on main@<3>
  ✓ numbers   4 rows
  = evens     as in <3>
  = total     as in <3>
  ✗ numbers: square between 0 and 3: 2 rows, for example (n=2, square=4, half=1.0)
Not published. Readers of main still see <3>.
Look:    headgate diff main run/<4>
Mend, then:  headgate resume <4>
Log:     PROJECT/.headgate/logs/<4>.log
"""
    )
    assert says("sql", "select * from total") == "total\n    4\n"
    (project / "squares.py").write_text(PIPELINE.replace("10_000", "30"))
    run = json.loads(says.raw("status", "--json").stdout)["unfinished"][0]["run"]
    assert (
        says("resume", run[:4])
        == """\
squares  run <4>  on main@<3>   attempt 2
  ✓ numbers   4 rows
  = evens     as in <3>
  = total     as in <3>
  ✓ 4 checks passed, 1 warning: half between 0 and 1.25, 1 row
Rows are as before; published to main as <5>.
"""
    )


def test_a_step_that_raises_shows_the_users_own_lines(says, project):
    says("run")
    raising(project)
    assert (
        says("run", exits=3)
        == """\
squares  run <4>  on main@<3>
  = numbers   as in <3>
  ✗ evens: raised TypeError at squares.py:23: bad operand type for unary -: 'dict'
      Traceback (most recent call last):
        File "PROJECT/squares.py", line 23, in evens
          yield -row
                ^^^^
      TypeError: bad operand type for unary -: 'dict'
Not published. Readers of main still see <3>.
Look:    headgate diff main run/<4>
Mend, then:  headgate resume <4>
Log:     PROJECT/.headgate/logs/<4>.log
"""
    )


def test_the_history_is_told(says):
    assert says("status", exits=6) == (
        "Error: There is no lake in PROJECT/lake.\nThe first  headgate run  makes one.\n"
    )
    says("run")
    says("run", "--param", "count=9")
    assert says("log") == (
        "<5>  WHEN  run <4> (squares)  3 tables: evens, numbers, total\n"
        "<3>  WHEN  run <1> (squares)  3 tables: evens, numbers, total\n"
        "<2>  WHEN  the first commit\n"
    )
    assert says("diff") == (
        "~ evens    2 to 5 rows\n~ numbers  4 to 9 rows\n~ total    1 row, changed\n"
    )
    assert (
        says("show", "main")
        == """\
commit <5>
  run <4> (squares), WHEN UTC
  on <3>, serializable

  evens    replaced, 5 rows
  numbers  replaced, 9 rows
  total    replaced, 1 row

  step numbers  9 rows, TIME
  step evens    5 rows, TIME
  step total    1 row, TIME

  contract of numbers: passed, 5 checks, 1 warning
    warning: half between 0 and 1.25, 6 rows
"""
    )
