"""The records' door: what nested records look like, and which columns they become. Pure.

Nothing here reads a row: shapes are found by an engine (or of single values), and what comes out
is SQL for the engine that has the records. Declaring rules loads no library.
"""

from typing import TYPE_CHECKING

from headgate.doors import door

if TYPE_CHECKING:
    from headgate.records.deciding import Conflict as Conflict
    from headgate.records.deciding import Level as Level
    from headgate.records.deciding import Questions as Questions
    from headgate.records.deciding import RecordPlan as RecordPlan
    from headgate.records.deciding import decide as decide
    from headgate.records.deciding import questions as questions
    from headgate.records.drafting import text_rule as text_rule
    from headgate.records.drift import differences as differences
    from headgate.records.drift import shown as shown
    from headgate.records.guarding import UNTAGGED_JSON as UNTAGGED_JSON
    from headgate.records.guarding import Guarded as Guarded
    from headgate.records.guarding import guarded as guarded
    from headgate.records.guarding import untagged as untagged
    from headgate.records.naming import are_fields as are_fields
    from headgate.records.naming import child_columns as child_columns
    from headgate.records.nesting import child_shape as child_shape
    from headgate.records.nesting import exploded as exploded
    from headgate.records.nesting import is_carried_whole as is_carried_whole
    from headgate.records.nesting import place_of as place_of
    from headgate.records.nesting import pruned as pruned
    from headgate.records.nesting import unfolded as unfolded
    from headgate.records.nodes import Carrier as Carrier
    from headgate.records.rules import OPTIONS as OPTIONS
    from headgate.records.rules import OnConflict as OnConflict
    from headgate.records.rules import RecordRules as RecordRules
    from headgate.records.rules import record_rules as record_rules
    from headgate.records.selecting import carried as carried
    from headgate.records.selecting import doubled_keys as doubled_keys
    from headgate.records.selecting import json_at as json_at
    from headgate.records.selecting import pointed as pointed
    from headgate.records.selecting import select as select
    from headgate.records.shapes import Shape as Shape
    from headgate.records.shapes import merged as merged
    from headgate.records.shapes import of_structure as of_structure
    from headgate.records.shapes import of_text as of_text
    from headgate.records.shapes import with_numbers_alike as with_numbers_alike
    from headgate.records.surveying import Survey as Survey
    from headgate.records.surveying import surveyed as surveyed

_FILES = {
    "deciding": (
        "Conflict",
        "Level",
        "Questions",
        "RecordPlan",
        "decide",
        "questions",
    ),
    "drafting": ("text_rule",),
    "drift": ("differences", "shown"),
    "guarding": (
        "Guarded",
        "UNTAGGED_JSON",
        "guarded",
        "untagged",
    ),
    "naming": ("are_fields", "child_columns"),
    "nesting": (
        "child_shape",
        "exploded",
        "is_carried_whole",
        "place_of",
        "pruned",
        "unfolded",
    ),
    "nodes": ("Carrier",),
    "rules": (
        "OPTIONS",
        "OnConflict",
        "RecordRules",
        "record_rules",
    ),
    "selecting": (
        "carried",
        "doubled_keys",
        "json_at",
        "pointed",
        "select",
    ),
    "shapes": (
        "Shape",
        "merged",
        "of_structure",
        "of_text",
        "with_numbers_alike",
    ),
    "surveying": ("Survey", "surveyed"),
}

__getattr__, __dir__, __all__ = door(__name__, _FILES)
