"""One attempt at a run: its branch, the tree so far, and what each step did.

The attempt is the only one who moves the run's branch. Each step's output is a commit on it (the
checkpoint), made together with the step's state and events in one transaction, and only while the
run's fence is mine: whoever takes the run over counts the fence up, and the old owner stops here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from threading import Event as Flag
from threading import Thread
from typing import TYPE_CHECKING

import msgspec

from headgate.errors import Conflict, HeadgateError, Unavailable
from headgate.events import Event
from headgate.lake import (
    Commit,
    Entry,
    EventRow,
    Isolation,
    Kind,
    Outcome,
    Pin,
    Record,
    RunRow,
    RunState,
    StepRecord,
    StepRow,
    Tree,
)
from headgate.runs.wiring import LEASE, Wiring

if TYPE_CHECKING:
    from headgate.contracts import Measure


ERASED = "erased-meanwhile"
"""Why a run lost its fence to an erasure: what it had read is not there any more."""


_OVER = frozenset({RunState.PUBLISHED, RunState.ABANDONED, RunState.ADOPTED})


def event_row(event: Event, step: str | None = None) -> EventRow:
    """Give the stored form of an event."""
    return EventRow(run=event.run, step=step, kind=event.kind, at=event.at, body=event.body())


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDone:
    """What a step did: its record, the entries it set (None: removed), what there is to tell.

    ``settled``: it was skipped, and nothing had to be done for it.
    """

    record: StepRecord
    changes: Mapping[str, Entry | None]
    events: tuple[Event, ...] = ()
    settled: bool = False


class Attempt:
    """A run between two publications of others: based on one commit of its target.

    ``done`` holds what each finished step did; ``tree`` is the run's
    own view: its base plus its own writes. ``prior`` holds what an earlier attempt did, to be kept
    where nothing it depends on has changed. An ``exclusive`` attempt publishes only while nobody
    has touched a key it read or wrote. One that is not ``is_judged`` publishes to a branch whose
    owner is judged later; ``taints`` are the runs that own it.
    """

    def __init__(
        self,
        wiring: Wiring,
        row: RunRow,
        *,
        base: Commit,
        kind: Kind = "run",
        isolation: Isolation = "serializable",
        head: Commit | None = None,
        message: str = "",
    ) -> None:
        self.wiring = wiring
        self.row = row
        self.base = base
        self.kind: Kind = kind
        self.isolation: Isolation = isolation
        self.message = message
        self.head = head or base
        self.tree: Tree = wiring.lake.tree(self.head)
        self.base_tree: Tree = wiring.lake.tree(base)
        self.previous_base: Tree | None = None
        self.done: dict[str, StepDone] = {}
        self.prior: dict[str, StepDone] = {}
        self.in_effect: frozenset[str] = frozenset()
        self.reverts: tuple[str, ...] = ()
        self.exclusive = False
        self.is_judged = True
        self.taints: tuple[str, ...] = ()
        self.take_over = msgspec.convert(row.settings.get("take_over", []), frozenset[str])
        self.asked: datetime | None = None
        self.reserved: set[str] = set()
        self._measured: dict[tuple[str, tuple[tuple[str, str], ...]], Mapping[str, Measure]] = {}
        self.began_s = wiring.clock.monotonic_s()
        self.losses = 0
        self.began_attempt_s = wiring.clock.monotonic_s()
        self._stop = Flag()
        self._lost = Flag()

    @property
    def id(self) -> str:
        """The run's id."""
        return self.row.id

    @property
    def changes_nothing(self) -> bool:
        """Whether every finished step has no table, or was skipped with nothing to do."""
        return all(step.settled or not step.changes for step in self.done.values())

    def note_measures(
        self,
        table: str,
        content: str,
        parents: Mapping[str, str],
        measures: "Mapping[str, Measure]",
    ) -> None:
        """Remember what was counted while a table's rows were written, for these contents."""
        contents = {**parents, f"table/{table}": content}
        self._measured[table, tuple(sorted(contents.items()))] = measures

    def measured(self, table: str, contents: Mapping[str, str]) -> "Mapping[str, Measure]":
        """Give what is known of a table with these contents of all that its contract reads."""
        return self._measured.get((table, tuple(sorted(contents.items()))), {})

    def wrote(self, key: str) -> bool:
        """Whether a finished step of this attempt has changed the key."""
        return any(key in step.changes for step in self.done.values())

    def arrange(self, order: Iterable[str]) -> None:
        """Put what the steps did in the pipeline's order, whichever thread was the faster."""
        self.done = {step: self.done[step] for step in order if step in self.done}

    # -- signs of life

    def start_heartbeat(self) -> None:
        """Renew the lease in the background until the attempt ends."""
        Thread(target=self._beat, name=f"heartbeat-{self.id}", daemon=True).start()

    def stop_heartbeat(self) -> None:
        """Stop renewing the lease."""
        self._stop.set()

    def is_over(self) -> bool:
        """Whether whoever began the run has ended it, or lost it: work that goes on is in vain."""
        return self._stop.is_set() or self._lost.is_set()

    def _beat(self) -> None:
        while not self._stop.wait(LEASE.total_seconds() / 3):
            try:
                alive = self.wiring.lake.metastore.heartbeat(
                    self.id, fence=self.row.fence, lease_until=self.wiring.clock.now() + LEASE
                )
            except HeadgateError:  # locked, a full disk, a server away: the next may come through
                continue
            if not alive:
                self._lost.set()
                return

    # -- the run's branch

    def checkpoint(
        self,
        finished: Sequence[StepDone],
        steps: Iterable[StepRow] = (),
        events: Iterable[EventRow] = (),
    ) -> None:
        """Commit finished steps to the run's branch, one commit each, with their states and events.

        A step that changed no key makes no commit, only its state.

        Raises:
            Conflict: ``run-taken-over``.
        """
        states = {row.step: row for row in steps}
        loose_events = list(events)
        loose = []
        for step in finished:
            rows = [event_row(event, step.record.step) for event in step.events]
            state = states.pop(step.record.step, None)
            if step.changes:
                commit = self._advance(step, state, [*loose_events, *rows])
                loose_events = []
                record = msgspec.structs.replace(step.record, commit=commit.id)
                step = replace(step, record=record)  # noqa: PLW2901 - the step as committed
            else:
                loose_events += rows
                loose += [state] if state else []
            self.done[step.record.step] = step
        loose += states.values()
        if loose or loose_events:
            metastore = self.wiring.lake.metastore
            if not metastore.record(
                self.id, fence=self.row.fence, steps=loose, events=loose_events
            ):
                raise self.taken_over()

    def _advance(
        self,
        step: StepDone,
        state: StepRow | None,
        events: Sequence[EventRow],
    ) -> Commit:
        lake = self.wiring.lake
        candidate = lake.compose(
            self.head,
            step.changes,
            Record(
                kind="checkpoint",
                at=self.wiring.clock.now(),
                run=self.id,
                pipeline=self.row.pipeline,
                message=step.record.step,
                base=self.base.id,
                base_number=self.base.number,
                fence=self.row.fence,
                steps=(step.record,),
            ),
        )
        commit = candidate.commit
        outcome = lake.metastore.advance(
            self.row.branch,
            head=self.head.id,
            commit=commit,
            nodes=candidate.nodes,
            run=self.id,
            fence=self.row.fence,
            steps=[replace(state, commit=commit.id)] if state else [],
            events=events,
        )
        if outcome is not Outcome.DONE:
            raise self.taken_over()
        self.head = commit
        self.tree = candidate.tree
        return commit

    def rebase(self, onto: Commit) -> None:
        """Begin again on a newer commit of the target; what the steps did becomes ``prior``.

        Raises:
            Conflict: ``run-taken-over``.
        """
        metastore = self.wiring.lake.metastore
        outcome = metastore.rebase_run(
            self.id, fence=self.row.fence, head=self.head.id, base=onto.id
        )
        if outcome is not Outcome.DONE:
            raise self.taken_over()
        self.prior = {**self.prior, **self.done}
        self.done = {}
        self.previous_base = self.base_tree
        self.base = self.head = onto
        self.tree = self.base_tree = self.wiring.lake.tree(onto)
        self.began_attempt_s = self.wiring.clock.monotonic_s()

    def pin(self, commit: Commit, *, why: str) -> bool:
        """Hold what a commit has, its operations' files too, for as long as this run is at work.

        False where it was swept away: what is to be reused of it must be computed again.
        """
        pin = Pin(
            id=f"{self.id}/{commit.id}",
            kind="run",
            holder=self.id,
            commit=commit.id,
            since=commit.number - 1,
            created=self.wiring.clock.now(),
            why=why,
        )
        return self.wiring.lake.metastore.retention.pin(pin)

    def set_state(
        self,
        state: RunState,
        *,
        reason: Mapping[str, object] | None = None,
        events: Sequence[Event] = (),
    ) -> None:
        """Move the run to another state.

        Raises:
            Conflict: ``run-taken-over``.
        """
        done = self.wiring.lake.metastore.set_run(
            self.id,
            fence=self.row.fence,
            state=state,
            reason=reason,
            events=[event_row(event) for event in events],
        )
        if not done:
            raise self.taken_over()
        self.row = replace(self.row, state=state, reason=reason)

    def published(self, commit: Commit) -> None:
        """Note that the run is published; the metastore knows it since the publication."""
        self.row = replace(self.row, state=RunState.PUBLISHED, commit=commit.id)

    def taken_over(self) -> Conflict | Unavailable:
        """Give the error of an owner who has lost the run; or whose server has lost its last steps.

        What a run does before its publication survives the end of any process of ours, not that of
        a database server that crashes.
        """
        now = self.wiring.lake.metastore.run(self.id)
        mine = now is not None and now.owner == self.row.owner and now.fence == self.row.fence
        if now is None or (mine and now.state not in _OVER):
            return Unavailable(
                "metastore-went-back",
                f"The metastore does not know the last steps of run {self.id} any more: its server "
                "ended without writing them down.",
                readers=f"Not published. Readers of {self.row.target} see what they saw.",
                hint="Look why it ended: a power cut, a crash, a kill -9.",
                run=self.id,
            )
        if (now.reason or {}).get("code") == ERASED:
            return Conflict(
                "erased-meanwhile",
                f"Rows were erased from the lake's history while run {self.id} was at work.",
                readers=f"Readers of {self.row.target} see nothing of the run.",
                hint="Do it again, on what is left.",
                run=self.id,
            )
        return Conflict(
            "run-taken-over",
            f"Run {self.id} was taken over by {now.owner if now else 'somebody'}; "
            "this process stopped.",
            readers=f"Readers of {self.row.target} see what the new owner publishes.",
            hint=f"Look: headgate show run/{self.id}",
            run=self.id,
        )
