"""Collecting what nothing holds any more, beside everybody else's work.

An uncollected commit has all its nodes and files. What no root keeps is marked; what was marked for
as long as the grace is collected: first the metastore says so, in a transaction that reads the
roots once more, then files go, then nodes, then rows. Whoever is killed in between leaves what the
next collection finds again.
"""

from collections.abc import Callable
from dataclasses import replace

from headgate.errors import Conflict
from headgate.lake.lake import Lake
from headgate.lake.metastore import Outcome, RunState
from headgate.lake.reachability import Reachability
from headgate.lake.retention import CLOCKS_APART, Decision, RetentionPolicy
from headgate.lake.surveying import (
    ROWS_AT_ONCE,
    Needs,
    Survey,
    Surveyor,
    commit_rows,
    no_needs,
    pieces,
)
from headgate.lake.swept import Swept
from headgate.lake.tallies import GOING, KEPT, PARTS, WAITING, Tallies

_LOCKED_AT_ONCE = 200
_FILES_AT_ONCE = 500
_TRIES = 5


class Collection:
    """One collection of one lake.

    Args:
        lake: the lake; to sweep, it must be the one that may delete (``Lake.refuse_stranger``).
        policy: how long what nobody holds is kept.
        needs: what entries need beyond their commit.
        progress: told what is being done.
    """

    def __init__(
        self,
        lake: Lake,
        policy: RetentionPolicy,
        *,
        needs: Needs = no_needs,
        progress: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._lake = lake
        self._store = lake.metastore
        self._retention = lake.metastore.retention
        self._policy = policy
        self._progress = progress
        self._now = lake.clock.now()
        self._before = self._now - policy.grace
        self._surveyor = Surveyor(
            lake=lake,
            policy=policy,
            needs=needs,
            now=self._now,
            before=self._before,
            progress=progress,
        )
        self._given_up: list[str] = []
        self._branches: dict[str, str] = {}

    def plan(self) -> Swept:
        """Say what would go now, and what waits. Changes nothing."""
        with Tallies() as tallies:
            return self._found(tallies, self._surveyor.survey(tallies))

    def sweep(self) -> Swept:
        """Mark what nothing holds; take away what has been marked for as long as the grace.

        Raises:
            Refused: ``not-the-owner``.
            Conflict: ``roots-moved``: others rooted what was to go, again and again.
            Corrupt: what is kept is damaged: nothing goes.
        """
        self._lake.refuse_stranger()
        for _ in range(_TRIES):
            with Tallies() as tallies:
                survey = self._surveyor.survey(tallies)
                self._end_runs(survey.decision)
                self._mark(tallies)
                if self._collect(tallies):
                    return self._delete(tallies, self._found(tallies, survey))
        raise Conflict(
            "roots-moved",
            "Commits that were to go got branches or tags again and again meanwhile.",
            readers="Nothing of them was deleted.",
            hint="Collect again:  headgate gc",
        )

    def _found(self, tallies: Tallies, survey: Survey) -> Swept:
        """Say what goes and what waits, as the survey found it."""
        decision = survey.decision
        going = [size for _, size in tallies.garbage(now=self._now, before=self._before)]
        waiting = [size for _, size in tallies.waiting_files(now=self._now, before=self._before)]
        first = tallies.first_waiting(now=self._now, before=self._before)
        return Swept(
            at=self._now,
            commits=len(tallies.at_level("commit", GOING)),
            operations=len(tallies.at_level("operations", GOING)),
            records=len(tallies.without_rows()),
            files=len(going),
            size_bytes=sum(going),
            waiting_commits=len(tallies.at_level("commit", WAITING)),
            waiting_files=len(waiting),
            waiting_bytes=sum(waiting),
            ready=None if first is None else first + self._policy.grace,
            branches={branch.name: reason for branch, reason in decision.branches},
            given_up=tuple(run.id for run in decision.given_up),
            lost=survey.lost,
            pins=decision.pins,
        )

    # -- sweeping

    def _end_runs(self, decision: Decision) -> None:
        """Give up runs that gave no sign of life, by their fence; delete the branches of all."""
        alive: set[str] = set()
        for run in decision.given_up:
            ended = self._store.set_run(run.id, fence=run.fence, state=RunState.ABANDONED)
            if ended:
                self._given_up.append(run.id)
            else:
                alive.add(run.branch)
        for branch, reason in decision.branches:
            if branch.name in alive:
                continue
            outcome = self._store.delete_branch(branch.name, head=branch.head)
            if outcome is Outcome.DONE:
                self._branches[branch.name] = reason

    def _mark(self, tallies: Tallies) -> None:
        """Mark what waits, and take marks from what is kept."""
        self._progress("marking")
        retention = self._retention
        for kind in PARTS:
            for ids in pieces(tallies.at_level(kind, WAITING), ROWS_AT_ONCE):
                retention.put_marks(kind, ids, at=self._now)
            for ids in pieces(tallies.marked_in_vain(kind), ROWS_AT_ONCE):
                retention.drop_marks(kind, ids)
        waiting = tallies.waiting_files(now=self._now, before=self._before)
        for files in pieces(waiting, ROWS_AT_ONCE):
            retention.put_marks("file", [path for path, _ in files], at=self._now)
        for paths in pieces(tallies.file_marks_in_vain(), ROWS_AT_ONCE):
            retention.drop_marks("file", paths)

    def _collect(self, tallies: Tallies) -> bool:
        """Say of what goes that it has gone; False where others gave it a root meanwhile.

        From here on there is no way back: nobody can root a collected commit.
        """
        states = set(tallies.at_level("commit", GOING))
        operations = set(tallies.at_level("operations", GOING))
        for ids in pieces(sorted(states | operations), _LOCKED_AT_ONCE):
            rooted = self._retention.collect(
                [id for id in ids if id in states],
                [id for id in ids if id in operations],
                at=self._now,
                leases_since=self._now - CLOCKS_APART,
                is_known=tallies.knows,
            )
            if rooted:
                return False
        return True

    def _delete(self, tallies: Tallies, found: Swept) -> Swept:
        self._progress("deleting files")
        for files in pieces(tallies.garbage(now=self._now, before=self._before), _FILES_AT_ONCE):
            paths = [path for path, _ in files]
            self._lake.storage.delete(paths)
            self._retention.drop_marks("file", paths)
        self._progress("deleting nodes")
        nodes = self._delete_nodes(tallies)
        self._progress("deleting rows")
        records = self._delete_rows(tallies)
        return replace(
            found,
            nodes=nodes,
            records=records,
            branches=self._branches,
            given_up=tuple(self._given_up),
        )

    def _delete_nodes(self, tallies: Tallies) -> int:
        """Delete the nodes that no uncollected commit reaches; give how many.

        A commit made meanwhile may use one of them. Had it stored it before the doom, it is among
        the commits that are read after it; later, storing it has ended the doom.
        """
        retention = self._retention
        token = self._lake.ids.unique()
        names = retention.node_names(after=b"", limit=ROWS_AT_ONCE)
        while names:
            unreached = tallies.unreached(names)
            for piece in pieces(unreached, _LOCKED_AT_ONCE):
                retention.doom(piece, token=token)
            tallies.doom(unreached)
            names = retention.node_names(after=names[-1], limit=ROWS_AT_ONCE)
        walk = Reachability(self._store, self._lake.tables, tallies)
        for rows in commit_rows(self._lake):
            walk.states(tallies.add_new(rows), level=KEPT)
        deleted = 0
        for piece in pieces(tallies.doomed(), _LOCKED_AT_ONCE):
            unreached = tallies.unreached(piece)
            deleted += retention.delete_doomed(unreached, token=token)
            gone = set(unreached)
            retention.spare([name for name in piece if name not in gone], token=token)
        return deleted

    def _delete_rows(self, tallies: Tallies) -> int:
        """Delete the rows of what is gone, and of what says nothing any more."""
        retention = self._retention
        records = sum(
            retention.delete_commits(ids) for ids in pieces(tallies.without_rows(), _LOCKED_AT_ONCE)
        )
        horizon = self._now - self._policy.history
        for branch in self._store.branches():
            retention.forget_moves(branch.name, before=horizon)
        retention.expire_pins(before=self._now - CLOCKS_APART)
        self._forget_runs(tallies)
        return records

    def _forget_runs(self, tallies: Tallies) -> None:
        """Forget the steps and events of old runs; of those whose work is nowhere, all."""
        branches = {branch.name for branch in self._store.branches()}
        horizon = self._now - self._policy.history
        after = ""
        while runs := self._retention.ended_runs(
            before=horizon, after=after, limit=_LOCKED_AT_ONCE
        ):
            after = runs[-1].id
            told = [r for r in runs if r.branch not in branches]
            kept = {r.id for r in told if r.commit is not None and tallies.keeps_row(r.commit)}
            self._retention.forget_runs(
                [r.id for r in told if r.id in kept], [r.id for r in told if r.id not in kept]
            )
