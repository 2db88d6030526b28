"""Fingerprints: one digest of all that a step's output depends on. Equal fingerprint, equal output.

Made of the code's digest, the step's own settings, the values of the parameters, instant and seed
it really uses, its contract, the declared environment and the contents of its inputs.
"""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime

from headgate.digests import digest_json
from headgate.pipelines.parameters import canonical
from headgate.pipelines.steps import Step

_FORMAT = 1


def fingerprint(
    step: Step,
    code_digest: str,
    *,
    parameters: Mapping[str, object] | None = None,
    contract_digest: str | None = None,
    environment: Mapping[str, str] | None = None,
    inputs: Mapping[str, str | None] | None = None,
    clock: datetime | None = None,
    seed: int | None = None,
) -> str:
    """Give the digest of everything a step's output depends on.

    What the step does not use may be passed and does not count: other steps' parameters, the clock
    and the seed.

    Args:
        step: the step.
        code_digest: ``CodeDigests.of(step).digest``.
        parameters: the step's settled parameters.
        contract_digest: of the contract its rows are judged by.
        environment: names to versions: Python, the engine, the evaluator, packages reached.
        inputs: keys to content ids, None where absent: every table the step reads; a source's
            state; the target itself where the operation depends on it.
        clock: the run's instant.
        seed: the run's seed.
    """
    given = parameters or {}
    return digest_json(
        {
            "format": _FORMAT,
            "code": code_digest,
            "table": step.table,
            "mode": step.mode,
            "key": step.key,
            "partition_by": step.partition_by,
            "sort_by": step.sort_by,
            **({} if step.rules is None else {"rules": asdict(step.rules)}),
            "parameters": {
                one.name: canonical(given.get(one.name, one.default)) for one in step.parameters
            },
            "contract": contract_digest,
            "environment": dict(environment or {}),
            "contents": dict(inputs or {}),
            "clock": clock.isoformat() if step.uses_clock and clock is not None else None,
            "seed": seed if step.uses_seed else None,
        }
    )
