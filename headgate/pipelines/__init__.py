"""The pipelines' door: what the user means. Runs nothing, reads no data."""

from typing import TYPE_CHECKING

from headgate.doors import door

if TYPE_CHECKING:
    from headgate.pipelines.airbyte_steps import airbyte as airbyte
    from headgate.pipelines.changes_steps import changes as changes
    from headgate.pipelines.code_digests import CodeDigest as CodeDigest
    from headgate.pipelines.code_digests import CodeDigests as CodeDigests
    from headgate.pipelines.conditions import assignment as assignment
    from headgate.pipelines.conditions import condition as condition
    from headgate.pipelines.conditions import named_in as named_in
    from headgate.pipelines.conditions import without_literals as without_literals
    from headgate.pipelines.database_steps import database as database
    from headgate.pipelines.declarations import Declared as Declared
    from headgate.pipelines.declarations import collect as collect
    from headgate.pipelines.declared_steps import Declaration as Declaration
    from headgate.pipelines.declared_steps import Mode as Mode
    from headgate.pipelines.declared_steps import SourceDeclaration as SourceDeclaration
    from headgate.pipelines.dlt_steps import dlt as dlt
    from headgate.pipelines.environment import installed as installed
    from headgate.pipelines.file_steps import files as files
    from headgate.pipelines.fingerprints import fingerprint as fingerprint
    from headgate.pipelines.forms import SPELLINGS as SPELLINGS
    from headgate.pipelines.forms import Form as Form
    from headgate.pipelines.forms import Now as Now
    from headgate.pipelines.forms import Seed as Seed
    from headgate.pipelines.forms import incremental as incremental
    from headgate.pipelines.forms import table as table
    from headgate.pipelines.function_steps import step as step
    from headgate.pipelines.generator_steps import source as source
    from headgate.pipelines.graph import Graph as Graph
    from headgate.pipelines.graph import Ready as Ready
    from headgate.pipelines.parameters import Given as Given
    from headgate.pipelines.parameters import Parameter as Parameter
    from headgate.pipelines.parameters import Params as Params
    from headgate.pipelines.parameters import canonical as canonical
    from headgate.pipelines.parameters import from_command_line as from_command_line
    from headgate.pipelines.parameters import from_environment as from_environment
    from headgate.pipelines.parameters import from_file as from_file
    from headgate.pipelines.parameters import settle as settle
    from headgate.pipelines.places import Place as Place
    from headgate.pipelines.rendering import as_dot as as_dot
    from headgate.pipelines.rendering import as_mermaid as as_mermaid
    from headgate.pipelines.rendering import as_svg as as_svg
    from headgate.pipelines.rendering import as_text as as_text
    from headgate.pipelines.rest_steps import pages as pages
    from headgate.pipelines.rest_steps import rest as rest
    from headgate.pipelines.sink_steps import Changes as Changes
    from headgate.pipelines.sink_steps import DeclaredSink as DeclaredSink
    from headgate.pipelines.sink_steps import SinkDeclaration as SinkDeclaration
    from headgate.pipelines.sink_steps import SinkMode as SinkMode
    from headgate.pipelines.sink_steps import SinkTable as SinkTable
    from headgate.pipelines.sink_steps import sink as sink
    from headgate.pipelines.source_steps import STEP_OPTIONS as STEP_OPTIONS
    from headgate.pipelines.sql_steps import analysed as analysed
    from headgate.pipelines.sql_steps import sql_step as sql_step
    from headgate.pipelines.step_sets import Pipeline as Pipeline
    from headgate.pipelines.step_sets import PipelineDeclaration as PipelineDeclaration
    from headgate.pipelines.step_sets import named as named
    from headgate.pipelines.step_sets import pipeline as pipeline
    from headgate.pipelines.steps import Injected as Injected
    from headgate.pipelines.steps import Input as Input
    from headgate.pipelines.steps import Query as Query
    from headgate.pipelines.steps import Step as Step

_FILES = {
    "airbyte_steps": ("airbyte",),
    "code_digests": ("CodeDigest", "CodeDigests"),
    "conditions": ("assignment", "condition", "named_in", "without_literals"),
    "changes_steps": ("changes",),
    "database_steps": ("database",),
    "declarations": ("Declared", "collect"),
    "declared_steps": ("Declaration", "Mode", "SourceDeclaration"),
    "dlt_steps": ("dlt",),
    "environment": ("installed",),
    "file_steps": ("files",),
    "fingerprints": ("fingerprint",),
    "function_steps": ("step",),
    "forms": ("SPELLINGS", "Form", "Now", "Seed", "incremental", "table"),
    "generator_steps": ("source",),
    "graph": ("Graph", "Ready"),
    "parameters": (
        "Given", "Parameter", "Params", "canonical", "from_command_line", "from_environment",
        "from_file", "settle",
    ),
    "places": ("Place",),
    "rendering": ("as_dot", "as_mermaid", "as_svg", "as_text"),
    "rest_steps": ("pages", "rest"),
    "sink_steps": (
        "Changes", "DeclaredSink", "SinkDeclaration", "SinkMode", "SinkTable", "sink",
    ),
    "source_steps": ("STEP_OPTIONS",),
    "sql_steps": ("analysed", "sql_step"),
    "step_sets": ("Pipeline", "PipelineDeclaration", "named", "pipeline"),
    "steps": ("Injected", "Input", "Query", "Step"),
}  # fmt: skip

__getattr__, __dir__, __all__ = door(__name__, _FILES)
