import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from types import ModuleType

import pytest

from headgate.pipelines import CodeDigests, Step, collect
from headgate.pipelines.own_code import OwnCode

HELPERS = '''
"""Helpers."""
import enum
import re
from dataclasses import dataclass
from functools import lru_cache, partial

LIMIT = 10
NAMES = {"b", "a", "c"}
PATTERN = re.compile("x+")
UNRELATED = 1


class Kind(enum.Enum):
    GOOD = 1
    BAD = 2


@dataclass(frozen=True)
class Window:
    """A window."""

    low: int = 1
    kind: Kind = Kind.GOOD

    def width(self, high):
        """Give the width."""
        return high - self.low


class Wide(Window):
    def twice(self):
        return 2


WINDOW = Window(low=3)


def clean(x, factor=2):
    """Clean it."""
    # a comment
    return [scaled(y, factor) for y in x]


def scaled(y, factor):
    return y * factor + LIMIT


@lru_cache
def cached(x):
    return x + 1


def unrelated():
    return UNRELATED


def retrying(times):
    def decorator(function):
        def wrapper(*args):
            for _ in range(times):
                return function(*args)
        return wrapper
    return decorator


@retrying(times=3)
def fetched(x):
    return x


halved = partial(scaled, factor=0.5)
HANDLERS = {"clean": clean, "halve": halved}
'''

LAZY = """
from lazier import DEEP as deep
LAZY = 1
def late(): return LAZY
"""

FLOW = '''
import helpers
from helpers import HANDLERS, PATTERN, Wide, cached, fetched
import headgate as hg

OFFSET = 1
def made(n):
    def inner(x):
        return x + n
    return inner
plus = made(5)


@hg.step
def numbers(rows: "list[dict]", minimum: int = 1, *, deep: bool = False) -> "list[dict]":
    """Numbers."""
    def local(x):
        """Nested."""
        class Local:
            """Local class."""
            y = 1
        return x + OFFSET
    if PATTERN.match("x") and len(rows) in helpers.NAMES:
        return HANDLERS["clean"](rows)
    try:
        n = plus(cached(fetched(len(rows))))
        n = helpers.WINDOW.width(n)
    except (ValueError, TypeError):
        return Wide()
    import lazy
    return [{"n": local(y)} for y in helpers.clean([n])] + [{"n": lazy.late()}]
'''

# One edit a line.
# ruff: noqa: E501
EDITS = {
    # what                      file, old, new                                          changes it
    "nothing": ("flow", "", "", False),
    "comment": ("helpers", "# a comment", "# another comment\n    # of two lines", False),
    "function's docstring": ("flow", '"""Numbers."""', '"""Other words."""', False),
    "no docstring": ("flow", '    """Numbers."""\n', "", False),
    "helper's docstring": ("helpers", '    """Clean it."""\n', "", False),
    "nested docstring": ("flow", '"""Nested."""', '"""Nest."""', False),
    "local class's docstring": ("flow", '            """Local class."""\n', "", False),
    "class's docstring": ("helpers", '"""A window."""', '"""Another."""', False),
    "method's docstring": ("helpers", '"""Give the width."""', '"""W."""', False),
    "module's docstring": ("helpers", '"""Helpers."""', '"""Help."""', False),
    "formatting": ("helpers", "y * factor + LIMIT", "(\n        y\n        * factor\n        + LIMIT\n    )", False),
    "blank lines": ("flow", "OFFSET = 1\n", "\n\n\n\nOFFSET = 1\n\n\n", False),
    "quotes": ("flow", 'HANDLERS["clean"]', "HANDLERS['clean']", False),
    "a local's name": ("helpers", "for y in x", "for y in (x)", False),
    "unrelated function": ("helpers", "return UNRELATED", "return UNRELATED + 1", False),
    "unrelated constant": ("helpers", "UNRELATED = 1", "UNRELATED = 2", False),
    "new unrelated function": ("helpers", "LIMIT = 10", "LIMIT = 10\ndef fresh(): pass", False),
    "order of definitions": ("helpers", "LIMIT = 10\nNAMES", "\nNAMES", None),
    "order of a set": ("helpers", '{"b", "a", "c"}', '{"c", "b", "a"}', False),
    "own constant": ("flow", "OFFSET = 1", "OFFSET = 2", True),
    "literal": ("flow", 'match("x")', 'match("y")', True),
    "type of a literal": ("flow", "OFFSET = 1", "OFFSET = 1.0", True),
    "helper's code": ("helpers", "y * factor", "y / factor", True),
    "helper of a helper's constant": ("helpers", "LIMIT = 10", "LIMIT = 11", True),
    "helper's default": ("helpers", "factor=2)", "factor=3)", True),
    "own default": ("flow", "minimum: int = 1", "minimum: int = 2", True),
    "keyword default": ("flow", "deep: bool = False", "deep: bool = True", True),
    "closure's value": ("flow", "made(5)", "made(6)", True),
    "closure's code": ("flow", "return x + n", "return x - n", True),
    "member of a set": ("helpers", '{"b", "a", "c"}', '{"b", "a", "d"}', True),
    "pattern": ("helpers", '"x+"', '"x*"', True),
    "method": ("helpers", "high - self.low", "high + self.low", True),
    "inherited method's class": ("helpers", "return 2", "return 3", True),
    "field's default": ("helpers", "low: int = 1", "low: int = 2", True),
    "instance's state": ("helpers", "Window(low=3)", "Window(low=4)", True),
    "enum's value": ("helpers", "GOOD = 1", "GOOD = 7", True),
    "cached function": ("helpers", "return x + 1", "return x + 2", True),
    "decorator's argument": ("helpers", "times=3", "times=4", True),
    "decorator's code": ("helpers", "range(times)", "range(times + 1)", True),
    "decorated function": ("helpers", "def fetched(x):\n    return x", "def fetched(x):\n    return -x", True),
    "partial's argument": ("helpers", "factor=0.5", "factor=0.25", True),
    "key of a table of functions": ("helpers", '{"clean": clean', '{"clear": clean', True),
    "other exception": ("flow", "(ValueError, TypeError)", "(ValueError, KeyError)", True),
    "what is guarded": (
        "flow",
        "        n = helpers.WINDOW.width(n)\n    except (ValueError, TypeError):\n        return Wide()\n",
        "    except (ValueError, TypeError):\n        return Wide()\n    else:\n        n = helpers.WINDOW.width(n)\n",
        True,
    ),
    "module imported inside": ("lazy", "LAZY = 1", "LAZY = 2", True),
    "comment in a module imported inside": ("lazy", "LAZY = 1", "LAZY = 1  # why", False),
    "what a module imported inside imports": ("lazier", "DEEP = 1", "DEEP = 2", True),
    "table's argument": ("flow", '"list[dict]", min', '"__import__(\'typing\').Annotated[list[dict], hg.table(\'other\')]", min', True),
    "form": ("flow", 'rows: "list[dict]"', 'rows: "__import__(\'typing\').Iterator[dict]"', True),
    "parameter's kind of argument": ("flow", "minimum: int = 1", "minimum: hg.Seed", True),
}  # fmt: skip
BASE = {"lazier": "DEEP = 1\n", "lazy": LAZY, "helpers": HELPERS, "flow": FLOW}


def digest_of(module: ModuleType, root: Path) -> str:
    (step,) = collect([module], root=root).steps
    return CodeDigests([root]).of(step).digest


@pytest.mark.parametrize("what", [what for what, edit in EDITS.items() if edit[3] is not None])
def test_the_digest_changes_exactly_with_what_the_step_depends_on(
    what: str, write: Callable[..., ModuleType], tmp_path: Path
) -> None:
    file, old, new, changes = EDITS[what]
    before = digest_of(write(**BASE), tmp_path)
    assert old in BASE[file]
    after = digest_of(write(**{**BASE, file: BASE[file].replace(old, new, 1)}), tmp_path)
    assert (before != after) is changes


def test_moving_a_definition_changes_nothing(
    write: Callable[..., ModuleType], tmp_path: Path
) -> None:
    before = digest_of(write(**BASE), tmp_path)
    moved = HELPERS.replace("LIMIT = 10\n", "") + "\nLIMIT = 10\n"
    assert digest_of(write(**{**BASE, "helpers": moved}), tmp_path) == before


PROGRAM = """
import sys; sys.path.insert(0, {root!r})
from pathlib import Path
import flow
from headgate.pipelines import CodeDigests, collect
(step,) = collect([flow], root=Path({root!r})).steps
print(CodeDigests([Path({root!r})]).of(step))
"""


def test_the_digest_is_that_of_every_process(
    write: Callable[..., ModuleType], tmp_path: Path
) -> None:
    write(**BASE)
    found = {
        subprocess.run(
            [sys.executable, *options, "-c", PROGRAM.format(root=str(tmp_path))],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed, options in (("0", ()), ("1", ()), ("2", ("-B",)))
    }
    assert len(found) == 1


def test_a_moved_project_keeps_its_digests(tmp_path: Path) -> None:
    found = set()
    for place in ("here", "elsewhere/deeper"):
        root = tmp_path / place
        root.mkdir(parents=True)
        for name, text in {**BASE, "flow": BASE["flow"] + PATHS}.items():
            (root / f"{name}.py").write_text(text)
        found.add(
            subprocess.run(
                [sys.executable, "-c", PROGRAM.format(root=str(root))],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        )
    assert len(found) == 1


PATHS = """
from pathlib import Path
HERE = Path(__file__).parent / "data"
def made(n):
    return lambda x: (HERE, __file__)
plus = made(5)
"""


def test_a_digest_is_the_same_before_and_after_the_step_ran(
    write: Callable[..., ModuleType], tmp_path: Path
) -> None:
    module = write(**BASE)
    before = digest_of(module, tmp_path)
    assert module.numbers([{"a": 1}]) == [{"n": 19}, {"n": 1}]
    assert digest_of(module, tmp_path) == before


def of(step: Step, root: Path) -> str:
    return CodeDigests([root]).of(step).digest


def test_foreign_packages_are_named(step_of: Callable[[str], Step], tmp_path: Path) -> None:
    step = step_of(
        """
        import headgate as hg
        import json
        import polars as pl
        import sqlglot

        MEDIAN = pl.col("delay").median()

        @hg.step
        def delays(flights: pl.LazyFrame) -> pl.LazyFrame:
            import msgspec.json
            return flights.select(MEDIAN, pl.lit(json.dumps(sqlglot.__version__)))
        """
    )
    found = CodeDigests([tmp_path]).of(step).packages
    assert found == ("msgspec", "polars", "sqlglot")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("median()", "mean()"),
        ('"delay"', '"wait"'),
        ("[1.5, 2.5]", "[1.5, 2.75]"),
        ("2013, 1, 1", "2013, 1, 2"),
        ('"1.10"', '"1.1"'),
        ("{(1, 'x'): [2]}", "{(1, 'x'): [3]}"),
    ],
)
def test_values_of_foreign_types_count(
    old: str, new: str, step_of: Callable[[str], Step], tmp_path: Path
) -> None:
    text = """
        import datetime, decimal
        import headgate as hg
        import numpy as np
        import polars as pl

        MEDIAN = pl.col("delay").median()
        WEIGHTS = np.array([1.5, 2.5])
        FIRST = datetime.datetime(2013, 1, 1)
        RATE = decimal.Decimal("1.10")
        TABLE = {(1, 'x'): [2]}
        FRAME = pl.DataFrame({"a": [1]})

        @hg.step
        def delays(flights: pl.LazyFrame) -> pl.LazyFrame:
            return flights.select(MEDIAN * WEIGHTS * FIRST * RATE * TABLE * FRAME)
        """
    before = of(step_of(text), tmp_path)
    assert of(step_of(text), tmp_path) == before
    assert of(step_of(text.replace(old, new)), tmp_path) != before


def test_a_foreign_decorator_does_not_hide_the_function_below_it(
    step_of: Callable[[str], Step], tmp_path: Path
) -> None:
    text = """
        import contextlib, functools
        import headgate as hg

        @functools.singledispatch
        def shown(x): return 1
        @shown.register
        def _(x: int): return 2

        @contextlib.contextmanager
        def opened(): yield 3

        @hg.step
        def rows() -> list[dict]:
            with opened() as y:
                return [{"x": shown(y)}]
        """
    digests = {of(step_of(text), tmp_path)}
    for old, new in (("return 1", "return 9"), ("return 2", "return 9"), ("yield 3", "yield 9")):
        digests.add(of(step_of(text.replace(old, new)), tmp_path))
    assert len(digests) == 4


def test_what_running_leaves_behind_in_caches_changes_nothing(
    write: Callable[..., ModuleType], tmp_path: Path
) -> None:
    module = write(
        flow="""
        import functools, weakref
        import headgate as hg

        class Rates:
            @functools.cached_property
            def all(self): return [1]
        RATES = Rates()
        KNOWN = weakref.WeakKeyDictionary()

        @functools.singledispatch
        def shown(x): return 1

        @functools.cache
        def cached(x): return x

        @hg.step
        def rows() -> list[dict]:
            KNOWN[Rates] = 1
            return [{"x": shown(2), "y": RATES.all, "z": cached(1)}]
        """
    )
    before = digest_of(module, tmp_path)
    module.rows()
    assert digest_of(module, tmp_path) == before


def test_a_function_of_a_project_that_is_not_imported_now_is_still_its_own(
    write: Callable[..., ModuleType], tmp_path: Path
) -> None:
    module = write(**BASE)
    (step,) = collect([module], root=tmp_path).steps
    before = of(step, tmp_path)
    for name in BASE:
        sys.modules.pop(name, None)
    assert of(step, tmp_path) == before


def test_a_proxy_that_raises_does_not_hinder(
    step_of: Callable[[str], Step], tmp_path: Path
) -> None:
    step = step_of(
        """
        import headgate as hg

        class Proxy:
            def __getattribute__(self, name): raise RuntimeError(name)
            @property
            def __class__(self): raise RuntimeError

        PROXY = Proxy()
        @hg.step
        def rows() -> list[dict]:
            return PROXY
        """
    )
    assert of(step, tmp_path)


def test_packages_of_the_forms_count(step_of: Callable[[str], Step], tmp_path: Path) -> None:
    step = step_of(
        """
        from __future__ import annotations
        from typing import TYPE_CHECKING
        import headgate as hg
        if TYPE_CHECKING:
            import pandas as pd
            import polars as pl
        @hg.step
        def rows(a: pd.DataFrame) -> pl.DataFrame: ...
        """
    )
    assert CodeDigests([tmp_path]).of(step).packages == ("pandas", "polars")


def test_attributes_of_functions_count(step_of: Callable[[str], Step], tmp_path: Path) -> None:
    text = """
        import headgate as hg
        def helper(): return helper.limit
        helper.limit = 3
        @hg.step
        def rows() -> list[dict]: return [{"x": helper()}]
        """
    assert of(step_of(text), tmp_path) != of(step_of(text.replace("3", "4")), tmp_path)


def test_values_without_a_value_do_not_hinder(
    step_of: Callable[[str], Step], tmp_path: Path
) -> None:
    text = """
        import logging, threading
        import headgate as hg

        LOCK = threading.Lock()
        LOG = logging.getLogger("x")
        STREAM = (n for n in [1])

        @hg.step
        def rows() -> list[dict]:
            LOG.info("x")
            with LOCK:
                return [*STREAM]
        """
    assert of(step_of(text), tmp_path) == of(step_of(text), tmp_path)


def test_functions_that_call_each_other_end(step_of: Callable[[str], Step], tmp_path: Path) -> None:
    text = """
        import headgate as hg
        def even(n): return n == 0 or odd(n - 1)
        def odd(n): return n != 0 and even(n - 1)
        LIST = []
        LIST.append(LIST)
        @hg.step
        def rows() -> list[dict]:
            return [{"x": even(3), "y": LIST}]
        """
    before = of(step_of(text), tmp_path)
    assert of(step_of(text.replace("n != 0", "n > 0")), tmp_path) != before


def test_deep_chains_need_no_recursion(step_of: Callable[[str], Step], tmp_path: Path) -> None:
    chain = "\n".join(f"def f{n}(x): return f{n + 1}(x)" for n in range(3000))
    text = f"import headgate as hg\n{chain}\ndef f3000(x): return x\n" + dedent(
        """
        @hg.step
        def rows() -> list[dict]:
            return f0([])
        """
    )
    before = of(step_of(text), tmp_path)
    assert of(step_of(text.replace("(x): return x\n", "(x): return -x\n")), tmp_path) != before


def test_a_whole_module_counts_where_it_is_handed_on(
    write: Callable[..., ModuleType], tmp_path: Path
) -> None:
    flow = """
        import headgate as hg
        import tools
        @hg.step
        def rows() -> list[dict]:
            return [{"x": getattr(tools, "any" + "thing")}]
        """
    digests = {
        digest_of(write(tools=f"anything = {value}", flow=flow), tmp_path) for value in (1, 2)
    }
    assert len(digests) == 2


def test_packages_inside_the_project_count_as_foreign_in_site_packages(tmp_path: Path) -> None:
    own = OwnCode([tmp_path])
    assert own.has_file(str(tmp_path / "flows.py"))
    assert not own.has_file(str(tmp_path / ".venv/lib/python3.11/site-packages/polars/x.py"))
    assert not own.has_file("/usr/lib/python3.11/json/__init__.py")


def test_sources_and_queries_have_digests_of_their_options_and_words(
    step_of: Callable[[str], Step], tmp_path: Path
) -> None:
    def sql(text: str) -> str:
        return of(step_of(f"import headgate as hg\nx = hg.sql_step({text!r})"), tmp_path)

    def files(text: str) -> str:
        return of(step_of(f"import headgate as hg\nx = hg.files({text})"), tmp_path)

    assert sql("select 1  -- one") == sql("select\n 1")
    assert sql("select 1") != sql("select 2")
    assert files("'a.csv'") == files("'a.csv', name='x'")
    assert files("'a.csv'") != files("'b.csv'")
    assert files("'a.csv'") != files("'a.csv', delimiter=';'")
