"""Others work between any two transactions of a collection: nothing they need goes.

Between its calls of the metastore and of the storage, a collection is joined by writers that make
commits of old content, put refs and pins on old commits, and delete them.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sham_tables import ShamTables, listed

from headgate.clock import ManualClock
from headgate.errors import Conflict, Corrupt, NotFound
from headgate.lake import Collection, Lake, RetentionPolicy, RunRow, RunState
from headgate.lake.entries import Entry
from headgate.lake.nodes import NodeReader
from headgate.lake.operations import Replace
from headgate.lake.pins import Pin
from headgate.lake.reachability import operation_files
from headgate.lake.records import Record
from headgate.names import CountingIds

NOTHING = timedelta(0)
POLICY = RetentionPolicy(history=NOTHING, unfinished=NOTHING, grace=NOTHING)
CALLS = (
    "commit_rows",
    "marks",
    "put_marks",
    "drop_marks",
    "collect",
    "delete_commits",
    "node_names",
    "doom",
    "spare",
    "delete_doomed",
)


class Beside:
    """Calls ``between`` before every call of a method of something."""

    def __init__(self, inner: Any, between: Any, names: tuple[str, ...]) -> None:
        self._inner, self._between, self._names = inner, between, names

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name not in self._names:
            return found

        def call(*args: Any, **options: Any) -> Any:
            self._between(name)
            return found(*args, **options)

        return call


class World:
    """A lake on which old content comes back: few keys, few contents."""

    def __init__(self, root: Path) -> None:
        self.clock = ManualClock()
        self.lake = Lake.create(root / "lake", clock=self.clock, ids=CountingIds())
        self.tables = ShamTables(self.lake)
        self.lake.protect("main", protected=False)
        self.commits: list[str] = [self.lake.resolve("main").id]

    def commit(self, branch: str, key: int, content: int) -> None:
        """Set a key to one of few contents: many nodes come back."""
        head = self.lake.resolve(branch)
        change = {f"blob/{key:02}": Entry(kind="blob", content=f"{content}" * 600)}
        record = Record(kind="catalog", at=self.clock.now(), message=f"{len(self.commits)}")
        made = self.lake.commit_to(branch, self.lake.compose(head, change, record))
        self.commits.append(made.id)

    def write(self, branch: str, table: int) -> None:
        """Replace a table."""
        head = self.lake.resolve(branch)
        key = f"table/t{table}"
        operation = Replace(files=(self.tables.data_file(table),), schema=())
        entry = self.tables.after(self.lake.tree(head).get(key), table, operation)
        record = self.tables.record(key, (operation,))
        made = self.lake.commit_to(branch, self.lake.compose(head, {key: entry}, record))
        self.commits.append(made.id)

    def reuse(self, branch: str, old: int, number: int) -> None:
        """Take a table's entry over from an old commit, as a skip does: pinned first."""
        commit = self.lake.metastore.commit(self.commits[old % len(self.commits)])
        if commit is None:
            return
        pin = Pin(
            id=f"reuse{number}",
            kind="run",
            holder="r",
            commit=commit.id,
            created=self.clock.now(),
            why="reuse",
        )
        if not self.lake.metastore.retention.pin(pin):
            return
        found = dict(self.lake.tree(commit).items("table/"))
        head = self.lake.resolve(branch)
        record = Record(kind="catalog", at=self.clock.now(), message=f"reuse{number}")
        if found:
            made = self.lake.commit_to(branch, self.lake.compose(head, found, record))
            self.commits.append(made.id)
        self.lake.metastore.retention.unpin(pin.id)

    def act(self, what: str, a: int, b: int, number: int) -> None:
        """Do one thing; what is not there any more is no error."""
        branches = [each.name for each in self.lake.branches()]
        branch = branches[a % len(branches)]
        commit = self.commits[a % len(self.commits)]
        with suppress(NotFound, Conflict):
            match what:
                case "commit":
                    self.commit(branch, b % 5, a % 3)
                case "write":
                    self.write(branch, b % 2)
                case "reuse":
                    self.reuse(branch, b, number)
                case "branch":
                    self.lake.create_branch(f"b{number}", commit)
                case "tag":
                    self.lake.create_tag(f"t{number}", commit)
                case "drop" if branch != "main":
                    self.lake.delete_branch(branch)
                case "untag":
                    for tag in self.lake.tags()[:1]:
                        self.lake.delete_tag(tag.name)

    def check(self) -> None:
        """Every commit that is not collected is whole, and so is every ref."""
        files = listed(self.lake)
        store = self.lake.metastore
        rows = store.retention.commit_rows(after="", limit=10_000)
        for row in rows:
            if row.collected is None:
                commit = store.commit(row.id)
                assert commit is not None
                fresh = Lake.tree(self.lake, commit)
                entries = dict(fresh.items())
                assert self.tables.state_files(entries) <= files, row
            if row.emptied is None:
                commit = store.commit(row.id)
                assert commit is not None
                assert set(operation_files(commit)) <= files, row
        there = {row.id: row for row in rows}
        for id in (*(b.head for b in self.lake.branches()), *(t.commit for t in self.lake.tags())):
            assert there[id].collected is None
            at: str | None = id
            while at is not None:
                at = there[at].parent


@contextmanager
def world() -> Iterator[World]:
    with TemporaryDirectory() as directory:
        made = World(Path(directory))
        yield made
        made.lake.close()


def sweep(here: World, between: Callable[[str], None]) -> None:
    """Sweep, with others at work between its calls."""
    store = here.lake.metastore
    inner = store.retention
    store._retention = Beside(inner, between, CALLS)
    try:
        Collection(here.lake, POLICY).sweep()
    finally:
        store._retention = inner


ACT = st.tuples(
    st.sampled_from(("commit", "write", "reuse", "branch", "tag", "drop", "untag")),
    st.integers(0, 40),
    st.integers(0, 40),
)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(
    before=st.lists(ACT, max_size=12),
    beside=st.lists(st.tuples(st.sampled_from(CALLS), ACT), max_size=12),
)
def test_whatever_others_do_between_two_transactions_what_they_need_stays(
    before: list[tuple[str, int, int]], beside: list[tuple[str, tuple[str, int, int]]]
) -> None:
    with world() as here:
        for number, (what, a, b) in enumerate(before):
            here.act(what, a, b, number)
        todo = list(beside)
        number = 1000

        def between(name: str) -> None:
            nonlocal number
            now = [each for each in todo if each[0] == name]
            for each in now:
                todo.remove(each)
            for _, (what, a, b) in now:
                number += 1
                here.act(what, a, b, number)

        with suppress(Conflict):
            sweep(here, between)
        here.lake._reader = NodeReader(here.lake.metastore, keep_bytes=0)
        here.check()
        Collection(here.lake, POLICY).sweep()
        here.check()


def swept_beside(here: World, name: str, *acts: tuple[str, int, int]) -> list[str]:
    """Sweep; before the first call of a name, do things. Gives the calls, in order."""
    calls: list[str] = []

    def between(called: str) -> None:
        if called == name and name not in calls:
            for number, (what, a, b) in enumerate(acts):
                here.act(what, a, b, 2000 + number)
        calls.append(called)

    sweep(here, between)
    here.lake._reader = NodeReader(here.lake.metastore, keep_bytes=0)
    here.check()
    return calls


@pytest.mark.parametrize("when", ["collect", "node_names", "doom", "commit_rows", "delete_doomed"])
def test_a_commit_that_stores_a_node_again_keeps_it(when: str) -> None:
    with world() as here:
        for content in (
            1,
            2,
            0,
        ):  # the first two states go; the commit beside brings the first back
            here.commit("main", 0, content)
        assert when in swept_beside(here, when, ("commit", 1, 0))
        entry = here.lake.tree(here.lake.resolve("main")).get("blob/00")
        assert entry is not None
        assert entry.content == "1" * 600


@pytest.mark.parametrize("what", ["branch", "tag"])
def test_what_gets_a_ref_before_it_is_collected_stays(what: str) -> None:
    with world() as here:
        for content in (1, 2, 0):
            here.commit("main", 0, content)
        calls = swept_beside(here, "collect", (what, 1, 0))
        assert calls.count("collect") > 1  # the first try found the ref, and was for nothing
        gone = here.lake.metastore.retention.gone(here.commits[1:2])
        assert all(row.collected is None for row in gone.values())


@pytest.mark.parametrize("make", ["create_branch", "create_tag"])
def test_what_is_collected_gets_no_ref(make: str) -> None:
    with world() as here:
        for content in (1, 2, 0):
            here.commit("main", 0, content)
        swept_beside(here, "")
        with pytest.raises(NotFound) as caught:
            getattr(here.lake, make)("late", here.commits[1])
        assert caught.value.code == "commit-collected"
        with pytest.raises(NotFound) as caught:
            dict(here.lake.tree(here.lake.commit(here.commits[1])).items())
        assert caught.value.code == "commit-collected"
        pin = Pin(
            id="p",
            kind="person",
            holder="me",
            commit=here.commits[1],
            created=here.clock.now(),
            why="late",
        )
        assert not here.lake.metastore.retention.pin(pin)


def test_a_damaged_lake_loses_nothing_more(tmp_path: Path) -> None:
    with world() as here:
        for table in (0, 1, 0, 1):
            here.write("main", table)
        entry = here.lake.tree(here.lake.resolve("main")).get("table/t0")
        assert entry is not None
        assert entry.table is not None
        lists = entry.table.metadata.replace(".metadata.json", ".files.json")
        here.lake.storage.delete([entry.table.metadata, lists])
        before = listed(here.lake)
        with pytest.raises(Corrupt) as caught:
            Collection(here.lake, POLICY).sweep()
        assert caught.value.code == "metadata-missing"
        assert listed(here.lake) == before


def test_two_collections_at_once_do_as_one(tmp_path: Path) -> None:
    with world() as here:
        for number in range(8):
            here.write("main", number % 2)
        left = [Collection(here.lake, RetentionPolicy(history=NOTHING)), *[None] * 3]

        def between(name: str) -> None:
            if left:
                other = left.pop()
                if other is None:
                    Collection(here.lake, POLICY).sweep()
                else:
                    other.sweep()

        sweep(here, lambda name: None)
        for number in range(8):
            here.write("main", number % 2)
        sweep(here, between)
        here.lake._reader = NodeReader(here.lake.metastore, keep_bytes=0)
        here.check()
        head = dict(here.lake.tree(here.lake.resolve("main")).items())
        operations = set(operation_files(here.lake.resolve("main")))
        assert listed(here.lake) == here.tables.state_files(head) | operations


def test_what_was_written_since_a_run_at_work_began_stays_whatever_it_is() -> None:
    with world() as here:
        now = here.clock.now()
        row = RunRow(
            id="aaaaaaaaaaaa",
            pipeline="p",
            target="main",
            branch="run/aaaaaaaaaaaa",
            state=RunState.RUNNING,
            fence=1,
            base=here.commits[0],
            began=now,
            owner="me",
            lease_until=now + timedelta(minutes=1),
        )
        here.lake.metastore.begin_run(row, fork_from=row.base)
        unnamed = here.tables.data_file(0).path  # as metadata is, before its commit
        Collection(here.lake, POLICY).sweep()
        assert unnamed in listed(here.lake)
        here.clock.move(timedelta(hours=1))
        Collection(here.lake, POLICY).sweep()
        assert unnamed not in listed(here.lake)
