"""Pipelines: named sets of steps that run, and are published, together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from headgate.errors import Invalid
from headgate.lake import Isolation
from headgate.names import step_name
from headgate.pipelines import places
from headgate.pipelines.places import Place
from headgate.pipelines.steps import Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """A named set of steps, and how its runs are kept apart from others that publish meanwhile."""

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
    isolation: Isolation | None = None


def pipeline(
    *steps: object, name: str | None = None, isolation: Isolation | None = None
) -> PipelineDeclaration:
    """Declare which steps run together: ``flights_2013 = hg.pipeline(flights, delays)``.

    Args:
        steps: the declared things themselves, or their names; none for all of the module.
        name: the pipeline's name, where it is not the module attribute's.
        isolation: how its runs are kept apart from others that publish meanwhile; the project's
            setting where it is left out.

    Raises:
        Invalid: ``bad-step-name``, ``unknown-isolation``.
    """
    if name is not None:
        step_name(name)
    if isolation is not None and isolation not in get_args(Isolation):
        raise Invalid(
            "unknown-isolation",
            f"{isolation!r} is no level of isolation.",
            hint=f"Use one of {', '.join(get_args(Isolation))}.",
            isolation=isolation,
        )
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
