"""Pipelines: named sets of steps that run, and are published, together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from headgate.names import step_name
from headgate.pipelines import places
from headgate.pipelines.places import Place
from headgate.pipelines.steps import Step

Isolation: TypeAlias = Literal["serializable", "snapshot-isolation", "fresh"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """A named set of steps, and how its runs are kept apart from others (SEMANTICS G3)."""

    name: str
    steps: tuple[Step, ...]
    isolation: Isolation = "serializable"

    def __post_init__(self) -> None:
        step_name(self.name)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PipelineDeclaration:
    """A pipeline as the user wrote it. Without steps it holds all steps of its module."""

    place: Place
    module: str
    name: str | None = None
    steps: tuple[object, ...] | None = None
    isolation: Isolation = "serializable"


def pipeline(
    *steps: object, name: str | None = None, isolation: Isolation = "serializable"
) -> PipelineDeclaration:
    """Declare which steps run together: ``flights_2013 = hg.pipeline(flights, delays)``.

    Args:
        steps: the declared things themselves, or their names; none for all of the module.
        name: the pipeline's name, where it is not the module attribute's.
        isolation: how its runs are kept apart from others that publish meanwhile.

    Raises:
        Invalid: ``bad-step-name``.
    """
    if name is not None:
        step_name(name)
    frame = places.caller()
    declaration = PipelineDeclaration(
        place=places.of_frame(frame),
        module=str(frame.f_globals.get("__name__", "")),
        name=name,
        steps=tuple(steps) or None,
        isolation=isolation,
    )
    places.note(frame, declaration)
    return declaration


def named(name: str, steps: Sequence[Step], isolation: Isolation = "serializable") -> Pipeline:
    """Give a pipeline of steps that are at hand."""
    return Pipeline(name=name, steps=tuple(steps), isolation=isolation)
