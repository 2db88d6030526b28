"""The pipelines' door: what the user means. Runs nothing, reads no data."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headgate.pipelines.code_digests import CodeDigest, CodeDigests
    from headgate.pipelines.conditions import condition
    from headgate.pipelines.declarations import Declared, collect
    from headgate.pipelines.environment import installed
    from headgate.pipelines.fingerprints import fingerprint
    from headgate.pipelines.forms import SPELLINGS, Form, Now, Seed, incremental, table
    from headgate.pipelines.graph import Graph, Ready
    from headgate.pipelines.parameters import (
        Given,
        Parameter,
        Params,
        canonical,
        from_command_line,
        from_environment,
        from_file,
        settle,
    )
    from headgate.pipelines.places import Place
    from headgate.pipelines.rendering import as_dot, as_mermaid, as_svg, as_text
    from headgate.pipelines.source_steps import files, source
    from headgate.pipelines.sql_steps import analysed, sql_step
    from headgate.pipelines.step_sets import Pipeline, PipelineDeclaration, named, pipeline
    from headgate.pipelines.steps import (
        Declaration,
        Injected,
        Input,
        Mode,
        Query,
        SourceDeclaration,
        Step,
        step,
    )

_HOMES = {
    "code_digests": ("CodeDigest", "CodeDigests"),
    "conditions": ("condition",),
    "declarations": ("Declared", "collect"),
    "environment": ("installed",),
    "fingerprints": ("fingerprint",),
    "forms": ("SPELLINGS", "Form", "Now", "Seed", "incremental", "table"),
    "graph": ("Graph", "Ready"),
    "parameters": (
        "Given", "Parameter", "Params", "canonical", "from_command_line", "from_environment",
        "from_file", "settle",
    ),
    "places": ("Place",),
    "rendering": ("as_dot", "as_mermaid", "as_svg", "as_text"),
    "source_steps": ("files", "source"),
    "sql_steps": ("analysed", "sql_step"),
    "step_sets": ("Pipeline", "PipelineDeclaration", "named", "pipeline"),
    "steps": (
        "Declaration", "Injected", "Input", "Mode", "Query", "SourceDeclaration", "Step", "step",
    ),
}  # fmt: skip
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "SPELLINGS",
    "CodeDigest",
    "CodeDigests",
    "Declaration",
    "Declared",
    "Form",
    "Given",
    "Graph",
    "Injected",
    "Input",
    "Mode",
    "Now",
    "Parameter",
    "Params",
    "Pipeline",
    "PipelineDeclaration",
    "Place",
    "Query",
    "Ready",
    "Seed",
    "SourceDeclaration",
    "Step",
    "analysed",
    "as_dot",
    "as_mermaid",
    "as_svg",
    "as_text",
    "canonical",
    "collect",
    "condition",
    "files",
    "fingerprint",
    "from_command_line",
    "from_environment",
    "from_file",
    "incremental",
    "installed",
    "named",
    "pipeline",
    "settle",
    "source",
    "sql_step",
    "step",
    "table",
]


def __getattr__(name: str) -> object:
    if home := _HOME.get(name):
        return getattr(import_module(f"headgate.pipelines.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *_HOME]
