"""Plays a plan on the abstract lake: runs, re-execution and publication as SEMANTICS 3 says.

Every decision is the product's own pure function. What is abstract is the doing: rows in tuples,
processes as turns in a plan.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from headgate.lake.effects import operations_in_effect, operations_since
from headgate.lake.entries import table_key
from headgate.lake.records import Commit, Record
from headgate.lake.serialization import Edge, GraphConflict, Transaction
from headgate.testing.abstract_lake import (
    NULL,
    Rows,
    Table,
    Tree,
    selected,
)
from headgate.testing.abstract_merging import Merger
from headgate.testing.abstract_reverts import cascaded, reverted
from headgate.testing.abstract_runs import (
    Decisions,
    Done,
    Lost,
    Merged,
    NoProgressError,
    Run,
    StepFails,
    Unit,
    Worker,
    all_merged,
    content_of,
    is_pointer,
    take,
)
from headgate.testing.abstract_steps import Workshop
from headgate.testing.abstract_words import described, described_loss, shown
from headgate.testing.histories import Look, Plan
from headgate.testing.rules import Blurred, Rules

_INSTANT = datetime(2026, 1, 1, tzinfo=UTC)
_MOST_ATTEMPTS = 40


class World:
    """A lake, the runs on it, and what really happened."""

    def __init__(
        self,
        plan: Plan,
        *,
        rules: Rules | None = None,
        decisions: Decisions | None = None,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self.plan = plan
        self.rules = rules or Rules()
        self.decisions = decisions or Decisions()
        self.tell = tell
        self.shop = Workshop(self.rules, self.decisions)
        self.merger = Merger(self.shop)
        self.shelf, self.commits = self.shop.shelf, self.shop.commits
        self.trees: list[Tree] = [self._genesis()]
        self.units: list[Unit] = []
        self.runs = [
            Run(f"run-{i}", each, plan.pipelines[each.pipeline]) for i, each in enumerate(plan.runs)
        ]
        self.losses = 0

    @property
    def head(self) -> int:
        """The number of the last publication."""
        return len(self.commits) - 1

    def play(self) -> None:
        """Let everything happen, then let every run that has begun end.

        Raises:
            NoProgressError: a run lost again and again, with nobody left to lose to.
        """
        for kind, index in self.plan.happenings:
            self._happen(kind, self.runs[index])
        for run in self.runs:
            while run.state != "new" and not run.over:
                self._publish(run)

    def _happen(self, kind: str, run: Run) -> None:
        if kind == "begin":
            self._begin(run)
        elif kind in ("revert", "cascade"):
            self._revert(run, cascades=kind == "cascade")
        elif kind == "zombie":
            for worker in run.zombies:
                self._zombie(run, worker)
        elif run.over or run.worker is None:
            return
        elif kind == "step":
            self._step(run, run.worker)
        elif kind == "take-over":
            self._take_over(run, run.worker)
        elif kind == "sync":
            self._sync(run, run.worker)
        else:
            self._publish(run, lost=kind == "publish-lost")

    def _say(self, text: str) -> None:
        if self.tell is not None:
            self.tell(text)

    def _genesis(self) -> Tree:
        record = Record(kind="genesis", at=_INSTANT)
        self.commits.append(Commit(id="commit-0", parent=None, number=0, tree="", record=record))
        rows: dict[str, Rows] = {
            "a": ((0, 0, NULL, ()), (1, 1, NULL, ()), (2, 2, NULL, ())),
            "b": ((0, 1, NULL, ()), (3, 3, NULL, ())),
        }
        return {
            table_key(name): self.shelf.cell(Table((), each), ("genesis", name))
            for name, each in rows.items()
        }

    def _begin(self, run: Run) -> None:
        run.state = "running"
        run.worker = Worker(0, 0, self.head, self.head, [], dict(self.trees[self.head]))
        run.branch = run.worker.copy()
        self._say(f"{run.id} ({run.name}, {run.plan.isolation}) begins at commit-{self.head}")

    # -- workers, fences, steps

    def _take_over(self, run: Run, old: Worker) -> None:
        run.zombies.append(old)
        run.fence += 1
        run.worker = replace(old.copy(), fence=run.fence)
        self._say(f"{run.id} is taken over (fence {run.fence}); its old worker lives on")

    def _zombie(self, run: Run, worker: Worker) -> None:
        if len(worker.done) < len(run.steps):
            self._step(run, worker)
        else:
            self._try_publishing(run, worker)

    def _step(self, run: Run, worker: Worker) -> None:
        if worker.dead or len(worker.done) >= len(run.steps):
            return
        try:
            done = self.shop.run_step(run, worker, run.steps[len(worker.done)])
        except StepFails:
            self._fail(run, worker)
            return
        self._tell_step(run, worker, done)
        self._checkpoint(run, worker, done)

    def _fail(self, run: Run, worker: Worker) -> None:
        worker.dead = True
        if worker is run.worker:
            run.state = "abandoned"
            self._say(f"{run.id} fails and is abandoned")

    def _checkpoint(self, run: Run, worker: Worker, done: Done) -> None:
        """Move the run's branch; only while the fence is mine and the run is not published."""
        if self.rules.checkpoint_fence:
            if worker.fence != run.fence or run.over:
                worker.dead = True
                self._say(f"    refused: the fence of {run.id} is another's")
                return
        elif worker.version != run.version and run.branch is not None:
            # Only the branch's head is compared: look again, put the step on top.
            worker.take(run.branch)
        changes = dict(done.changes)
        for write in done.record.writes:
            operations = operations_in_effect(done.record, write)
            if content_of(worker.tree, write.key) != write.before and not is_pointer(operations):
                before = worker.tree.get(write.key)
                changes[write.key] = self.shop.apply(before, operations, write.key)[0]
        self._add(worker, replace(done, changes=changes))
        self._moved(run, worker)

    def _add(self, worker: Worker, done: Done) -> None:
        worker.done.append(done)
        take(worker.tree, done.changes)
        worker.own |= {write.key for write in done.record.writes}

    def _moved(self, run: Run, worker: Worker) -> None:
        run.version += 1
        worker.version = run.version
        run.branch = worker.copy()

    def _tell_step(self, run: Run, worker: Worker, done: Done) -> None:
        if self.tell is None:
            return
        zombie = " (old worker)" if worker is not run.worker else ""
        skipped = " is skipped" if done.record.skipped else ""
        self._say(f"{run.id}{zombie} step {done.plan.name}{skipped}, on commit-{worker.base}")
        for seen in done.seen:
            look = seen.look
            where = f" {look.column} in {look.low}..{look.high}" if look and look.column else ""
            self._say(f"    sees   {seen.key}{where} {seen.kind}: {shown(seen.value)}")
        for key, operation in done.did:
            self._say(f"    writes {key}: {described(operation, self.shelf)}")

    # -- publication

    def _publish(self, run: Run, *, lost: bool = False) -> None:
        """Finish the steps, then try once; a loser executes again and waits for its next turn."""
        worker = run.worker
        if worker is None:
            return
        while not run.over and len(worker.done) < len(run.steps):
            self._step(run, worker)
        if run.over:
            return
        if self._try_publishing(run, worker) and lost:
            self._say(f"{run.id} never hears that it was published, and tries again")
            for _ in range(3):
                if worker.dead or self._try_publishing(run, worker):
                    break

    def _try_publishing(self, run: Run, worker: Worker) -> bool:
        """Try once; the head, and the run's row, must be what the worker thinks they are."""
        if worker.dead:
            return False
        if self.rules.publication_fence and (worker.fence != run.fence or run.over):
            worker.dead = True
            self._say(f"{run.id}: publication refused, it is published already or another's")
            return False
        run.attempts += 1
        if run.attempts > _MOST_ATTEMPTS:
            raise NoProgressError(run.id)
        if all(done.settled for done in worker.done):
            run.state = "nothing"
            self._say(f"{run.id} has nothing to do")
            return False
        merged = self.merger.merge(run, worker, self.trees[self.head])
        if isinstance(merged, Lost):
            self._lose(run, worker, merged.because, merged.forced)
            return False
        # After the merge: the graph must see what the operations touch on the head.
        steps = all_merged(worker.done, merged, self.trees[self.head], self.shelf)
        mine = self._transaction(run, worker, steps)
        graph = self._conflict(mine)
        if graph is not None:
            self._lose(run, worker, graph.path, frozenset())
            return False
        self._commit(run, mine, merged, steps)
        return True

    def _transaction(self, run: Run, worker: Worker, steps: Sequence[Done]) -> Transaction:
        oldest = run.plan.person and self.rules.reads_keep_their_commit
        return Transaction.of(
            [done.record for done in steps],
            base_number=worker.fork if oldest else worker.base,
            isolation=run.plan.isolation,
        )

    def _conflict(self, mine: Transaction) -> GraphConflict | None:
        window = self.commits[mine.base_number + 1 :]
        if not Blurred.is_needed(self.rules):
            return self.decisions.conflict(mine, window, extend=lambda n: self.commits[n:])
        view = Blurred(self.rules)
        return self.decisions.conflict(
            view.transaction(mine),
            [view.commit(each) for each in window],
            extend=lambda n: [view.commit(each) for each in self.commits[n:]],
        )

    def _commit(self, run: Run, mine: Transaction, merged: Merged, steps: Sequence[Done]) -> None:
        tree = dict(self.trees[self.head])
        take(tree, merged.changes)
        number = self._append(
            tree,
            Record(
                kind="merge" if run.plan.person else "run",
                at=_INSTANT,
                run=run.id,
                pipeline=run.name,
                isolation=run.plan.isolation,
                base_number=mine.base_number,
                low=self.decisions.low(mine, self.commits[mine.base_number + 1 :]),
                steps=tuple(done.record for done in steps),
            ),
        )
        run.state = "published"
        for done in steps:
            self.shop.outputs[run.id, done.plan.name] = done
        binding = run.plan.isolation != "snapshot-isolation"
        self.units.append(Unit(run=run.id, name=run.name, binding=binding, steps=tuple(steps)))
        self._tell_tree(f"{run.id} is published as commit-{number}")

    def _append(self, tree: Tree, record: Record) -> int:
        number = len(self.commits)
        self.commits.append(
            Commit(
                id=f"commit-{number}",
                parent=f"commit-{number - 1}",
                number=number,
                tree="",
                record=record,
            )
        )
        self.trees.append(tree)
        return number

    def _tell_tree(self, text: str) -> None:
        if self.tell is not None:
            self._say(text)
            for key, cell in sorted(self.trees[self.head].items()):
                if cell.table is not None:
                    self._say(f"    {key} = {shown(selected(cell.table, Look(key)))}")

    # -- losing

    def _lose(
        self, run: Run, worker: Worker, because: Sequence[Edge | str], forced: frozenset[str]
    ) -> None:
        self.losses += 1
        self._say(f"{run.id} loses: {'; '.join(described_loss(each) for each in because)}")
        if run.plan.person:
            run.state = "abandoned"
            self._say(f"{run.id} has no steps to execute again and is abandoned")
            return
        if self.rules.checkpoint_fence and worker.fence != run.fence:
            worker.dead = True
            return
        try:
            self._reexecute(run, worker, forced)
        except StepFails:
            self._fail(run, worker)

    def _reexecute(self, run: Run, worker: Worker, forced: frozenset[str]) -> None:
        """Begin again on the head: run what read something else, carry the rest over."""
        old, head = worker.done, self.trees[self.head]
        theirs = operations_since(self.commits[worker.base + 1 :])
        worker.base = worker.fork = self.head
        worker.tree, worker.done, worker.own = dict(head), [], set()
        records = [done.record for done in old]
        planned = None
        if (self.plan.seed + run.attempts) % 2:  # both ways of asking must be right
            planned = self.decisions.plan(records, lambda k: content_of(head, k), forced=forced)
        for i, done in enumerate(old):
            decision = (
                planned[i]
                if planned is not None
                else self.decisions.step(
                    done.record, lambda k: content_of(worker.tree, k), forced=forced
                )
            )
            kept = None if decision.again else self.merger.keep(worker, done, decision, theirs)
            if kept is None:
                kept = self.shop.run_step(run, worker, done.plan)
                self._tell_step(run, worker, kept)
            else:
                self._say(f"{run.id} keeps {done.plan.name} on commit-{worker.base}")
            self._add(worker, kept)
        self._moved(run, worker)

    # -- people

    def _sync(self, run: Run, worker: Worker) -> None:
        """Bring a branch up to the head: the head's tables, and the branch's operations on them."""
        if worker.base == self.head:
            return
        merged = self.merger.merge(run, worker, self.trees[self.head])
        if isinstance(merged, Lost):
            run.state = "abandoned"
            return
        head = self.trees[self.head]
        worker.done = all_merged(worker.done, merged, head, self.shelf)
        worker.tree = dict(head)
        take(worker.tree, merged.changes)
        worker.base = self.head
        self._say(f"{run.id} takes in what was published up to commit-{self.head}")

    # -- reverts

    def _revert(self, run: Run, *, cascades: bool) -> None:
        """Revert a published run, where its followers allow it; or with all that follows."""
        number = next((each.number for each in self.commits if each.record.run == run.id), None)
        if number is None or run.id in self.shop.reverted(self.head):
            return
        found = (cascaded if cascades else reverted)(self.merger, self.trees, number)
        if isinstance(found, str):
            self._say(f"revert of {run.id} is refused: {found}")
            return
        name = f"revert-{run.id}"
        record = Record(
            kind="revert",
            at=_INSTANT,
            run=name,
            base_number=self.head,
            steps=(found.step,),
            reverts=found.runs,
        )
        self._append(found.tree, record)
        unit = Unit(
            run=name,
            name=run.name,
            binding=False,
            steps=(),
            reverts=found.runs,
            cascades=cascades,
        )
        self.units.append(unit)
        others = f" with {', '.join(found.runs[1:])}" if found.runs[1:] else ""
        self._tell_tree(f"{run.id} is reverted{others} as commit-{self.head}")
