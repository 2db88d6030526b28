"""Data pipelines in which every run is a transaction: published whole, or not at all.

>>> import headgate as hg
>>> project = hg.open("flights-project")            # doctest: +SKIP
>>> project.run()                                   # doctest: +SKIP
>>> project.table("delays").to_polars()             # doctest: +SKIP

Names load when they are first touched: importing headgate loads no engine and no parser.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headgate.contracts import Contract as Contract
    from headgate.contracts import Date as Date
    from headgate.contracts import Decimal as Decimal
    from headgate.contracts import Float32 as Float32
    from headgate.contracts import Int32 as Int32
    from headgate.contracts import LocalTimestamp as LocalTimestamp
    from headgate.contracts import UtcTimestamp as UtcTimestamp
    from headgate.contracts import between as between
    from headgate.contracts import column as column
    from headgate.contracts import completeness as completeness
    from headgate.contracts import expression as expression
    from headgate.contracts import freshness as freshness
    from headgate.contracts import length as length
    from headgate.contracts import not_null as not_null
    from headgate.contracts import one_of as one_of
    from headgate.contracts import pattern as pattern
    from headgate.contracts import references as references
    from headgate.contracts import rows as rows
    from headgate.contracts import unique as unique
    from headgate.errors import AlreadyExists as AlreadyExists
    from headgate.errors import CheckFailed as CheckFailed
    from headgate.errors import Conflict as Conflict
    from headgate.errors import Corrupt as Corrupt
    from headgate.errors import HeadgateError as HeadgateError
    from headgate.errors import Internal as Internal
    from headgate.errors import Interrupted as Interrupted
    from headgate.errors import Invalid as Invalid
    from headgate.errors import NotFound as NotFound
    from headgate.errors import Refused as Refused
    from headgate.errors import StepFailed as StepFailed
    from headgate.errors import Unavailable as Unavailable
    from headgate.pipelines import Now as Now
    from headgate.pipelines import Params as Params
    from headgate.pipelines import Seed as Seed
    from headgate.pipelines import airbyte as airbyte
    from headgate.pipelines import changes as changes
    from headgate.pipelines import database as database
    from headgate.pipelines import dlt as dlt
    from headgate.pipelines import files as files
    from headgate.pipelines import incremental as incremental
    from headgate.pipelines import pages as pages
    from headgate.pipelines import pipeline as pipeline
    from headgate.pipelines import rest as rest
    from headgate.pipelines import sink as sink
    from headgate.pipelines import source as source
    from headgate.pipelines import sql_step as sql_step
    from headgate.pipelines import step as step
    from headgate.pipelines import table as table
    from headgate.project import Project as Project
    from headgate.project import open_project as open  # noqa: A004 - hg.open(path)
    from headgate.secrets import secret as secret
    from headgate.sources import html_records as html_records
    from headgate.sources import page_records as page_records

__version__ = "0.1.0"

_HOMES = {
    "contracts": (
        "Contract", "Date", "Decimal", "Float32", "Int32", "LocalTimestamp", "UtcTimestamp",
        "between", "column", "completeness", "expression", "freshness", "length", "not_null",
        "one_of", "pattern", "references", "rows", "unique",
    ),
    "errors": (
        "AlreadyExists", "CheckFailed", "Conflict", "Corrupt", "HeadgateError", "Internal",
        "Interrupted", "Invalid", "NotFound", "Refused", "StepFailed", "Unavailable",
    ),
    "pipelines": (
        "Now", "Params", "Seed", "airbyte", "changes", "database", "dlt", "files", "incremental",
        "pages", "pipeline", "rest", "sink", "source", "sql_step", "step", "table",
    ),
    "project": (
        "Project", "open",
    ),
    "secrets": (
        "secret",
    ),
    "sources": (
        "html_records", "page_records",
    ),
}  # fmt: skip
_HOME = {name: home for home, names in _HOMES.items() for name in names}
_CALLED = {"open": "open_project"}

__all__ = [
    "AlreadyExists",
    "CheckFailed",
    "Conflict",
    "Contract",
    "Corrupt",
    "Date",
    "Decimal",
    "Float32",
    "HeadgateError",
    "Int32",
    "Internal",
    "Interrupted",
    "Invalid",
    "LocalTimestamp",
    "NotFound",
    "Now",
    "Params",
    "Project",
    "Refused",
    "Seed",
    "StepFailed",
    "Unavailable",
    "UtcTimestamp",
    "__version__",
    "airbyte",
    "between",
    "changes",
    "column",
    "completeness",
    "database",
    "dlt",
    "expression",
    "files",
    "freshness",
    "html_records",
    "incremental",
    "length",
    "not_null",
    "one_of",
    "open",
    "page_records",
    "pages",
    "pattern",
    "pipeline",
    "references",
    "rest",
    "rows",
    "secret",
    "sink",
    "source",
    "sql_step",
    "step",
    "table",
    "unique",
]


def __getattr__(name: str) -> object:
    if home := _HOME.get(name):
        return getattr(import_module(f"headgate.{home}"), _CALLED.get(name, name))
    raise AttributeError(f"module 'headgate' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
