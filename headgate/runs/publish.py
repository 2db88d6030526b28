"""Publication: the merge of a run into its target, whole or not at all (docs/decisions/003).

No lock, ticket or database transaction is held while a check or a step runs, or while files are
written or synced. The last act is one SQL transaction, which alone decides.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Literal

import msgspec

from headgate.errors import Conflict, HeadgateError, Unavailable
from headgate.events import RunPublished
from headgate.lake import (
    Candidate,
    Commit,
    Delete,
    Entry,
    Outcome,
    Record,
    RunState,
    StepRecord,
    Tree,
    Upsert,
    Write,
    contract_key,
)
from headgate.runs import taint, turns
from headgate.runs.attempt import Attempt, event_row
from headgate.runs.loss import Loss
from headgate.runs.merging import (
    Merged,
    find_conflict,
    find_low,
    merge_onto,
    touched_keys,
)
from headgate.runs.results import Publication
from headgate.runs.standing_verdicts import standing_entries
from headgate.runs.verify import Verifier
from headgate.verdicts import Verdict

MOST_LOSSES = 20

Redo = Callable[[Commit, Loss], None]
"""Puts the attempt on a newer head, executing again what changed; or raises."""


def publish(attempt: Attempt, *, redo: Redo) -> Publication | None:
    """Publish an attempt's tree to its target; None where another run has made it all meanwhile.

    Raises:
        CheckFailed: a contract failed on what would be published; nothing is visible.
        Conflict: ``parked``, after many losses; ``run-taken-over``; or what ``redo`` raises.
        Refused: ``tainted``.
    """
    wiring, row = attempt.wiring, attempt.row
    verifier = Verifier(attempt)
    attempt.set_state(RunState.PUBLISHING)
    raced = False
    try:
        while True:
            if raced:
                turns.line_up(attempt)
            head = wiring.head(row.target)
            merged = merge_onto(attempt, head)
            if isinstance(merged, Loss):
                turns.leave(attempt)
                _lose(attempt, merged)
                redo(head, merged)
                if attempt.changes_nothing:
                    return None
                attempt.set_state(RunState.PUBLISHING)
                continue
            protected = wiring.lake.branch(row.target).protected
            changes = {
                key: taint.passed_on(entry, row.id, attempt.taints) if entry else None
                for key, entry in merged.changes.items()
            }
            if protected and (tainted := taint.foreign(wiring.lake, changes, row.id)):
                raise taint.refuse(tainted, row.target)
            tree = wiring.lake.tree(head).with_changes(changes)
            if attempt.is_judged and verifier.wants(tree, changes):
                turns.leave(attempt)
                keys = touched_keys(attempt).union(verifier.footprint)
                if turns.await_turn(attempt, verifier.footprint) or _meets(attempt, head, keys):
                    continue  # what would be judged is not what would be published any more
            verdicts = verifier.judge(tree, changes, head=head) if attempt.is_judged else ()
            _sync(attempt, changes)
            commit = _try(attempt, merged, changes, verdicts, verifier)
            if commit is not None:
                tables = _changed(wiring.lake.tree(head), changes)
                return Publication(commit=commit, verdicts=verdicts, tables=tables)
            raced = True
    finally:
        if attempt.row.state is not RunState.PUBLISHED:
            turns.drop_all(attempt)


def _try(
    attempt: Attempt,
    merged: Merged,
    changes: Mapping[str, Entry | None],
    verdicts: tuple[Verdict, ...],
    verifier: Verifier,
) -> Commit | None:
    """Try the last act until nobody is in the way; None: the head moved in a way that matters."""
    wiring, row = attempt.wiring, attempt.row
    keys = sorted(touched_keys(attempt).union(verifier.footprint))
    while True:
        if turns.enter(attempt, keys):
            outcome = _last_act(attempt, merged, changes, verdicts, verifier, keys)
            if isinstance(outcome, Commit):
                return outcome
            with suppress(Unavailable):  # it ends by itself
                wiring.lake.metastore.turns.drop_ticket(row.target, run=row.id)
            if outcome is None:
                return None
            turns.line_up(attempt)
        elif wiring.head(row.target).id != merged.head.id and _meets(attempt, merged.head, keys):
            return None


def _last_act(
    attempt: Attempt,
    merged: Merged,
    changes: Mapping[str, Entry | None],
    verdicts: tuple[Verdict, ...],
    verifier: Verifier,
    keys: Sequence[str],
) -> Commit | Literal[Outcome.HEAD_MOVED] | None:
    """Publish on the head as it is now, in one transaction; HEAD_MOVED where another came first."""
    wiring, row = attempt.wiring, attempt.row
    lake = wiring.lake
    head = wiring.head(row.target)
    window = lake.window(head, since=attempt.base.number)
    if head.id != merged.head.id and (
        _meets(attempt, merged.head, keys)
        or find_conflict(attempt, window)
        or (attempt.is_judged and verifier.wants(lake.tree(head).with_changes(changes), changes))
    ):
        return None
    now = wiring.clock.now()
    if any(v.valid_until is not None and v.valid_until < now for v in verdicts):
        return None
    record = Record(
        kind=attempt.kind,
        at=now,
        run=row.id,
        pipeline=row.pipeline,
        message=attempt.message,
        isolation=attempt.isolation,
        base=attempt.base.id,
        base_number=attempt.base.number,
        low=find_low(attempt, window),
        fence=row.fence,
        attempts=attempt.losses + 1,
        steps=_published(merged.steps, changes),
        verdicts=verdicts,
        reverts=attempt.reverts,
    )
    standing = standing_entries(verdicts, head.number + 1, _uncontracted(changes))
    candidate = lake.compose(head, {**changes, **standing}, record)
    told = RunPublished(
        run=row.id,
        at=now,
        target=row.target,
        commit=candidate.commit.id,
        tables=_changed(lake.tree(head), changes),
        wall_s=wiring.clock.monotonic_s() - attempt.began_s,
    )
    outcome = commit_once(attempt, head, candidate, told)
    if outcome is Outcome.NOT_MINE:
        raise attempt.taken_over()
    if outcome is Outcome.HEAD_MOVED:
        return Outcome.HEAD_MOVED
    attempt.published(candidate.commit)
    wiring.tell(told)
    return candidate.commit


def commit_once(
    attempt: Attempt, head: Commit, candidate: Candidate, told: RunPublished
) -> Outcome:
    """Do the one transaction. Where its answer is lost, look the run up: that decides."""
    metastore = attempt.wiring.lake.metastore
    try:
        return metastore.publish(
            attempt.row.target,
            head=head.id,
            commit=candidate.commit,
            nodes=candidate.nodes,
            run=attempt.id,
            fence=attempt.row.fence,
            events=[event_row(told)],
        )
    except Exception as error:
        if not _took_place(attempt, head, candidate.commit, error):
            raise
        return Outcome.DONE


def _took_place(attempt: Attempt, head: Commit, commit: Commit, error: Exception) -> bool:
    """Look a publication up whose transaction raised; where nobody answers, the error says so."""
    try:
        row = attempt.wiring.lake.metastore.run(attempt.id)
    except Unavailable:
        if isinstance(error, HeadgateError) and error.code == "commit-unknown":
            error.readers = (
                f"Readers of {attempt.row.target} see {head.id[:6]} still, "
                f"or {commit.id[:6]} if it was published all the same."
            )
        return False
    return row is not None and row.commit == commit.id


def _meets(attempt: Attempt, since: Commit, keys: Iterable[str]) -> bool:
    """Whether a commit after ``since`` wrote or read in these keys."""
    head = attempt.wiring.head(attempt.row.target)
    mine = set(keys)
    records = [c.record for c in attempt.wiring.lake.window(head, since=since.number)]
    return any(read.key in mine for record in records for read in record.reads) or any(
        write.key in mine for record in records for write in record.writes
    )


def _changed(before: Tree, changes: Mapping[str, Entry | None]) -> tuple[str, ...]:
    """Give the tables that hold something else than before; equal content written anew is none."""
    keys = sorted(key for key in changes if key.startswith("table/"))
    there = before.get_many(keys)

    def differs(key: str) -> bool:
        was, now = there.get(key), changes[key]
        return (was and was.content) != (now and now.content)

    return tuple(key.removeprefix("table/") for key in keys if differs(key))


def _uncontracted(changes: Mapping[str, Entry | None]) -> list[str]:
    """Give the tables whose contract goes."""
    return [
        key.removeprefix(contract_key(""))
        for key, entry in changes.items()
        if entry is None and key.startswith(contract_key(""))
    ]


def _published(
    steps: Sequence[StepRecord], changes: Mapping[str, Entry | None]
) -> tuple[StepRecord, ...]:
    """Give the steps' records with what each key's last write became."""
    last = {write.key: step.step for step in steps for write in step.writes}

    def final(step: StepRecord, write: Write) -> Write:
        entry = changes.get(write.key)
        if last[write.key] != step.step or write.key not in changes:
            return write
        return msgspec.structs.replace(write, content=entry.content if entry else None)

    return tuple(
        msgspec.structs.replace(step, writes=tuple(final(step, write) for write in step.writes))
        for step in steps
    )


def _sync(attempt: Attempt, changes: Mapping[str, Entry | None]) -> None:
    """Put every newly reachable file on disk, and its directories."""
    lake = attempt.wiring.lake
    reachable = [
        path
        for key, entry in changes.items()
        if entry is not None and entry.table is not None
        for path in lake.tables.new_paths(entry, attempt.base_tree.get(key))
    ]
    staged = [
        file.path
        for step in attempt.done.values()
        for write in step.record.writes
        for operation in write.operations
        if isinstance(operation, Upsert | Delete)
        for file in operation.files
    ]
    lake.storage.sync((*reachable, *staged), by=attempt.wiring.sync)


def _lose(attempt: Attempt, loss: Loss) -> None:
    """Count a loss; reserve what it was lost on after the second; park after many."""
    attempt.losses += 1
    if attempt.losses >= MOST_LOSSES:
        raise Conflict(
            "parked",
            f"Run {attempt.id} lost {attempt.losses} times to other publications, "
            f"the last time because {loss.because}.",
            readers=f"Readers of {attempt.row.target} see what the others published.",
            hint=f"When it is quieter: headgate resume {attempt.id}",
            run=attempt.id,
            keys=list(loss.keys),
        )
    if attempt.losses >= 2:  # noqa: PLR2004 - SEMANTICS G6: after two losses
        turns.reserve(attempt, loss.keys)
