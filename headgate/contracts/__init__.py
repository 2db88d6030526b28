"""The contracts' door: what tables promise, compiled to masks and questions, and judged.

Declaring a contract loads no engine and no SQL parser; names load when they are first touched.
"""

from typing import TYPE_CHECKING

from headgate.doors import door

if TYPE_CHECKING:
    from headgate.contracts.arrow_schemas import arrow_schema as arrow_schema
    from headgate.contracts.arrow_schemas import type_texts as type_texts
    from headgate.contracts.casts import CastPlan as CastPlan
    from headgate.contracts.casts import cast_plan as cast_plan
    from headgate.contracts.casts import source_schema as source_schema
    from headgate.contracts.casts import text_cast as text_cast
    from headgate.contracts.checks import ChangeCheck as ChangeCheck
    from headgate.contracts.checks import KeyCheck as KeyCheck
    from headgate.contracts.checks import References as References
    from headgate.contracts.checks import RowCheck as RowCheck
    from headgate.contracts.checks import Rows as Rows
    from headgate.contracts.checks import RowsChange as RowsChange
    from headgate.contracts.checks import Unique as Unique
    from headgate.contracts.contract import AnyContract as AnyContract
    from headgate.contracts.contract import Contract as Contract
    from headgate.contracts.contract import contract_spec as contract_spec
    from headgate.contracts.contract_changes import Difference as Difference
    from headgate.contracts.contract_changes import Direction as Direction
    from headgate.contracts.contract_changes import differences as differences
    from headgate.contracts.contract_changes import overall as overall
    from headgate.contracts.deltas import Delta as Delta
    from headgate.contracts.deltas import RowChange as RowChange
    from headgate.contracts.deltas import delta as delta
    from headgate.contracts.judging import EVALUATOR as EVALUATOR
    from headgate.contracts.judging import Measure as Measure
    from headgate.contracts.judging import judge as judge
    from headgate.contracts.judging import still_valid as still_valid
    from headgate.contracts.judging import verdict_key as verdict_key
    from headgate.contracts.key_deltas import KeyQuestion as KeyQuestion
    from headgate.contracts.key_deltas import Which as Which
    from headgate.contracts.key_deltas import bereft_question as bereft_question
    from headgate.contracts.key_deltas import changed_keys as changed_keys
    from headgate.contracts.key_deltas import orphans_question as orphans_question
    from headgate.contracts.key_deltas import settled_keys as settled_keys
    from headgate.contracts.key_deltas import taken_keys as taken_keys
    from headgate.contracts.key_deltas import unique_question as unique_question
    from headgate.contracts.layouts import layout_problems as layout_problems
    from headgate.contracts.named_contracts import contract_files as contract_files
    from headgate.contracts.named_contracts import contract_of_file as contract_of_file
    from headgate.contracts.named_contracts import named_contract as named_contract
    from headgate.contracts.polars_masks import polars_mask as polars_mask
    from headgate.contracts.row_checks import validate_expressions as validate_expressions
    from headgate.contracts.row_masks import IngestMask as IngestMask
    from headgate.contracts.row_masks import ingest_mask as ingest_mask
    from headgate.contracts.rules import between as between
    from headgate.contracts.rules import column as column
    from headgate.contracts.rules import completeness as completeness
    from headgate.contracts.rules import expression as expression
    from headgate.contracts.rules import freshness as freshness
    from headgate.contracts.rules import length as length
    from headgate.contracts.rules import not_null as not_null
    from headgate.contracts.rules import one_of as one_of
    from headgate.contracts.rules import pattern as pattern
    from headgate.contracts.rules import references as references
    from headgate.contracts.rules import rows as rows
    from headgate.contracts.rules import unique as unique
    from headgate.contracts.specs import ColumnSpec as ColumnSpec
    from headgate.contracts.specs import ContractSpec as ContractSpec
    from headgate.contracts.table_checks import Question as Question
    from headgate.contracts.table_checks import questions as questions
    from headgate.contracts.types import Date as Date
    from headgate.contracts.types import Decimal as Decimal
    from headgate.contracts.types import Float32 as Float32
    from headgate.contracts.types import Int32 as Int32
    from headgate.contracts.types import LocalTimestamp as LocalTimestamp
    from headgate.contracts.types import UtcTimestamp as UtcTimestamp
    from headgate.contracts.yaml_schema import contract_schema as contract_schema

_FILES = {
    "arrow_schemas": (
        "arrow_schema",
        "type_texts",
    ),
    "casts": (
        "CastPlan",
        "cast_plan",
        "source_schema",
        "text_cast",
    ),
    "contract": (
        "AnyContract",
        "Contract",
        "contract_spec",
    ),
    "checks": (
        "ChangeCheck",
        "KeyCheck",
        "References",
        "RowCheck",
        "Rows",
        "RowsChange",
        "Unique",
    ),
    "named_contracts": (
        "contract_files",
        "contract_of_file",
        "named_contract",
    ),
    "deltas": (
        "Delta",
        "RowChange",
        "delta",
    ),
    "judging": (
        "EVALUATOR",
        "Measure",
        "judge",
        "still_valid",
        "verdict_key",
    ),
    "contract_changes": (
        "Difference",
        "Direction",
        "differences",
        "overall",
    ),
    "key_deltas": (
        "KeyQuestion",
        "Which",
        "bereft_question",
        "changed_keys",
        "orphans_question",
        "settled_keys",
        "taken_keys",
        "unique_question",
    ),
    "layouts": ("layout_problems",),
    "polars_masks": ("polars_mask",),
    "table_checks": (
        "Question",
        "questions",
    ),
    "row_checks": ("validate_expressions",),
    "row_masks": (
        "IngestMask",
        "ingest_mask",
    ),
    "rules": (
        "between",
        "column",
        "completeness",
        "expression",
        "freshness",
        "length",
        "not_null",
        "one_of",
        "pattern",
        "references",
        "rows",
        "unique",
    ),
    "specs": (
        "ColumnSpec",
        "ContractSpec",
    ),
    "types": (
        "Date",
        "Decimal",
        "Float32",
        "Int32",
        "LocalTimestamp",
        "UtcTimestamp",
    ),
    "yaml_schema": ("contract_schema",),
}

__getattr__, __dir__, __all__ = door(__name__, _FILES)
