"""What stands for the metastore's values in a row, and back."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from headgate.lake.database import Parameter, Row
from headgate.lake.instants import instant, stored
from headgate.lake.metastore import (
    Backup,
    Branch,
    EventRow,
    RunRow,
    RunState,
    StepRow,
    StepState,
    Tag,
)


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    message = f"{type(value).__name__} is no JSON"
    raise TypeError(message)


_encode_json = msgspec.json.Encoder(enc_hook=_plain).encode


def json_text(value: object) -> str | None:
    """Give a value as JSON text; None stays None."""
    return None if value is None else _encode_json(value).decode()


def mapping_of(text: str | None) -> dict[str, Any] | None:
    """Read a JSON object back; None stays None."""
    return None if text is None else msgspec.json.decode(text, type=dict[str, Any])


def branch_of(row: Row) -> Branch:
    """Read a branch back."""
    name, head, number, protected, created = row
    return Branch(
        name=name,
        head=head,
        number=number,
        protected=bool(protected),
        created=instant(created),
    )


def backup_of(row: Row) -> Backup:
    """Read a backup back."""
    name, created, expires, location, commits = row
    return Backup(
        name=name,
        created=instant(created),
        expires=None if expires is None else instant(expires),
        location=location,
        commits=tuple(msgspec.json.decode(commits)),
    )


def tag_of(row: Row) -> Tag:
    """Read a tag back."""
    name, commit, created = row
    return Tag(name=name, commit=commit, created=instant(created))


def run_of(row: Row) -> RunRow:
    """Read a run back."""
    return RunRow(
        id=row[0],
        pipeline=row[1],
        target=row[2],
        branch=row[3],
        state=RunState(row[4]),
        fence=row[5],
        base=row[6],
        began=instant(row[7]),
        owner=row[8],
        lease_until=instant(row[9]),
        commit=row[10],
        reason=mapping_of(row[11]),
        settings=mapping_of(row[12]) or {},
    )


def step_of(row: Row) -> StepRow:
    """Read a step's state back."""
    run, step, state, attempt, commit, reason, started, ended = row
    return StepRow(
        run=run,
        step=step,
        state=StepState(state),
        attempt=attempt,
        commit=commit,
        reason=mapping_of(reason),
        started=None if started is None else instant(started),
        ended=None if ended is None else instant(ended),
    )


def event_of(row: Row) -> EventRow:
    """Read an event back."""
    number, run, step, kind, at, body = row
    return EventRow(
        run=run,
        step=step,
        kind=kind,
        at=instant(at),
        body=mapping_of(body) or {},
        number=number,
    )


def step_row(step: StepRow) -> Sequence[Parameter]:
    """Give what is stored of a step's state."""
    return (
        step.run,
        step.step,
        step.state.value,
        step.attempt,
        step.commit,
        json_text(step.reason),
        None if step.started is None else stored(step.started),
        None if step.ended is None else stored(step.ended),
    )


def event_row(event: EventRow) -> Sequence[Parameter]:
    """Give what is stored of an event; the database numbers it."""
    return (event.run, event.step, event.kind, stored(event.at), json_text(event.body))
