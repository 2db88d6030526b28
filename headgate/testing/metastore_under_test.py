"""A metastore that a suite looks at: new, with a clock to move, and what is put into it."""

# ruff: noqa: PT017, S101 - for tests

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from headgate.clock import Clock, ManualClock
from headgate.lake.commits import make_commit
from headgate.lake.entries import Entry
from headgate.lake.metastore import (
    Branch,
    EventRow,
    Metastore,
    Outcome,
    Reservation,
    RunRow,
    RunState,
    StepRow,
    StepState,
)
from headgate.lake.nodes import NodeReader
from headgate.lake.records import Commit, Record
from headgate.lake.trees import Tree

BEGAN = datetime(2026, 11, 1, 9, 30, 0, 123456, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MAIN = "main"


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """A new metastore with the protected branch ``main`` at ``genesis``, and a clock to move."""

    store: Metastore
    clock: ManualClock
    genesis: Commit

    def commit(self, parent: Commit, *keys: str) -> tuple[Commit, Mapping[bytes, bytes]]:
        """Give a commit after ``parent`` that adds keys, and its new nodes."""
        tree = Tree(NodeReader(self.store), parent.tree).with_changes(
            {key: Entry(kind="blob", content=key) for key in keys}
        )
        record = Record(kind="transaction", at=self.clock.now(), message=" ".join(keys))
        return make_commit(parent, tree=tree.root, record=record), tree.new_nodes

    def grow(self, branch: str, count: int = 1) -> list[Commit]:
        """Advance an unprotected branch by commits; give them, oldest first."""
        head = self.store.branch(branch)
        assert head is not None
        parent = self.known(head.head)
        grown = []
        for _ in range(count):
            commit, nodes = self.commit(parent, f"blob/{branch}{parent.number}")
            moved = self.store.advance(branch, head=parent.id, commit=commit, nodes=nodes)
            assert moved is Outcome.DONE
            grown.append(commit)
            parent = commit
        return grown

    def known(self, id: str) -> Commit:
        """Give a commit that must be there."""
        commit = self.store.commit(id)
        assert commit is not None
        return commit

    def fork(self, name: str, at: Commit | None = None) -> Branch:
        """Create a branch."""
        commit = at or self.genesis
        branch = Branch(
            name=name,
            head=commit.id,
            number=commit.number,
            protected=False,
            created=self.clock.now(),
        )
        assert self.store.create_branch(branch)
        return branch

    def begin(self, id: str, *, state: RunState = RunState.RUNNING) -> RunRow:
        """Begin a run on ``main``'s head, at fence 1."""
        head = self.store.branch(MAIN)
        assert head is not None
        run = RunRow(
            id=id,
            pipeline="sales",
            target=MAIN,
            branch=f"run/{id}",
            state=state,
            fence=1,
            base=head.head,
            began=self.clock.now(),
            owner="me",
            lease_until=self.clock.now() + SECOND,
            settings={"isolation": "fresh", "retries": 2},
        )
        self.store.begin_run(run, fork_from=head.head)
        return run

    def heads(self) -> dict[str, str]:
        """Give each branch's head."""
        return {branch.name: branch.head for branch in self.store.branches()}

    def publish(self, run: str, *, fence: int) -> Outcome:
        """Publish a commit on the genesis commit as a run's."""
        commit, nodes = self.commit(self.genesis, f"blob/{run}")
        return self.store.publish(
            MAIN, head=self.genesis.id, commit=commit, nodes=nodes, run=run, fence=fence
        )

    def ticket(self, run: str, *keys: str, fence: int = 1) -> bool:
        """Take a ticket on ``main`` for a second."""
        return self.store.turns.take_ticket(MAIN, run=run, fence=fence, keys=keys, lease=SECOND)


class MetastoreUnderTest(ABC):
    """A metastore. pytest's ``tmp_path`` gives each test a directory."""

    @abstractmethod
    def make(
        self, directory: Path, *, clock: Clock, genesis: Commit, nodes: Mapping[bytes, bytes]
    ) -> Metastore:
        """Make a metastore with ``genesis``, its nodes, and the protected branch ``main`` there."""

    @contextmanager
    def situation(self, directory: Path) -> Iterator[Situation]:
        """Make a metastore, and close it in the end."""
        clock = ManualClock(BEGAN)
        tree = Tree.empty(NodeReader(_Nothing()))
        genesis = make_commit(None, tree=tree.root, record=Record(kind="genesis", at=clock.now()))
        store = self.make(directory, clock=clock, genesis=genesis, nodes=tree.new_nodes)
        try:
            yield Situation(store=store, clock=clock, genesis=genesis)
        finally:
            store.close()


class _Nothing:
    def get_nodes(self, hashes: Sequence[bytes]) -> Mapping[bytes, bytes]:
        del hashes
        return {}


def raises(kind: type[Exception], code: str, action: Callable[[], object]) -> None:
    """Say that an action raises an error of a kind and a code."""
    try:
        action()
    except kind as error:
        assert getattr(error, "code", None) == code
    else:
        message = f"{kind.__name__} {code} was not raised"
        raise AssertionError(message)


def a_step(
    run: str, *, name: str = "a", state: StepState = StepState.DONE, commit: str | None = None
) -> StepRow:
    """Give a step's row."""
    return StepRow(run=run, step=name, state=state, attempt=1, commit=commit)


def an_event(run: str) -> EventRow:
    """Give an event."""
    return EventRow(run=run, step="a", kind="step-finished", at=BEGAN, body={"rows": 3})


def a_reservation(run: str, until: datetime) -> Reservation:
    """Give a reservation of one table."""
    return Reservation(run=run, began=BEGAN, keys=("table/a",), until=until)
