"""How a run begins, is taken up again, and ends when it does not publish.

Failure leaves the target untouched and the branch readable; the error says what readers see now and
the next command.
"""

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import msgspec

from headgate.errors import (
    Conflict,
    HeadgateError,
    Internal,
    Interrupted,
    NotFound,
    Refused,
)
from headgate.events import RunFailed
from headgate.lake import (
    Commit,
    Isolation,
    Kind,
    RunRow,
    RunState,
    StepRecord,
    StepState,
)
from headgate.names import suggestion
from headgate.runs.attempt import ERASED, Attempt, StepDone
from headgate.runs.failures import said, system_trouble
from headgate.runs.wiring import LEASE, Wiring

FINAL = frozenset(
    {
        RunState.PUBLISHED,
        RunState.ADOPTED,
        RunState.ABANDONED,
        RunState.NOTHING,
        RunState.DONE,
    }
)


class Begun(msgspec.Struct, frozen=True):
    """What a run's settings say of how it was begun."""

    kind: Kind = "run"
    isolation: Isolation = "serializable"
    message: str = ""


def begin(
    wiring: Wiring,
    *,
    pipeline: str,
    target: str,
    base: Commit,
    kind: Kind = "run",
    isolation: Isolation = "serializable",
    message: str = "",
    settings: Mapping[str, object] | None = None,
) -> Attempt:
    """Record a new run and fork its branch from ``base``, in one transaction."""
    run = wiring.ids.run_id()
    now = wiring.clock.now()
    row = RunRow(
        id=run,
        pipeline=pipeline,
        target=target,
        branch=f"run/{run}",
        state=RunState.RUNNING,
        fence=1,
        base=base.id,
        began=now,
        owner=wiring.owner,
        lease_until=now + LEASE,
        settings={**(settings or {}), "isolation": isolation, "kind": kind, "message": message},
    )
    wiring.lake.metastore.begin_run(row, fork_from=base.id)
    return Attempt(wiring, row, base=base, kind=kind, isolation=isolation, message=message)


def find_run(wiring: Wiring, id: str) -> RunRow:
    """Give the run with this id, or with the one id that begins so.

    Raises:
        NotFound: ``unknown-run``. Refused: ``ambiguous-run``.
    """
    metastore = wiring.lake.metastore
    prefix = id.removeprefix("run/")
    found = metastore.find_runs(prefix, 3) if prefix else ()
    row = metastore.run(found[0]) if len(found) == 1 else metastore.run(prefix)
    if row is not None:
        return row
    if found:
        raise Refused(
            "ambiguous-run",
            f"{id} is the beginning of several runs: {', '.join(found)}.",
            hint="Give more of the id.",
            runs=list(found),
        )
    close = suggestion(prefix, [run.id for run in metastore.runs(limit=100)])
    raise NotFound(
        "unknown-run",
        f"There is no run {id}.",
        hint=f"Did you mean {close}?" if close else "Look: headgate status",
        run=id,
    )


def is_resumable(row: RunRow) -> bool:
    """Whether a run is unfinished and has steps to run again: a hand-made transaction has none.

    What a rebuild executes is taken up with the rebuild.
    """
    kind, settings = row.settings.get("kind", "run"), row.settings
    executes = kind == "run" and "plays" not in settings
    return row.state not in FINAL and (executes or settings.get("policy") == "rebuild")


def _refuse_final(row: RunRow) -> None:
    if row.state in FINAL:
        raise Refused(
            "run-is-final",
            f"Run {row.id} is over: {row.state}.",
            hint="Start a new one: headgate run",
            run=row.id,
            state=str(row.state),
        )


def take_over(wiring: Wiring, id: str) -> RunRow:
    """Make an unfinished run this process's own: its fence counts up, its old owner stops.

    Raises:
        NotFound: ``unknown-run``. Refused: ``run-is-final``, ``run-is-alive``.
    """
    row = find_run(wiring, id)
    _refuse_final(row)
    if is_at_work(row, wiring.clock.now()):
        raise Refused(
            "run-is-alive",
            f"Run {row.id} is still going on, in {row.owner}.",
            hint="Wait for it: headgate status",
            run=row.id,
            owner=row.owner,
        )
    taken = wiring.lake.metastore.take_over(
        row.id, owner=wiring.owner, lease_until=wiring.clock.now() + LEASE
    )
    if taken is None:
        raise Refused("run-is-final", f"Run {row.id} is over.", hint="headgate run", run=row.id)
    return taken


def attempt_of(wiring: Wiring, row: RunRow) -> Attempt:
    """Give an unfinished run as an attempt on its old base; what it had done is ``prior``."""
    lake = wiring.lake
    head = wiring.head(row.branch)  # first: commits may say something else since an erasure
    base = lake.commit(row.base)
    settings = msgspec.convert(row.settings, Begun)
    attempt = Attempt(
        wiring,
        row,
        base=base,
        head=head,
        kind=settings.kind,
        isolation=settings.isolation,
        message=settings.message,
    )
    for commit in lake.window(head, since=base.number):
        parent = lake.commit(commit.parent) if commit.parent else base
        changes = {change.key: change.after for change in lake.tree(parent).diff(lake.tree(commit))}
        for record in commit.record.steps:
            attempt.done[record.step] = StepDone(record=record, changes=changes)
    for step in lake.metastore.steps(row.id):
        if step.state is StepState.DONE and step.step not in attempt.done:  # it has no table
            attempt.done[step.step] = StepDone(record=StepRecord(step=step.step), changes={})
    attempt.rebase(base)
    return attempt


@contextmanager
def ending(attempt: Attempt) -> Iterator[None]:
    """Keep the run alive while it works; where it does not publish, record how it ended and say so.

    Raises:
        Interrupted: for Ctrl-C. HeadgateError: what happened, with what readers see and what to do.
    """
    attempt.start_heartbeat()
    try:
        yield
    except (KeyboardInterrupt, SystemExit) as stop:
        interrupted = Interrupted(
            "interrupted", f"Run {attempt.id} was interrupted.", run=attempt.id
        )
        _fail(attempt, interrupted)
        if isinstance(stop, SystemExit):
            raise
        raise interrupted from stop
    except HeadgateError as error:
        attempt.wiring.redaction.error(error)
        if error.code in {"run-taken-over", ERASED}:
            raise
        if _was_erased(attempt):  # what it stumbled over is what is not there any more
            raise attempt.taken_over() from error
        _fail(attempt, error)
        raise
    except OSError as trouble:
        attempt.wiring.redaction.error(trouble)
        known = system_trouble(trouble)
        _fail(attempt, known)
        raise known from trouble
    except Exception as error:
        bug = attempt.wiring.redaction.error(error)
        told = Internal("unexpected", f"{type(bug).__name__}: {said(bug)}")
        _fail(attempt, told)
        bug.add_note("\n".join(part for part in (told.readers, told.hint) if part))
        if bug is not error:
            raise bug from bug.__cause__
        raise
    finally:
        attempt.stop_heartbeat()


def _was_erased(attempt: Attempt) -> bool:
    try:
        row = attempt.wiring.lake.metastore.run(attempt.id)
    except HeadgateError:  # what is wrong with the metastore is told already
        return False
    mine = row is not None and row.fence == attempt.row.fence
    return row is not None and not mine and (row.reason or {}).get("code") == ERASED


def _fail(attempt: Attempt, error: HeadgateError) -> None:
    """Record that a run did not publish, and complete the error that says why."""
    row = attempt.row
    error.hint = _next_step(attempt, error)
    error.facts = {"run": row.id, "branch": row.branch, **error.facts}
    try:
        if not _was_published(attempt, error):
            _record_failure(attempt, error)
    except Conflict:
        return  # somebody else has the run now, and its state is theirs to set
    except HeadgateError as trouble:  # a full disk refuses this, too; the run can be taken up
        error.readers = error.readers or f"Not published: {row.target} is as it was."
        if trouble.code != error.code:
            error.message += f"\nThat could not be recorded: {trouble.message}"


def _was_published(attempt: Attempt, error: HeadgateError) -> bool:
    """Whether the run published before it was stopped; then the error says so."""
    row = attempt.wiring.lake.metastore.run(attempt.id)
    if row is None or row.state is not RunState.PUBLISHED or row.commit is None:
        return False
    attempt.row = row
    error.readers = f"Published all the same. Readers of {row.target} see {row.commit[:6]}."
    error.hint = f"Look:    headgate show run/{row.id[:6]}"
    return True


def _record_failure(attempt: Attempt, error: HeadgateError) -> None:
    wiring, row = attempt.wiring, attempt.row
    state = RunState.PARKED if error.code == "parked" else RunState.FAILED
    head = wiring.head(row.target)
    error.readers = (
        error.readers or f"Not published. Readers of {row.target} still see {head.id[:6]}."
    )
    told = RunFailed(
        run=row.id,
        at=wiring.clock.now(),
        state=str(state),
        code=error.code,
        message=error.message,
    )
    attempt.set_state(state, reason={"code": error.code, "message": error.message}, events=[told])
    wiring.tell(told)


def _next_step(attempt: Attempt, error: HeadgateError) -> str:
    """Say what to do next; only what has steps to run again can be resumed."""
    row = attempt.row
    look = f"Look:    headgate diff {row.target} run/{row.id[:6]}"
    if attempt.kind == "adopt" or not is_resumable(row):
        return error.hint or look
    resume = f"headgate resume {row.id[:6]}"
    if isinstance(error, Interrupted):
        return f"To go on:  {resume}"
    if error.hint:
        return f"{error.hint}\nThen:    {resume}"
    return f"{look}\nMend, then:  {resume}"


def owner_name() -> str:
    """Name this process to others: host, process id and start (ids are used again)."""
    return f"{socket.gethostname()}:{os.getpid()}:{_started(os.getpid())}"


def is_at_work(row: RunRow, now: datetime) -> bool:
    """Whether somebody works on a run: its process lives, and has given signs of it."""
    working = row.state in {RunState.RUNNING, RunState.PUBLISHING}
    return working and row.lease_until > now and is_alive(row.owner)


def is_alive(owner: str) -> bool:
    """Whether an owner may still be at work. Of another host nothing is known, so it may."""
    host, _, rest = owner.partition(":")
    pid, _, started = rest.partition(":")
    if host != socket.gethostname() or not pid.isdigit():
        return True
    return _started(int(pid)) == started


def _started(pid: int) -> str:
    """Give a process's start in clock ticks since boot; empty where there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        return stat.rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
