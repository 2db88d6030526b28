"""Parameters for a run: from the code, the file, the environment and the caller, in that order."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias, cast

from headgate.pipelines import (
    Given,
    Parameter,
    Pipeline,
    Step,
    from_command_line,
    from_environment,
    from_file,
    settle,
)

Settled: TypeAlias = Mapping[str, Mapping[str, object]]
Asked: TypeAlias = Mapping[str, object] | Sequence[str]
"""Values by name, or ``name=value`` texts."""

BY_HAND = "*"
"""Where a run's settled parameters hold what the caller gave: no step is called so."""


def settled(
    pipeline: Pipeline,
    steps: Iterable[Step],
    *,
    file: Mapping[str, object],
    environment: Mapping[str, str],
    asked: Asked = (),
    before: Mapping[str, object] | None = None,
) -> Settled:
    """Give each step of a pipeline its values.

    A value for a step of another pipeline is no mistake, and none is missed there. ``before`` holds
    what the caller gave when the run began; what no step declares any more is forgotten.

    Raises:
        Invalid: ``parameter-unknown``, ``parameter-missing``, ``parameter-type``,
            ``parameter-refused``, ``parameter-unreadable``.
    """
    running = {step.name for step in pipeline.steps}
    declared = {
        step.name: step.parameters if step.name in running else _optional(step.parameters)
        for step in (*steps, *pipeline.steps)
    }
    by_hand = _by_hand(asked)
    known = _names(declared)
    kept = {name: value for name, value in (before or {}).items() if name in known}
    given = (
        from_file(file),
        from_environment(environment),
        replace(by_hand, values={**kept, **by_hand.values}),
    )
    values = settle(declared, given)
    mine = {name: values[name] for name in running}
    return {**mine, BY_HAND: dict(given[-1].values)} if given[-1].values else mine


def given_before(settings: Mapping[str, object]) -> Mapping[str, object]:
    """Give what the caller gave when a run began, out of the run's stored settings."""
    parameters = settings.get("parameters")
    by_hand = parameters.get(BY_HAND) if isinstance(parameters, Mapping) else None
    return cast("Mapping[str, object]", by_hand) if isinstance(by_hand, Mapping) else {}


def _by_hand(asked: Asked) -> Given:
    if isinstance(asked, Mapping):
        return Given(origin="the command line", values=asked)
    return from_command_line(asked)


def _names(declared: Mapping[str, Sequence[Parameter]]) -> set[str]:
    plain = {one.name for parameters in declared.values() for one in parameters}
    return plain | {f"{step}.{one.name}" for step, ones in declared.items() for one in ones}


def _optional(parameters: Sequence[Parameter]) -> tuple[Parameter, ...]:
    return tuple(replace(parameter, default=None) for parameter in parameters)
