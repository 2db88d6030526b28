"""Telling sources what is published: what was kept outside for these rows may go."""

from collections.abc import Iterable
from contextlib import closing

from headgate.events import SourceNotAcknowledged
from headgate.lake import cursor_key
from headgate.pipelines import Step
from headgate.runs.attempt import Attempt
from headgate.runs.failures import step_failure
from headgate.runs.source_states import setting_of


def acknowledge(attempt: Attempt, steps: Iterable[Step]) -> None:
    """Tell the sources of a published attempt's steps how far they are published.

    The run is published whatever comes of it; what fails here is told, and heard by the source when
    it is read next.
    """
    wiring, row = attempt.wiring, attempt.row
    for step in steps:
        done = attempt.done.get(step.name)
        entry = done.changes.get(cursor_key(row.pipeline, step.name)) if done else None
        if step.source is None or step.function is not None or entry is None or entry.data is None:
            continue
        try:
            declared = step.source
            source = wiring.source(declared.kind, declared.options, setting_of(attempt, step))
            with closing(source):
                source.acknowledge(source.cursor(entry.data))
        except Exception as error:  # noqa: BLE001 - a stranger's source; the run is published
            known = step_failure(step.name, error, wiring.root)
            wiring.tell(
                SourceNotAcknowledged(
                    run=attempt.id,
                    at=wiring.clock.now(),
                    step=step.name,
                    code=known.code,
                    message=known.message,
                )
            )
